package translate

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/translate/schema"
)

// resources are a gateway's.
type resources map[string]catalog.Content

// ReadResource implements catalog.ResourceReader.
func (r resources) ReadResource(_ context.Context, uri string) (catalog.Content, error) {
	if uri == "long:" {
		return catalog.Content{}, catalog.Errorf(catalog.Invalid, "%s", strings.Repeat("é", 1000))
	}
	if c, ok := r[uri]; ok {
		return c, nil
	}
	return catalog.Content{}, catalog.NoSuch(catalog.Resource, uri)
}

func TestReadFile(t *testing.T) {
	const cannot, instead = "names a resource that cannot be read: ", ". Give a URI that resources/list shows, or the content in base64 or as text"
	held := resources{
		"notes://all/r%20s.csv?x=1": {MimeType: "text/csv", Data: []byte("a,b")},
		"odd:1":                     {MimeType: "text/plain\r\nX: y", Data: []byte{0, 255}},
	}
	for _, tt := range []struct {
		name, argument string
		want           File
		fault          string
	}{
		{"plain text", `"a,b"`, File{Content: []byte("a,b")}, ""},
		{"text", `{"text":"a,b","filename":"x.csv","mimeType":"text/csv"}`, File{Content: []byte("a,b"), Name: "x.csv", MimeType: "text/csv"}, ""},
		{"base64", `{"data":"AP8="}`, File{Content: []byte{0, 255}}, ""},
		{"base64 of the other alphabet, without padding", `{"data":"-_8"}`, File{Content: []byte{0xfb, 0xff}}, ""},
		{"data URI in base64", `{"data":"data:image/png;base64,AP8="}`, File{Content: []byte{0, 255}, MimeType: "image/png"}, ""},
		{"data URI in text", `{"data":"data:text/csv;charset=utf-8,a%2Cb"}`, File{Content: []byte("a,b"), MimeType: "text/csv;charset=utf-8"}, ""},
		{"data URI with its type left out", `{"data":"DATA:,a"}`, File{Content: []byte("a")}, ""},
		{"data URI with parameters alone", `{"data":"data:;charset=utf-8,a"}`, File{Content: []byte("a"), MimeType: "text/plain;charset=utf-8"}, ""},
		{"data URI that is empty", `{"data":"data:;base64,"}`, File{Content: []byte{}}, ""},
		{"a type of its own wins", `{"data":"data:text/plain,a","mimeType":"text/csv"}`, File{Content: []byte("a"), MimeType: "text/csv"}, ""},
		{"no base64", `{"data":"!"}`, File{}, "has data that is not base64"},
		{"data URI without content", `{"data":"data:text/plain"}`, File{}, "has data that is no data: URI as RFC 2397 has it"},
		{"data URI that is broken", `{"data":"data:;base64,!"}`, File{}, "has data that is no data: URI as RFC 2397 has it"},
		{"data URI whose type breaks a line", `{"data":"data:text/plain\r\nX: y,a"}`, File{}, "has a mimeType that is none"},
		{"an address for data", `{"data":"file:///etc/passwd"}`, File{}, "has an address for data; give the URI of a resource as resource, or the content in base64 or as text"},
		{"a resource", `{"resource":"notes://all/r%20s.csv?x=1"}`, File{Content: []byte("a,b"), Name: "r s.csv", MimeType: "text/csv"}, ""},
		{"a resource under another name and type", `{"resource":"notes://all/r%20s.csv?x=1","filename":"n","mimeType":"a/b"}`, File{Content: []byte("a,b"), Name: "n", MimeType: "a/b"}, ""},
		{"a resource whose type breaks a line", `{"resource":"odd:1"}`, File{Content: []byte{0, 255}}, ""},
		{"a resource that is not there", `{"resource":"file:///etc/passwd"}`, File{}, cannot + `unknown resource "file:///etc/passwd"` + instead},
		{"a reason that is too long", `{"resource":"long:"}`, File{}, cannot + strings.Repeat("é", 248) + "…" + instead},
		{"a resource and text", `{"resource":"odd:1","text":"a"}`, File{}, "has a resource and content of its own; give one of them"},
		{"a resource and data", `{"resource":"odd:1","data":"!"}`, File{}, "has a resource and content of its own; give one of them"},
		{"a resource and empty text", `{"resource":"odd:1","text":""}`, File{Content: []byte{0, 255}}, ""},
	} {
		v, err := schema.Parse([]byte(tt.argument))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(t.Context(), held, v)
		fault := ""
		if err != nil {
			fault = err.Error()
		}
		if fault != tt.fault {
			t.Errorf("%s: %q, want %q", tt.name, fault, tt.fault)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
