package translate

import (
	"encoding/base64"
	"errors"
	"mime"
	"net/url"
	"strings"

	"weir/translate/schema"
)

// File is what a model gave as a file.
type File struct {
	Content  []byte
	Name     string
	MimeType string
}

// FileArgument is the schema of a file that a model gives.
func FileArgument(text string) *schema.Value {
	property := func(name, description string) schema.Member {
		return schema.Member{Key: name, Value: schema.Map(
			schema.Member{Key: "type", Value: schema.Text("string")}, schema.Member{Key: "description", Value: schema.Text(description)},
		)}
	}
	v := schema.Map(
		schema.Member{Key: "type", Value: schema.Text("object")},
		schema.Member{Key: "properties", Value: schema.Map(
			property("text", "the content, when it is text"), property("data", "the content in base64 or as a data: URI, when it is not"),
			property("filename", "the name of the file"), property("mimeType", "its media type, such as text/csv"),
		)},
		schema.Member{Key: "additionalProperties", Value: schema.Boolean(false)},
	)
	v.Get("properties").Get("mimeType").Put("pattern", schema.Text(`^[^/\s]+/[^/\s]+$`))
	if text == "" {
		text = "A file."
	}
	return Described(v, text)
}

// ReadFile reads a file argument: {text or data, filename, mimeType}, or plain text. data is base64 or a data: URI (RFC 2397), whose media type holds where
// none is given. The address of a resource is refused: whoever reads it would have to ask for it in the name of the caller, so the caller gives its
// content. The error goes behind the name of the argument.
func ReadFile(v *schema.Value) (File, error) {
	if v.Is(schema.String) {
		return File{Content: []byte(v.Text)}, nil
	}
	f := File{Name: v.GetText("filename"), MimeType: v.GetText("mimeType")}
	text, data := v.Get("text"), v.Get("data")
	embedded, isURI := readDataURI(data)
	if isURI && f.MimeType == "" {
		f.MimeType = embedded.MimeType
	}
	if f.MimeType != "" {
		if name, _, err := mime.ParseMediaType(f.MimeType); err != nil || !strings.Contains(name, "/") || strings.ContainsFunc(f.MimeType, isControl) {
			return f, errors.New("has a mimeType that is none")
		}
	}
	switch {
	case isURI && embedded.Content == nil:
		return f, errors.New("has data that is no data: URI as RFC 2397 has it")
	case isURI:
		f.Content = embedded.Content
	case data != nil && strings.Contains(data.Text, "://"):
		return f, errors.New("has the address of a resource for data, which is not read; give its content, in base64 or as text")
	case data != nil && (data.Text != "" || text == nil):
		content, err := decodeBase64(data.Text)
		if err != nil {
			return f, errors.New("has data that is not base64")
		}
		f.Content = content
	case text != nil:
		f.Content = []byte(text.Text)
	}
	return f, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// readDataURI reads what a data: URI holds; Content is nil when it cannot be read.
func readDataURI(data *schema.Value) (f File, isURI bool) {
	if data == nil || len(data.Text) < len("data:") || !strings.EqualFold(data.Text[:len("data:")], "data:") {
		return f, false
	}
	kind, text, found := strings.Cut(data.Text[len("data:"):], ",")
	var encoded bool
	if kind, encoded = strings.CutSuffix(kind, ";base64"); strings.HasPrefix(kind, ";") {
		kind = "text/plain" + kind
	}
	f.MimeType = kind
	text, err := url.PathUnescape(text)
	if !found || err != nil {
		return f, true
	}
	f.Content = []byte(text)
	if encoded {
		if f.Content, err = decodeBase64(text); err != nil {
			f.Content = nil
		}
	}
	return f, true
}

// decodeBase64 takes both alphabets, with and without padding.
func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(strings.NewReplacer("\n", "", "\r", "", " ", "", "-", "+", "_", "/").Replace(s), "=")
	return base64.RawStdEncoding.DecodeString(s)
}

// QuoteHeader escapes a name inside quotes as HTML forms do; a line break cannot end the line.
func QuoteHeader(s string) string {
	s = strings.Map(func(r rune) rune {
		if isControl(r) && r != '\r' && r != '\n' {
			return -1
		}
		return r
	}, s)
	return strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(s)
}
