package openapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"weir/translate"
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
	f.Add([]byte(`{"openapi":"3.0.0","paths":{"/a":{"post":{"requestBody":{"content":{"application/xml":{"schema":{"allOf":[{"$ref":"#/components/schemas/B"},{"properties":{"i":{"readOnly":true}},"xml":{"wrapped":true}}]}}}}}}},"components":{"schemas":{"B":{"required":["i"],"properties":{"i":{"$ref":"#/components/schemas/B"}},"discriminator":{"propertyName":"i","mapping":{"a":"B","b":"#/x"}}}}}}`))
	f.Add([]byte(`{"openapi":"3.1.0","paths":{"/a":{"post":{"requestBody":{"content":{"multipart/form-data":{"schema":{"properties":{"f":{"contentMediaType":"a/b"},"l":{"items":{"format":"binary"}}}},"encoding":{"f":{"contentType":"x/y","style":"deepObject"}}}}},"callbacks":{"a":{}},"responses":{"200":{"links":{"a":{}},"content":{"a/b":{"itemSchema":{"pattern":"(?=x)"}}}}}}}},"webhooks":{"a":1}}`))
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

// FuzzReplies answers anything: the result is a message, its text is cut to the limit, and structuredContent is what the published output schema says.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{`{"id":1,"name":null,"tags":["a"]}`, `[1,2]`, `{"id":{"a":[]}}`, `{"a":1`, `<html><title>x</title>`, "data: {\"a\":1}\n\n", "\x1e{\"a\":1}\n", "\x89PNG\r\n\x1a\n", `"\ud800"`, `{"next":"https://h.test/things/1?page=2"}`, `{"error":{"message":"m","details":[{"field":"page"}]}}`} {
		for _, kind := range []string{"application/json", "text/event-stream", "application/x-ndjson", "image/png", "text/plain; charset=latin1", "", "a/b;c"} {
			f.Add([]byte(s), kind, `<https://h.test/x?page=2>; rel="next"`, uint16(200))
		}
		f.Add([]byte(s), "application/problem+json", "x", uint16(404))
	}
	var status int
	var body []byte
	header := make(http.Header)
	a := newAPI(f, small, Spec{Server: "https://h.test", Spec: translate.Spec{MaxText: 4000}}, translate.Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1, Request: r}, nil
	})})
	item, err := schema.Parse(a.Source().Tools[0])
	if err != nil {
		f.Fatal(err)
	}
	check, err := schema.Compile(schema.Full{Root: item.Get("outputSchema"), Defs: schema.NewDefs()}, schema.Untrusted())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, kind, link string, code uint16) {
		body, status = data, int(code)%500+100
		header = http.Header{"Content-Type": {kind}, "Link": {link}, "Location": {link}, "Retry-After": {link}, "Content-Disposition": {kind}}
		for _, arguments := range []string{`{"id":7}`, `{"id":7,"fields":["tags","id"],"all_pages":true}`} {
			got, err := call(t, a, "getThing", arguments)
			if err != nil {
				t.Fatalf("%q: %v", data, err)
			}
			if structured := got.Get("structuredContent"); structured != nil && !got.True("isError") {
				if faults := check.Check(structured.Plain()); len(faults) > 0 && kindOf(kind) != mediaStream && kindOf(kind) != mediaLines {
					t.Errorf("%q as %q: %s does not fit what is published: %+v", data, kind, structured.JSON(), faults)
				}
			}
			if len(textOf(got)) > 20_000 {
				t.Errorf("%q: %d bytes", data, len(textOf(got)))
			}
		}
	})
}

// FuzzOverlay applies any overlay: it never panics, and what is left can be translated.
func FuzzOverlay(f *testing.F) {
	for _, s := range []string{`$.paths['/things/{id}'].get`, `$.paths.*.get.parameters[?(@.name=='page')]`, `$..parameters[*]`, `$`, `$.paths["/list"]`, `$.paths.*`, `$[`, `$..`, `$.a[?(@`, `$.info.title`, `$.paths[0:2]`} {
		f.Add(s, `{"a":[1]}`, false)
		f.Add(s, `{}`, true)
	}
	f.Fuzz(func(t *testing.T, target, update string, remove bool) {
		text, err := json.Marshal(map[string]any{"overlay": "1.0.0", "actions": []any{map[string]any{"target": target, "update": json.RawMessage(update), "remove": remove}}})
		if err != nil {
			return
		}
		d, err := open("", []byte(small), [][]byte{text}, nil)
		if err != nil {
			return
		}
		b := &builder{spec: &Spec{Server: "https://h.test"}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
		for _, x := range b.build() {
			if _, err := schema.Parse(x.Raw); err != nil {
				t.Errorf("%s: %v", x.Raw, err)
			}
		}
	})
}
