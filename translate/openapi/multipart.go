package openapi

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// multipart writes a multipart body: one part per member, several for lists.
func (p *plan) multipart(ctx context.Context, from catalog.ResourceReader, object *schema.Value) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, m := range object.Members {
		s := p.encoding[m.Key]
		s.file = p.isFile(m.Key)
		values := []*schema.Value{m.Value}
		if m.Value.Kind == schema.Array && (s.media == "" || kindOf(s.media) != mediaJSON) {
			values = elements(m.Value)
		}
		for _, v := range values {
			if err := part(ctx, from, w, m.Key, s, v); err != nil {
				return nil, "", fmt.Errorf("`%s` %w", m.Key, err)
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), essence(p.media) + "; boundary=" + w.Boundary(), nil
}

func (p *plan) isFile(wire string) bool {
	for i := range p.arguments {
		if a := &p.arguments[i]; a.place == inField && a.wire == wire {
			return a.style.file
		}
	}
	return false
}

// part writes one part.
func part(ctx context.Context, from catalog.ResourceReader, w *multipart.Writer, name string, s style, v *schema.Value) error {
	header := textproto.MIMEHeader{}
	disposition := `form-data; name="` + translate.QuoteHeader(name) + `"`
	var content []byte
	switch {
	case s.file:
		f, err := translate.ReadFile(ctx, from, v)
		if err != nil {
			return err
		}
		content = f.Content
		if f.Name == "" {
			f.Name = "file"
		}
		disposition += `; filename="` + translate.QuoteHeader(f.Name) + `"`
		switch {
		case f.MimeType != "":
			header.Set("Content-Type", f.MimeType)
		case s.media != "" && !strings.ContainsAny(s.media, "*,"):
			header.Set("Content-Type", s.media)
		default:
			header.Set("Content-Type", "application/octet-stream")
		}
	case v.Kind == schema.Object || v.Kind == schema.Array || s.media != "" && kindOf(s.media) == mediaJSON:
		content = v.Append(nil)
		header.Set("Content-Type", "application/json")
	default:
		content = []byte(scalarText(v))
		if s.media != "" && !strings.ContainsAny(s.media, "*,") {
			header.Set("Content-Type", s.media)
		}
	}
	header.Set("Content-Disposition", disposition)
	out, err := w.CreatePart(header)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return err
}
