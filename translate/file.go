package translate

import (
	"encoding/base64"
	"errors"
	"mime"
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
			property("text", "the content, when it is text"), property("data", "the content in base64, when it is not"),
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

// ReadFile reads a file argument: {text or data, filename, mimeType}, or plain text. The error goes behind the name of the argument.
func ReadFile(v *schema.Value) (File, error) {
	if v.Is(schema.String) {
		return File{Content: []byte(v.Text)}, nil
	}
	f := File{Name: v.GetText("filename"), MimeType: v.GetText("mimeType")}
	if f.MimeType != "" {
		if name, _, err := mime.ParseMediaType(f.MimeType); err != nil || !strings.Contains(name, "/") || strings.ContainsFunc(f.MimeType, isControl) {
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
		f.Content = content
	case text != nil:
		f.Content = []byte(text.Text)
	}
	return f, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// decodeBase64 takes both alphabets, with and without padding, and the form of data: URIs.
func decodeBase64(s string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(s, "data:"); ok {
		_, s, _ = strings.Cut(rest, ";base64,")
	}
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
