package translate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	// MaxDescription bounds a description in bytes; the largest public ones have 15 MB.
	MaxDescription = 64 << 20
	// fetchTimeout bounds one request for a description.
	fetchTimeout = 30 * time.Second
)

// Configured reports whether there is a credential for a security scheme.
func (o *Options) Configured(scheme string) bool {
	return o.Credentials != nil && o.Credentials.Has(scheme)
}

// Fetched is what came for a description.
type Fetched struct {
	Text   []byte
	Status int
	ETag   string
}

// Fetch sends a request for a description, or a part of one, with the credential of a scheme when s is not nil.
func (o *Options) Fetch(ctx context.Context, r *http.Request, s *SecurityScheme) (Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	at := Address(r.URL)
	if s != nil {
		if err := o.Credentials.Authorize(ctx, r, *s, ""); err != nil {
			return Fetched{}, err
		}
	}
	response, err := o.Transport.RoundTrip(r)
	if err != nil {
		return Fetched{}, fmt.Errorf("the description at %s cannot be fetched: %w", at, err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := ReadLimited(response.Body, response.ContentLength)
	if err != nil {
		return Fetched{}, fmt.Errorf("the description at %s cannot be read: %w", at, err)
	}
	return Fetched{data, response.StatusCode, response.Header.Get("ETag")}, nil
}

// Address is a URL for people, without what may be secret in it.
func Address(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// ReadDescription reads a file with a description or a part of one.
func ReadDescription(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	size := int64(-1)
	if st, err := f.Stat(); err == nil {
		size = st.Size()
	}
	data, err := ReadLimited(f, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// ReadLimited reads all of r, which may be as long as a description. size is how much that should be, so that nothing is copied on the way; -1 when
// nobody knows.
func ReadLimited(r io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	if size > 0 && size <= MaxDescription {
		b.Grow(int(size) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(r, MaxDescription+1))
	if err == nil && b.Len() > MaxDescription {
		return nil, fmt.Errorf("larger than %d MiB", MaxDescription>>20)
	}
	return b.Bytes(), err
}
