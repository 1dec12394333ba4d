package openapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

const (
	// maxDescriptionBytes bounds a description; the largest public ones have 15 MB.
	maxDescriptionBytes = 64 << 20
	fetchTimeout        = 30 * time.Second
)

// inputs are the bytes that a state is made of.
type inputs struct {
	text     []byte
	etag     string
	base     *url.URL
	file     string // "" when it came from a URL
	overlays [][]byte
}

// errUnchanged says that the server still has the description of the given ETag.
var errUnchanged = errors.New("the description is unchanged")

// read reads and translates the description. It returns the old reading itself when nothing changed.
func (a *API) read(ctx context.Context, old *translate.Reading) (*translate.Reading, error) {
	in, err := a.load(ctx)
	if errors.Is(err, errUnchanged) {
		return old, nil
	}
	if err != nil {
		return nil, err
	}
	var root *os.Root
	name := filepath.Base(in.file)
	if a.spec.References != "" && in.file != "" {
		if root, err = os.OpenRoot(a.spec.References); err != nil {
			return nil, fmt.Errorf("the folder of references cannot be opened: %w", err)
		}
		defer func() { _ = root.Close() }()
		if name, err = filepath.Rel(a.spec.References, in.file); err != nil {
			return nil, fmt.Errorf("the description does not lie in the folder of references: %w", err)
		}
	}
	version := a.version(in)
	if old != nil && root == nil && version == a.last {
		return old, nil
	}
	var s *translate.Reading
	if root == nil {
		s = a.recall(version, in)
	}
	if s == nil {
		b, err := a.translate(in, reader(root), filepath.ToSlash(name))
		if err != nil {
			return nil, err
		}
		tools := b.build()
		s = a.state(tools, b.description)
		if root == nil {
			a.keep(version, b, tools)
		}
	}
	a.last, a.etag = version, in.etag
	return s, nil
}

// translate opens a description for building its tools; name is that of its file among those that read knows.
func (a *API) translate(in inputs, read func(string) ([]byte, error), name string) (*builder, error) {
	b := &builder{spec: &a.spec, base: in.base, upstream: a.options.Upstream, configured: a.configured}
	var err error
	if b.description, err = open(name, in.text, in.overlays, read); err != nil {
		return nil, fmt.Errorf("%s: %w", a.spec.OpenAPI, err)
	}
	b.converter = newConverter(b.description)
	return b, nil
}

func (a *API) configured(scheme string) bool {
	return a.options.Credentials != nil && a.options.Credentials.Has(scheme)
}

// reader reads files below root, nothing when there is none.
func reader(root *os.Root) func(string) ([]byte, error) {
	if root == nil {
		return nil
	}
	return func(name string) ([]byte, error) {
		f, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return readLimited(f, -1)
	}
}

// readLimited reads all of r. size is how much that should be, so that nothing is copied on the way; -1 when nobody knows.
func readLimited(r io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	if size > 0 && size <= maxDescriptionBytes {
		b.Grow(int(size) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(r, maxDescriptionBytes+1))
	data := b.Bytes()
	if err == nil && len(data) > maxDescriptionBytes {
		return nil, fmt.Errorf("larger than %d MiB", maxDescriptionBytes>>20)
	}
	return data, err
}

// load reads the bytes.
func (a *API) load(ctx context.Context) (inputs, error) {
	var in inputs
	remote, name := a.spec.location()
	var err error
	if remote != nil {
		in.base = remote
		in.text, in.etag, err = a.fetch(ctx, remote)
	} else {
		if name, err = inFolder(name); err != nil {
			return in, err
		}
		in.file = name
		in.text, err = readFileLimited(name)
	}
	if err != nil {
		return in, err
	}
	for _, overlay := range a.spec.Overlays {
		text, err := readFileLimited(overlay)
		if err != nil {
			return in, err
		}
		in.overlays = append(in.overlays, text)
	}
	return in, nil
}

func readFileLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	size := int64(-1)
	if info, err := f.Stat(); err == nil {
		size = info.Size()
	}
	data, err := readLimited(f, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// fetch asks for the description behind a URL.
func (a *API) fetch(ctx context.Context, u *url.URL) (text []byte, etag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Accept", "application/json, application/yaml, */*;q=0.5")
	if a.etag != "" {
		r.Header.Set("If-None-Match", a.etag)
	}
	if a.configured(descriptionScheme) {
		s := translate.SecurityScheme{Name: descriptionScheme, Type: "http", HTTP: "bearer"}
		if err := a.options.Credentials.Authorize(ctx, r, s, ""); err != nil {
			return nil, "", err
		}
	}
	response, err := a.options.Transport.RoundTrip(r)
	if err != nil {
		return nil, "", fmt.Errorf("the description at %s cannot be fetched: %w", u.Redacted(), err)
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode == http.StatusNotModified && a.etag != "":
		return nil, "", errUnchanged
	case response.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("the description at %s cannot be fetched: status %d", u.Redacted(), response.StatusCode)
	}
	text, err = readLimited(response.Body, response.ContentLength)
	if err != nil {
		return nil, "", fmt.Errorf("the description at %s cannot be read: %w", u.Redacted(), err)
	}
	return text, response.Header.Get("ETag"), nil
}

// descriptionScheme is the name under which a credential for fetching the description is configured.
const descriptionScheme = "description"

// version is a hash of everything that a state is made of.
func (a *API) version(in inputs) string {
	h := sha256.New()
	for _, part := range append([][]byte{in.text}, in.overlays...) {
		_, _ = fmt.Fprintf(h, "%d\n", len(part))
		h.Write(part)
	}
	settings := a.spec
	settings.OpenAPI = "" // where the same text lies makes no difference; what is relative to it is in base
	spec, err := json.Marshal(settings)
	if err == nil {
		h.Write(spec)
	}
	_, _ = fmt.Fprintf(h, "%s\n%v", a.options.Upstream, in.base)
	return hex.EncodeToString(h.Sum(nil))
}

// state makes a reading of the tools.
func (a *API) state(tools []*tool, d *description) *translate.Reading {
	return translate.NewReading(a.options.Upstream, &a.spec.Spec, a.entries(tools), d.sorted(), d.title())
}

// entries are the tools as those of a reading.
func (a *API) entries(tools []*tool) []*translate.Entry {
	entries := make([]*translate.Entry, len(tools))
	for i, t := range tools {
		entries[i] = &t.Entry
		t.Run = func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
			return a.run(ctx, t, c, args, timeout)
		}
	}
	return entries
}
