package translate

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"path"
	"strings"

	"weir/catalog"
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
			property("resource", "the URI of a resource of this MCP server to send instead"), property("filename", "the name of the file"), property("mimeType", "its media type, such as text/csv"),
		)},
		schema.Member{Key: "additionalProperties", Value: schema.Boolean(false)},
	)
	v.Get("properties").Get("mimeType").Put("pattern", schema.Text(`^[^/\s]+/[^/\s]+$`))
	if text == "" {
		text = "A file."
	}
	return Described(v, text)
}

// ReadFile reads a file argument: {text, data or resource, filename, mimeType}, or plain text. data is base64 or a data: URI (RFC 2397). resource is the URI
// of a resource of the gateway, which from reads in the name of the caller; no other address is ever opened. A media type and a name that are not given are those
// of the data: URI or the resource. The error goes behind the name of the argument.
func ReadFile(ctx context.Context, from catalog.ResourceReader, v *schema.Value) (File, error) {
	if v.Is(schema.String) {
		return File{Content: []byte(v.Text)}, nil
	}
	f := File{Name: v.GetText("filename"), MimeType: v.GetText("mimeType")}
	if f.MimeType != "" && !isMediaType(f.MimeType) {
		return f, errors.New("has a mimeType that is none")
	}
	text, data, uri := v.Get("text"), v.Get("data"), v.GetText("resource")
	switch {
	case uri != "" && (text != nil && text.Text != "" || data != nil && data.Text != ""):
		return f, errors.New("has a resource and content of its own; give one of them")
	case uri != "":
		return f, f.readResource(ctx, from, uri)
	case data != nil && (data.Text != "" || text == nil):
		return f, f.readData(data.Text)
	case text != nil:
		f.Content = []byte(text.Text)
	}
	return f, nil
}

// readData reads base64 or a data: URI.
func (f *File) readData(data string) error {
	embedded, isURI := readDataURI(data)
	switch {
	case isURI && embedded.Content == nil:
		return errors.New("has data that is no data: URI as RFC 2397 has it")
	case isURI && f.MimeType == "" && embedded.MimeType != "" && !isMediaType(embedded.MimeType):
		return errors.New("has a mimeType that is none")
	case isURI:
		f.Content = embedded.Content
		if f.MimeType == "" {
			f.MimeType = embedded.MimeType
		}
	case strings.Contains(data, "://"):
		return errors.New("has an address for data; give the URI of a resource as resource, or the content in base64 or as text")
	default:
		content, err := decodeBase64(data)
		if err != nil {
			return errors.New("has data that is not base64")
		}
		f.Content = content
	}
	return nil
}

// maxReason bounds, in bytes, what is passed on of why a resource cannot be read.
const maxReason = 500

// readResource reads the resource of a URI.
func (f *File) readResource(ctx context.Context, from catalog.ResourceReader, uri string) error {
	if from == nil {
		return errors.New("names a resource, and there are none here; give its content, in base64 or as text")
	}
	content, err := from.ReadResource(ctx, uri)
	if err != nil {
		return fmt.Errorf("names a resource that cannot be read: %s. Give a URI that resources/list shows, or the content in base64 or as text",
			strings.TrimSuffix(schema.Shorten(schema.Clean(err.Error()), maxReason), "."))
	}
	f.Content = content.Data
	if f.MimeType == "" && isMediaType(content.MimeType) {
		f.MimeType = content.MimeType
	}
	if u, err := url.Parse(uri); err == nil && f.Name == "" {
		if base := path.Base(u.Path); base != "." && base != "/" {
			f.Name = base
		}
	}
	return nil
}

// isMediaType reports whether s can stand as a media type in a header.
func isMediaType(s string) bool {
	name, _, err := mime.ParseMediaType(s)
	return err == nil && strings.Contains(name, "/") && !strings.ContainsFunc(s, isControl)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// readDataURI reads what a data: URI holds; Content is nil when it cannot be read.
func readDataURI(data string) (f File, isURI bool) {
	if len(data) < len("data:") || !strings.EqualFold(data[:len("data:")], "data:") {
		return f, false
	}
	kind, text, found := strings.Cut(data[len("data:"):], ",")
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
