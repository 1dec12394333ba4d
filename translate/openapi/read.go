package openapi

import (
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
	b := &builder{spec: &a.spec, base: in.base, upstream: a.options.Upstream, configured: a.configured}
	if b.description, err = open(filepath.ToSlash(name), in.text, in.overlays, reader(root)); err != nil {
		return nil, fmt.Errorf("%s: %w", a.spec.OpenAPI, err)
	}
	b.converter = newConverter(b.description)
	s := a.state(b.build(), b.description)
	a.last, a.etag = version, in.etag
	return s, nil
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
		return readLimited(f)
	}
}

func readLimited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDescriptionBytes+1))
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
	data, err := readLimited(f)
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
	text, err = readLimited(response.Body)
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
	spec, err := json.Marshal(a.spec)
	if err == nil {
		h.Write(spec)
	}
	_, _ = fmt.Fprintf(h, "%s\n%v", a.options.Upstream, in.base)
	return hex.EncodeToString(h.Sum(nil))
}

// state makes a reading of the tools.
func (a *API) state(tools []*tool, d *description) *translate.Reading {
	entries := make([]*translate.Entry, len(tools))
	for i, t := range tools {
		entries[i] = &t.Entry
		t.Run = func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
			return a.run(ctx, t, c, args, timeout)
		}
	}
	title := schema.Shorten(schema.Clean(d.main.root.Get("info").GetText("title")), maxText)
	return translate.NewReading(a.options.Upstream, &a.spec.Spec, entries, d.sorted(), title)
}
