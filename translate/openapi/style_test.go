package openapi

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"weir/translate/schema"
)

// styleDescription is a description with one parameter, or one form member.
func styleDescription(version, in, style string, explode string, rest string) string {
	path, required := "/x", "false"
	if in == "path" {
		path, required = "/x/{color}", "true"
	}
	attributes := ""
	if style != "" {
		attributes += fmt.Sprintf(`"style":%q,`, style)
	}
	if explode != "" {
		attributes += `"explode":` + explode + `,`
	}
	return fmt.Sprintf(`{"openapi":%q,"info":{"title":"t","version":"1"},"paths":{%q:{"get":{"operationId":"op","parameters":[{"name":"color","in":%q,"required":%s,%s%s}],"responses":{"204":{"description":"d"}}}}}}`,
		version, path, in, required, attributes, rest)
}

// sent builds the request of arguments.
func sent(t testing.TB, text, arguments string, spec Spec) (*http.Request, error) {
	t.Helper()
	tr := translateText(t, corpusFile{name: "test", text: []byte(text)}, spec)
	if len(tr.tools) != 1 {
		t.Fatalf("%d tools: %v", len(tr.tools), tr.state.Report.Warnings)
	}
	x := tr.tools[0]
	args, refused := x.Input.Accept([]byte(arguments))
	if refused != nil {
		a, err := refused.Answer()
		if err != nil {
			t.Fatal(err)
		}
		return nil, fmt.Errorf("refused: %s", a.Message.Data)
	}
	out, err := x.plan.outgoing(t.Context(), nil, args, spec.Arrays)
	if err != nil {
		return nil, err
	}
	return out.request(), nil
}

// TestCheck7_Styles holds every cell of the style tables of OpenAPI 3.0 (section 4.7.12.4) and 3.1 (4.8.12.4): the values are those of the specification,
// color = "", "blue", [blue, black, brown], {R: 100, G: 200, B: 150}.
func TestCheck7_Styles(t *testing.T) {
	const anyOf3 = `"schema":{"type":["string","array","object"]}`
	const any30 = `"schema":{}`
	values := map[string]string{"empty": `""`, "string": `"blue"`, "array": `["blue","black","brown"]`, "object": `{"R":100,"G":200,"B":150}`}
	tests := []struct {
		in, style, explode string
		want               map[string]string
	}{
		{"path", "matrix", "false", map[string]string{"string": ";color=blue", "array": ";color=blue,black,brown", "object": ";color=R,100,G,200,B,150"}},
		{"path", "matrix", "true", map[string]string{"string": ";color=blue", "array": ";color=blue;color=black;color=brown", "object": ";R=100;G=200;B=150"}},
		{"path", "label", "false", map[string]string{"string": ".blue", "array": ".blue,black,brown", "object": ".R,100,G,200,B,150"}},
		{"path", "label", "true", map[string]string{"string": ".blue", "array": ".blue.black.brown", "object": ".R=100.G=200.B=150"}},
		{"path", "simple", "false", map[string]string{"string": "blue", "array": "blue,black,brown", "object": "R,100,G,200,B,150"}},
		{"path", "simple", "true", map[string]string{"string": "blue", "array": "blue,black,brown", "object": "R=100,G=200,B=150"}},
		{"path", "", "", map[string]string{"string": "blue", "array": "blue,black,brown", "object": "R,100,G,200,B,150"}},
		{"query", "form", "false", map[string]string{"empty": "color=", "string": "color=blue", "array": "color=blue,black,brown", "object": "color=R,100,G,200,B,150"}},
		{"query", "form", "true", map[string]string{"empty": "color=", "string": "color=blue", "array": "color=blue&color=black&color=brown", "object": "R=100&G=200&B=150"}},
		{"query", "", "", map[string]string{"empty": "color=", "string": "color=blue", "array": "color=blue&color=black&color=brown", "object": "R=100&G=200&B=150"}},
		{"query", "spaceDelimited", "false", map[string]string{"array": "color=blue%20black%20brown", "object": "color=R%20100%20G%20200%20B%20150"}},
		{"query", "pipeDelimited", "false", map[string]string{"array": "color=blue%7Cblack%7Cbrown", "object": "color=R%7C100%7CG%7C200%7CB%7C150"}},
		{"query", "deepObject", "true", map[string]string{"object": "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"}},
		{"header", "simple", "false", map[string]string{"empty": "", "string": "blue", "array": "blue,black,brown", "object": "R,100,G,200,B,150"}},
		{"header", "simple", "true", map[string]string{"string": "blue", "array": "blue,black,brown", "object": "R=100,G=200,B=150"}},
		{"cookie", "form", "false", map[string]string{"empty": "color=", "string": "color=blue", "array": "color=blue,black,brown", "object": "color=R,100,G,200,B,150"}},
		{"cookie", "form", "true", map[string]string{"string": "color=blue", "array": "color=blue; color=black; color=brown", "object": "R=100; G=200; B=150"}},
	}
	for _, tt := range tests {
		for kind, want := range tt.want {
			for version, rest := range map[string]string{"3.0.4": any30, "3.1.1": anyOf3, "3.2.0": anyOf3} {
				r, err := sent(t, styleDescription(version, tt.in, tt.style, tt.explode, rest), `{"color":`+values[kind]+`}`, Spec{})
				if err != nil {
					t.Errorf("%s %s %s %s: %v", tt.in, tt.style, tt.explode, kind, err)
					continue
				}
				var got string
				switch tt.in {
				case "path":
					got = strings.TrimPrefix(r.URL.EscapedPath(), "/base/x/")
				case "query":
					got = r.URL.RawQuery
				case "header":
					got = r.Header.Get("color")
				case "cookie":
					got = r.Header.Get("Cookie")
				}
				if got != want {
					t.Errorf("%s: in %s, style %q, explode %s, %s: got %s, want %s", version, tt.in, tt.style, tt.explode, kind, got, want)
				}
			}
		}
	}
}

