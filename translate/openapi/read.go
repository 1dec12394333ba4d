package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// inputs are what a translation is made of.
type inputs struct {
	text     []byte
	base     *url.URL // nil when it came from a file
	file     string   // "" when it came from a URL
	overlays [][]byte
}

// read reads the description.
func (a *API) read(ctx context.Context, etag string) (*translate.Text, error) {
	remote, name := a.spec.location()
	if remote == nil {
		name, err := inFolder(name)
		if err != nil {
			return nil, err
		}
		data, err := translate.ReadDescription(name)
		if err != nil {
			return nil, err
		}
		return a.text(inputs{text: data, file: name})
	}
	data, etag, err := a.fetch(ctx, remote, etag)
	if err != nil {
		return nil, err
	}
	t, err := a.remote(data)
	if err == nil {
		t.ETag = etag
	}
	return t, err
}

// remote is the text of a description behind a URL.
func (a *API) remote(data []byte) (*translate.Text, error) {
	base, _ := a.spec.location()
	t, err := a.text(inputs{text: data, base: base})
	if err == nil {
		t.Raw = data
	}
	return t, err
}

// text adds the overlays.
func (a *API) text(in inputs) (*translate.Text, error) {
	parts := [][]byte{in.text, fmt.Append(nil, in.base)}
	for _, name := range a.spec.Overlays {
		overlay, err := translate.ReadDescription(name)
		if err != nil {
			return nil, err
		}
		in.overlays, parts = append(in.overlays, overlay), append(parts, overlay)
	}
	if a.spec.References != "" && in.file != "" {
		parts = nil // nobody knows before which files it refers to
	}
	return &translate.Text{Parts: parts, Translate: func() (*translate.Translation, error) {
		b := &builder{spec: &a.spec, base: in.base, upstream: a.options.Upstream, configured: a.options.Configured}
		closing, err := b.open(in)
		in = inputs{} // the text is large
		if err != nil {
			return nil, err
		}
		defer closing()
		return a.translation(b, b.build()), nil
	}}, nil
}

// open reads the description. It may read files that this one refers to until closing is called.
func (b *builder) open(in inputs) (closing func(), err error) {
	closing = func() {}
	var read func(string) ([]byte, error)
	name, place := filepath.Base(in.file), in.file
	switch {
	case in.base != nil:
		place = translate.Address(in.base)
	case b.spec.References != "":
		root, err := os.OpenRoot(b.spec.References)
		if err != nil {
			return nil, fmt.Errorf("the folder of references cannot be opened: %w", err)
		}
		closing = func() { _ = root.Close() }
		read = reader(root)
		if name, err = filepath.Rel(b.spec.References, in.file); err != nil {
			closing()
			return nil, fmt.Errorf("the description does not lie in the folder of references: %w", err)
		}
	}
	if b.description, err = open(filepath.ToSlash(name), in.text, in.overlays, read); err != nil {
		closing()
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	b.converter = newConverter(b.description)
	return closing, nil
}

// reader reads files below root.
func reader(root *os.Root) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		f, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return translate.ReadLimited(f, -1)
	}
}

// fetch asks for the description behind a URL.
func (a *API) fetch(ctx context.Context, u *url.URL, etag string) (text []byte, newer string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Accept", "application/json, application/yaml, */*;q=0.5")
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	var s *translate.SecurityScheme
	if a.options.Configured(descriptionScheme) {
		s = &translate.SecurityScheme{Name: descriptionScheme, Type: "http", HTTP: "bearer"}
	}
	f, err := a.options.Fetch(ctx, r, s)
	switch {
	case err != nil:
		return nil, "", err
	case f.Status == http.StatusNotModified && etag != "":
		return nil, "", translate.ErrUnchanged
	case f.Status != http.StatusOK:
		return nil, "", fmt.Errorf("the description at %s cannot be fetched: status %d", translate.Address(u), f.Status)
	}
	return f.Text, f.ETag, nil
}

// descriptionScheme is the name under which a credential for fetching the description is configured.
const descriptionScheme = "description"

// settings are what a translation depends on besides the description.
func (a *API) settings() ([]byte, error) {
	s := a.spec
	s.OpenAPI = "" // where the same text lies makes no difference; what is relative to it is a part of the text
	return json.Marshal(s)
}

// translation is what the builder made tools for.
func (a *API) translation(b *builder, tools []*tool) *translate.Translation {
	t := &translate.Translation{Warnings: b.description.sorted(), Instructions: b.description.title(), Schemes: make(map[string]bool)}
	for _, m := range members(b.schemes().value) {
		t.Schemes[m.Key] = b.configured(m.Key)
	}
	for _, e := range tools {
		e.Run = func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
			return a.run(ctx, e, c, args, timeout)
		}
		t.Tools = append(t.Tools, &e.Entry)
	}
	return t
}
