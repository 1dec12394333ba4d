package openapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"

	"weir/translate/schema"
)

// file is what a model gave as a file.
type file struct {
	content  []byte
	name     string
	mimeType string
}

// readFile reads a file argument: {text or data, filename, mimeType}, or plain text.
func readFile(v *schema.Value) (file, error) {
	if v.Kind == schema.String {
		return file{content: []byte(v.Text)}, nil
	}
	f := file{name: v.GetText("filename"), mimeType: v.GetText("mimeType")}
	if f.mimeType != "" {
		if name, _, err := mime.ParseMediaType(f.mimeType); err != nil || !strings.Contains(name, "/") || strings.ContainsFunc(f.mimeType, isControl) {
			return f, errors.New("has a mimeType that is none")
		}
	}
	text, data := v.Get("text"), v.Get("data")
	switch {
	case data != nil && (data.Text != "" || text == nil):
		content, err := decodeBase64(data.Text)
		if err != nil {
			return f, errors.New("has data that is not base64")
		}
		f.content = content
	case text != nil:
		f.content = []byte(text.Text)
	}
	return f, nil
}

// decodeBase64 takes both alphabets, with and without padding, and the form of data: URIs.
func decodeBase64(s string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(s, "data:"); ok {
		_, s, _ = strings.Cut(rest, ";base64,")
	}
	s = strings.TrimRight(strings.NewReplacer("\n", "", "\r", "", " ", "", "-", "+", "_", "/").Replace(s), "=")
	return base64.RawStdEncoding.DecodeString(s)
}

// multipart writes a multipart body: one part per member, several for lists.
func (p *plan) multipart(object *schema.Value) (body []byte, contentType string, err error) {
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
			if err := part(w, m.Key, s, v); err != nil {
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
func part(w *multipart.Writer, name string, s style, v *schema.Value) error {
	header := textproto.MIMEHeader{}
	disposition := `form-data; name="` + quoteHeader(name) + `"`
	var content []byte
	switch {
	case s.file:
		f, err := readFile(v)
		if err != nil {
			return err
		}
		content = f.content
		if f.name == "" {
			f.name = "file"
		}
		disposition += `; filename="` + quoteHeader(f.name) + `"`
		switch {
		case f.mimeType != "":
			header.Set("Content-Type", f.mimeType)
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

// quoteHeader escapes a name inside quotes as HTML forms do; a line break cannot end the line.
func quoteHeader(s string) string {
	s = strings.Map(func(r rune) rune {
		if isControl(r) && r != '\r' && r != '\n' {
			return -1
		}
		return r
	}, s)
	return strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(s)
}