// TestCheck7_FormStyles is the table for the members of a form, which their encoding writes like parameters of a query.
func TestCheck7_FormStyles(t *testing.T) {
	values := map[string]string{"empty": `""`, "string": `"blue"`, "array": `["blue","black","brown"]`, "object": `{"R":100,"G":200,"B":150}`, "nothing": `[]`, "reserved": `"a/b?c"`}
	const plain = "color=R%2C100%2CG%2C200%2CB%2C150"
	for encoding, cells := range map[string]map[string]string{
		``: {
			"empty": "color=", "string": "color=blue", "array": "color=blue&color=black&color=brown", "object": "color=%7B%22R%22%3A100%2C%22G%22%3A200%2C%22B%22%3A150%7D", "nothing": "color=",
		},
		`"style":"form","explode":true`:            {"empty": "color=", "string": "color=blue", "array": "color=blue&color=black&color=brown", "object": "R=100&G=200&B=150", "nothing": "color="},
		`"style":"form"`:                           {"array": "color=blue&color=black&color=brown", "object": "R=100&G=200&B=150"},
		`"explode":true`:                           {"array": "color=blue&color=black&color=brown", "object": "R=100&G=200&B=150"},
		`"style":"form","explode":false`:           {"empty": "color=", "string": "color=blue", "array": "color=blue,black,brown", "object": strings.ReplaceAll(plain, "%2C", ",")},
		`"explode":false`:                          {"array": "color=blue,black,brown"},
		`"style":"spaceDelimited","explode":false`: {"array": "color=blue%20black%20brown", "object": strings.ReplaceAll(plain, "%2C", "%20")},
		`"style":"pipeDelimited","explode":false`:  {"array": "color=blue%7Cblack%7Cbrown", "object": strings.ReplaceAll(plain, "%2C", "%7C")},
		`"style":"spaceDelimited","explode":true`:  {"array": "color=blue&color=black&color=brown"},
		`"style":"pipeDelimited","explode":true`:   {"array": "color=blue&color=black&color=brown"},
		`"style":"deepObject","explode":true`:      {"object": "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150", "array": "color%5B0%5D=blue&color%5B1%5D=black&color%5B2%5D=brown", "nothing": "color="},
		`"contentType":"application/json"`:         {"array": "color=%5B%22blue%22%2C%22black%22%2C%22brown%22%5D", "string": "color=%22blue%22"},
		`"contentType":"text/plain"`:               {"string": "color=blue"},
		`"style":"form","allowReserved":true`:      {"reserved": "color=a/b?c"},
		`"style":"form","allowReserved":false`:     {"reserved": "color=a%2Fb%3Fc"},
	} {
		for kind, want := range cells {
			for _, version := range []string{"3.0.4", "3.1.1", "3.2.0"} {
				text := fmt.Sprintf(`{"openapi":%q,"paths":{"/x":{"post":{"requestBody":{"required":true,"content":{"application/x-www-form-urlencoded":{"schema":{"type":"object","properties":{"color":{}}},"encoding":{"color":{%s}}}}},"responses":{}}}}}`, version, encoding)
				r, err := sent(t, text, `{"color":`+values[kind]+`}`, Spec{})
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != want {
					t.Errorf("%s: {%s}, %s: got %s, want %s, %v", version, encoding, kind, body, want, err)
				}
			}
		}
	}
	for format, want := range map[string]string{"csv": "color=a,b%2Cc", "ssv": "color=a%20b%2Cc", "tsv": "color=a%09b%2Cc", "pipes": "color=a%7Cb%2Cc", "multi": "color=a&color=b%2Cc"} {
		text := fmt.Sprintf(`{"swagger":"2.0","host":"h.test","paths":{"/x":{"post":{"parameters":[{"name":"color","in":"formData","type":"array","items":{"type":"string"},"collectionFormat":%q}],"responses":{}}}}}`, format)
		r, err := sent(t, text, `{"color":["a","b,c"]}`, Spec{})
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != want {
			t.Errorf("%s: got %s, want %s, %v", format, body, want, err)
		}
	}
}

