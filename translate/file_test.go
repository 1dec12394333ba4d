package translate

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/translate/schema"
)

func TestReadFile(t *testing.T) {
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
		{"data URI without content", `{"data":"data:text/plain"}`, File{MimeType: "text/plain"}, "has data that is no data: URI as RFC 2397 has it"},
		{"data URI that is broken", `{"data":"data:;base64,!"}`, File{}, "has data that is no data: URI as RFC 2397 has it"},
		{"data URI whose type breaks a line", `{"data":"data:text/plain\r\nX: y,a"}`, File{MimeType: "text/plain\r\nX: y"}, "has a mimeType that is none"},
		{"a file", `{"data":"file:///etc/passwd"}`, File{}, "has the address of a resource for data, which is not read; give its content, in base64 or as text"},
		{"a resource", `{"data":"notes://1"}`, File{}, "has the address of a resource for data, which is not read; give its content, in base64 or as text"},
	} {
		v, err := schema.Parse([]byte(tt.argument))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(v)
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
