package openapi

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"weir/translate/schema"
)

const fuzzed = `{"openapi":"3.1.0","servers":[{"url":"https://h.test:8443/v1"}],"paths":{"/a/{id}/b/{name}.json":{"post":{
"parameters":[{"name":"id","in":"path","required":true,"schema":{}},{"name":"name","in":"path","required":true,"schema":{}},
{"name":"q","in":"query","schema":{}},{"name":"deep","in":"query","style":"deepObject","schema":{}},{"name":"r","in":"query","allowReserved":true,"schema":{}},
{"name":"X-H","in":"header","schema":{}},{"name":"c","in":"cookie","schema":{}}],
"requestBody":{"content":{"multipart/form-data":{"schema":{"type":"object","properties":{"f":{"type":"string","format":"binary"},"t":{}}}}}},"responses":{}}}}}`

// FuzzArguments sends anything as arguments: the URL keeps scheme, host and the shape of the template, headers stay inside their lines.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{"../x", "%2e%2e", "a\r\nHost: evil", "//evil.test", "?x=1#y", `\..\`, "a;b", "\x00", "é", "..", "@evil", "a/../../b", "%252e%252e/", "."} {
		for _, p := range []string{"id", "name", "q", "r", "X-H", "c", "deep"} {
			f.Add(p, s, uint8(0))
		}
	}
	f.Add("deep", "]&x=", uint8(2))
	d, err := open("", []byte(fuzzed), nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	b := &builder{spec: &Spec{}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
	x := b.build()[0]
	shape := regexp.MustCompile(`^/v1/a/[^/?#]+/b/[^/?#]+\.json$`)
	f.Fuzz(func(t *testing.T, parameter, value string, form uint8) {
		arguments := map[string]any{"id": "1", "name": "n"}
		switch form % 4 {
		case 0:
			arguments[parameter] = value
		case 1:
			arguments[parameter] = []string{value, "x"}
		case 2:
			arguments[parameter] = map[string]string{value: value}
		case 3:
			arguments["f"] = map[string]string{"text": value, "filename": value}
		}
		raw, err := json.Marshal(arguments)
		if err != nil {
			return
		}
		args, refused := x.Input.Accept(raw)
		if refused != nil {
			return
		}
		out, err := x.plan.outgoing(t.Context(), nil, args, "")
		if err != nil {
			return
		}
		r := out.request()
		u, err := url.Parse(r.URL.String())
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if u.Scheme != "https" || u.Host != "h.test:8443" || r.Host != "h.test:8443" || u.Fragment != "" || u.User != nil || !shape.MatchString(u.EscapedPath()) {
			t.Errorf("%s became %s", raw, u)
		}
		for segment := range strings.SplitSeq(u.Path, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("%s became %s", raw, u)
			}
		}
		for name, values := range r.Header {
			for _, v := range values {
				if !token(name) || strings.ContainsAny(v, "\r\n\x00") {
					t.Errorf("%s became header %q: %q", raw, name, v)
				}
			}
		}
		for head := range strings.SplitSeq(string(out.body), "\r\n\r\n") {
			if i := strings.LastIndex(head, "Content-Disposition:"); i >= 0 && form%4 == 3 && strings.Count(head[i:], "\n") > 1 && !strings.Contains(head[i:], "Content-Type:") {
				t.Errorf("%s became %q", raw, head)
			}
		}
	})
}

// FuzzDescription translates any text: it never panics, and what becomes a tool is a valid item.
func FuzzDescription(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(fuzzed))
	f.Add([]byte("swagger: '2.0'\nhost: h\npaths:\n  /a/{b}:\n    get:\n      parameters:\n      - {in: formData, name: x, type: file}\n      responses: {200: {schema: {$ref: '#/definitions/A'}}}\ndefinitions: {A: {allOf: [{$ref: '#/definitions/A'}], required: [x]}}\n"))
	f.Add([]byte("openapi: 3.0.0\npaths: &p\n  /x: {get: *p}\n"))
	f.Add([]byte(`{"openapi":"3.0","paths":{"/a":{"$ref":"#/paths/~1a"}}}`))
	f.Add([]byte(`{"openapi":"3.1","paths":{"/a":{"post":{"requestBody":{"content":{"application/json":{"schema":{"oneOf":[{"$ref":"#/x"}],"discriminator":{"propertyName":"t","mapping":{"a":"B"}}}}}}}}},"components":{"schemas":{"B":true}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		d, err := open("", text, nil, nil)
		if err != nil {
			return
		}
		b := &builder{spec: &Spec{Server: "https://h.test"}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
		for _, x := range b.build() {
			item, err := schema.Parse(x.Raw)
			if err != nil {
				t.Fatalf("%s: %v", x.Raw, err)
			}
			if err := profile(item.Get("inputSchema"), true); err != nil {
				t.Errorf("%s: %v", x.Raw, err)
			}
			if _, err := x.Input.Check(); err != nil {
				t.Errorf("%s: %v\n%s", x.Name, err, x.Input.Full.Value().JSON())
			}
			s := schema.Sampler{Defs: x.Input.Full.Defs, Optional: true}
			if args, refused := x.Input.Accept([]byte(s.Value(x.Input.Full.Root).JSON())); refused == nil {
				_, _ = x.plan.outgoing(t.Context(), nil, args, "") // an error is an answer; a panic is not
			}
		}
	})
}