// TestCheck7_CollectionFormats is the table of Swagger 2.0.
func TestCheck7_CollectionFormats(t *testing.T) {
	for format, want := range map[string]string{"csv": "color=a,b%2Cc", "ssv": "color=a%20b%2Cc", "tsv": "color=a%09b%2Cc", "pipes": "color=a%7Cb%2Cc", "multi": "color=a&color=b%2Cc", "": "color=a,b%2Cc"} {
		text := fmt.Sprintf(`{"swagger":"2.0","host":"h.test","paths":{"/x":{"get":{"parameters":[{"name":"color","in":"query","type":"array","items":{"type":"string"},"collectionFormat":%q}],"responses":{}}}}}`, format)
		r, err := sent(t, text, `{"color":["a","b,c"]}`, Spec{})
		if err != nil {
			t.Fatal(err)
		}
		if r.URL.RawQuery != want {
			t.Errorf("%q: got %s, want %s", format, r.URL.RawQuery, want)
		}
	}
}

// TestParameterForms is what stands beside the styles.
func TestParameterForms(t *testing.T) {
	tests := []struct{ name, rest, arguments, want string }{
		{"reserved characters are escaped", `"schema":{"type":"string"}`, `{"color":"a/b?c&d=e#f é+%"}`, "color=a%2Fb%3Fc%26d%3De%23f%20%C3%A9%2B%25"},
		{"allowReserved keeps those that end nothing", `"allowReserved":true,"schema":{"type":"string"}`, `{"color":"a/b?c:d,e&f=g#h"}`, "color=a/b?c:d,e%26f%3Dg%23h"},
		{"content is JSON", `"content":{"application/json":{"schema":{"type":"object"}}}`, `{"color":{"a":[1]}}`, "color=%7B%22a%22%3A%5B1%5D%7D"},
		{"an integer that is written as a fraction", `"schema":{"type":"integer"}`, `{"color":3.0}`, "color=3"},
		{"a large integer", `"schema":{"type":"integer"}`, `{"color":9007199254740993}`, "color=9007199254740993"},
		{"null is left out", `"schema":{"type":["string","null"]}`, `{"color":null}`, ""},
		{"an empty list is left out", `"schema":{"type":"array","items":{}}`, `{"color":[]}`, ""},
		{"a nested value becomes JSON", `"schema":{"type":"array","items":{}}`, `{"color":[{"a":1}]}`, "color=%7B%22a%22%3A1%7D"},
		{"lists in deepObject", `"style":"deepObject","schema":{"type":"object"}`, `{"color":{"a":[1,2],"b":{"c":"x"}}}`, "color%5Ba%5D%5B0%5D=1&color%5Ba%5D%5B1%5D=2&color%5Bb%5D%5Bc%5D=x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := sent(t, styleDescription("3.1.0", "query", "", "", tt.rest), tt.arguments, Spec{})
			if err != nil {
				t.Fatal(err)
			}
			if r.URL.RawQuery != tt.want {
				t.Errorf("got %s, want %s", r.URL.RawQuery, tt.want)
			}
		})
	}
}

// bodyOf builds the body of an operation with one request body.
func bodyOf(t *testing.T, media, content, arguments string) (body, contentType string) {
	t.Helper()
	text := fmt.Sprintf(`{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/x":{"post":{"requestBody":{"required":true,"content":{%q:%s}},"responses":{}}}}}`, media, content)
	tr := translateText(t, corpusFile{name: "test", text: []byte(text)}, Spec{})
	args, refused := tr.tools[0].Input.Accept([]byte(arguments))
	if refused != nil {
		a, err := refused.Answer()
		t.Fatalf("%s: %v", a.Message.Data, err)
	}
	out, err := tr.tools[0].plan.outgoing(t.Context(), nil, args, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(out.body), out.header.Get("Content-Type")
}

func TestBodies(t *testing.T) {
	tests := []struct{ name, media, content, arguments, want string }{
		{"JSON", "application/json", `{"schema":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":["string","null"]}}}}`, `{"b":null,"a":1}`, `{"a":1,"b":null}`},
		{"JSON whole", "application/json", `{"schema":{"type":"array","items":{"type":"integer"}}}`, `{"body":[1,2]}`, `[1,2]`},
		{"a vendor type", "application/vnd.x+json", `{"schema":{"type":"object","properties":{"a":{}}}}`, `{"a":{"b":[]}}`, `{"a":{"b":[]}}`},
		{
			"form", "application/x-www-form-urlencoded", `{"schema":{"type":"object","properties":{"a":{"type":"string"},"l":{"type":"array","items":{"type":"string"}},"o":{"type":"object"}}}}`,
			`{"a":"x y&z","l":["1","2"],"o":{"k":"v"}}`, `a=x%20y%26z&l=1&l=2&o=%7B%22k%22%3A%22v%22%7D`,
		},
		{
			"form, as Stripe nests", "application/x-www-form-urlencoded", `{"schema":{"type":"object","properties":{"m":{"type":"object"},"items":{"type":"array","items":{"type":"object"}}}},
			"encoding":{"m":{"style":"deepObject","explode":true},"items":{"style":"deepObject","explode":true}}}`,
			`{"m":{"order":"6735","n":{"x":1}},"items":[{"price":"p","quantity":2}]}`,
			`m%5Border%5D=6735&m%5Bn%5D%5Bx%5D=1&items%5B0%5D%5Bprice%5D=p&items%5B0%5D%5Bquantity%5D=2`,
		},
		{"text", "text/plain", `{"schema":{"type":"string"}}`, `{"body":"a\nb"}`, "a\nb"},
		{"bytes", "application/octet-stream", `{}`, `{"body":{"data":"AAEC"}}`, "\x00\x01\x02"},
		{
			"XML", "application/xml", `{"schema":{"type":"object","xml":{"name":"pet"},"properties":{"id":{"type":"integer","xml":{"attribute":true}},"tags":{"type":"array","xml":{"name":"tags","wrapped":true},"items":{"type":"string","xml":{"name":"tag"}}},"n":{"type":"string"}}}}`,
			`{"body":{"id":1,"tags":["a","<b>"],"n":"x&y"}}`, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<pet id="1"><tags><tag>a</tag><tag>&lt;b&gt;</tag></tags><n>x&amp;y</n></pet>`,
		},
		{"lines", "application/x-ndjson", `{"itemSchema":{"type":"object"}}`, `{"body":[{"a":1},{"a":2}]}`, "{\"a\":1}\n{\"a\":2}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := bodyOf(t, tt.media, tt.content, tt.arguments); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMultipart(t *testing.T) {
	body, contentType := bodyOf(t, "multipart/form-data", `{"schema":{"type":"object","properties":{"note":{"type":"string"},"meta":{"type":"object"},"file":{"type":"string","format":"binary"}}}}`,
		`{"note":"hi","meta":{"a":1},"file":{"text":"hello","filename":"a\"\r\nX: y.txt","mimeType":"text/plain"}}`)
	boundary, ok := strings.CutPrefix(contentType, "multipart/form-data; boundary=")
	if !ok {
		t.Fatal(contentType)
	}
	want := strings.ReplaceAll("--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n"+
		"--B\r\nContent-Disposition: form-data; name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n"+
		"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22%0D%0AX: y.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--B--\r\n", "B", boundary)
	if body != want {
		t.Errorf("got %q, want %q", body, want)
	}
}

// TestR18_WhereRequestsGo composes URLs from what the description and the configuration say.
func TestR18_WhereRequestsGo(t *testing.T) {
	operation := `"get":{"responses":{}}`
	three := func(servers string) string {
		return `{"openapi":"3.0.3","servers":` + servers + `,"paths":{"/p":{` + operation + `}}}`
	}
	tests := []struct {
		name, text string
		spec       Spec
		base, want string
	}{
		{"a port and a prefix", three(`[{"url":"https://h.test:8443/v1/"}]`), Spec{}, "", "https://h.test:8443/v1/p"},
		{"https before http", three(`[{"url":"http://a.test"},{"url":"https://b.test"}]`), Spec{}, "", "https://b.test/p"},
		{"the configured server wins", three(`[{"url":"https://a.test/v1"}]`), Spec{Server: "http://127.0.0.1:9/x"}, "", "http://127.0.0.1:9/x/p"},
		{"relative to the description", three(`[{"url":"/v2"}]`), Spec{}, "https://h.test:444/api/openapi.json", "https://h.test:444/v2/p"},
		{"no servers", `{"openapi":"3.0.0","paths":{"/p":{` + operation + `}}}`, Spec{}, "https://h.test/api/openapi.json", "https://h.test/p"},
		{"variables", three(`[{"url":"https://{site}.test/{v}","variables":{"site":{"default":"eu","enum":["eu","us"]},"v":{"default":"v1"}}}]`), Spec{Variables: map[string]string{"site": "us"}}, "", "https://us.test/v1/p"},
		{"a variable outside its list", three(`[{"url":"https://{site}.test","variables":{"site":{"default":"eu","enum":["eu","us"]}}}]`), Spec{Variables: map[string]string{"site": "evil.test#"}}, "", ""},
		{"a server of the operation", `{"openapi":"3.0.3","servers":[{"url":"https://a.test"}],"paths":{"/p":{"get":{"servers":[{"url":"https://up.test"}],"responses":{}}}}}`, Spec{}, "", "https://up.test/p"},
		{"a server of the path", `{"openapi":"3.0.3","servers":[{"url":"https://a.test"}],"paths":{"/p":{"servers":[{"url":"https://path.test"}],"get":{"responses":{}}}}}`, Spec{}, "", "https://path.test/p"},
		{"2.0", `{"swagger":"2.0","host":"h.test:81","basePath":"/v1","schemes":["http"],"paths":{"/p":{` + operation + `}}}`, Spec{}, "", "http://h.test:81/v1/p"},
		{"2.0 with https", `{"swagger":"2.0","host":"h.test","schemes":["http","https"],"paths":{"/p":{` + operation + `}}}`, Spec{}, "", "https://h.test/p"},
		{"a fragment in the path", `{"openapi":"3.0.3","servers":[{"url":"https://a.test"}],"paths":{"/p#copy":{` + operation + `}}}`, Spec{}, "", "https://a.test/p"},
		{"a file server", three(`[{"url":"file:///etc"}]`), Spec{}, "", ""},
		{"a user in the server", three(`[{"url":"https://u:p@a.test"}]`), Spec{}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := open("", []byte(tt.text), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			b := &builder{spec: &tt.spec, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
			if tt.base != "" {
				b.base = mustURL(t, tt.base)
			}
			tools := b.build()
			if len(tools) != 1 {
				t.Fatalf("%d tools, %v", len(tools), d.warnings)
			}
			got := ""
			if out, err := tools[0].plan.outgoing(t.Context(), nil, schema.Map(), ""); err == nil {
				got = out.url.String()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
