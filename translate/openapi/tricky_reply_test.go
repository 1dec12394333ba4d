package openapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"weir/translate"
	"weir/translate/schema"
)

func trickyReplies(t *testing.T) {
	text := answering("3.0.0", `{"type":"object","additionalProperties":false,"required":["id","name","list"],"properties":{"id":{"type":"integer","minimum":1},"name":{"type":"string","enum":["a"],"maxLength":1},"list":{"type":"array","minItems":2,"items":{"type":"object","required":["k"],"properties":{"k":{"type":"string"}}}}}}`, "")
	x, _ := one(t, text)
	output := listing(t, x).Get("outputSchema")
	for _, word := range []string{"required", "enum", "minimum", "maxLength", "minItems", "additionalProperties"} {
		if strings.Contains(output.JSON(), `"`+word+`"`) {
			t.Errorf("%s is published: %s", word, output.JSON())
		}
	}
	for _, path := range []string{"id", "name", "list"} {
		if !strings.Contains(output.Get("properties").Get(path).Get("type").JSON(), `"null"`) {
			t.Errorf("%s may not be null: %s", path, output.JSON())
		}
	}
	check, err := schema.Compile(schema.Full{Root: output, Defs: schema.NewDefs()}, schema.Untrusted())
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"id":1,"name":"a","list":[{"k":"v"}]}`, `{}`, `{"id":null,"name":null,"list":null}`, `{"id":0,"name":"long","list":[],"more":{"x":1}}`, `{"id":"text","name":7,"list":{"k":1}}`,
		`{"list":[null,3,{"k":4}]}`, `[]`, `"text"`, `7`, `null`, `[{"id":1}]`,
	} {
		got := answered(t, text, Spec{}, `{}`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})
		if got.True("isError") || !strings.HasPrefix(textOf(got), body) {
			t.Errorf("%s became %s", body, got.JSON())
		}
		structured := got.Get("structuredContent")
		if structured == nil {
			t.Errorf("%s has no structuredContent", body)
			continue
		}
		if faults := check.Check(structured.Plain()); len(faults) > 0 {
			t.Errorf("%s does not fit what is published: %+v", structured.JSON(), faults)
		}
	}
}

func trickyBinary(t *testing.T) {
	const text = `{"openapi":"3.0.0","paths":{"/x":{"get":{"operationId":"x","responses":{"200":{"description":"d","content":{"*/*":{}}}}}}}}`
	png := "\x89PNG\r\n\x1a\n0000"
	encoded := base64.StdEncoding.EncodeToString
	large := strings.Repeat("\x00\x01", maxBlob)
	sum := sha256.Sum256([]byte(large))
	for name, tt := range map[string]struct{ contentType, body, want string }{
		"image":              {"image/png", png, `"type":"image","data":"` + encoded([]byte(png)) + `","mimeType":"image/png"`},
		"image of no type":   {"application/octet-stream", png, `"type":"image"`},
		"image without any":  {"", png, `"type":"image"`},
		"audio":              {"audio/wav", "abc", `"type":"audio"`},
		"plain text":         {"text/plain", "hi", `"type":"text","text":"hi"`},
		"markdown":           {"text/markdown; charset=utf-8", "# hi", `"type":"text","text":"# hi"`},
		"CSV":                {"text/csv", "a,b", `"type":"text","text":"a,b"`},
		"vendor JSON":        {"application/vnd.api+json", `{"a": 1}`, `"type":"text","text":"{\"a\":1}"`},
		"vendor XML":         {"application/atom+xml", "<a/>", `"type":"text","text":"<a/>"`},
		"XML":                {"application/xml", "<a/>", `"type":"text","text":"<a/>"`},
		"drawing":            {"image/svg+xml", "<svg/>", `"type":"text","text":"<svg/>"`},
		"YAML":               {"application/yaml", "a: 1", `"type":"text","text":"a: 1"`},
		"script":             {"application/javascript", "a()", `"type":"text","text":"a()"`},
		"text as bytes":      {"application/octet-stream", "just text", `"type":"text","text":"just text"`},
		"archive":            {"application/zip", "PK\x03\x04", `"type":"resource","resource":{"uri":"blob:sha256:`},
		"archive of no type": {"", "PK\x03\x04\x00\x00", `"mimeType":"application/zip"`},
		"too large":          {"application/zip", large, hex.EncodeToString(sum[:])},
	} {
		t.Run(name, func(t *testing.T) {
			got := answered(t, text, Spec{}, `{}`, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{tt.contentType}
				if tt.contentType == "" {
					w.Header()["Content-Type"] = nil
				}
				_, _ = io.WriteString(w, tt.body)
			})
			if got.True("isError") || !strings.Contains(got.JSON(), tt.want) {
				t.Errorf("got %s", schema.Shorten(got.JSON(), 400))
			}
			link := fmt.Sprintf(`{"type":"resource_link","uri":"https://h.test/x","name":"x","mimeType":"application/zip","size":%d}`, len(large))
			if name == "too large" && !strings.Contains(got.JSON(), link) {
				t.Errorf("no link in %s", schema.Shorten(got.JSON(), 400))
			}
			if name == "too large" && (!strings.Contains(got.JSON(), "8.0 MiB of application/zip") || len(got.JSON()) > 1000) {
				t.Errorf("got %s", schema.Shorten(got.JSON(), 400))
			}
		})
	}
}

// TestLinksAreOpen: a client is sent to the API itself only where it needs nothing that the gateway has.
func TestLinksAreOpen(t *testing.T) {
	large := strings.Repeat("\x00\x01", maxBlob)
	operation := func(method, rest string) string {
		return `{"openapi":"3.0.0","components":{"securitySchemes":{"key":{"type":"apiKey","in":"query","name":"k"}}},"paths":{"/x":{"` + method + `":{` + rest + `"operationId":"x","responses":{"200":{"description":"d","content":{"*/*":{}}}}}}}}`
	}
	for name, tt := range map[string]struct {
		text, server, arguments string
		tool                    translate.Tool
		options                 translate.Options
		link                    bool
	}{
		"open":             {operation("get", ""), "https://h.test", `{}`, translate.Tool{}, translate.Options{}, true},
		"with a query":     {operation("get", `"parameters":[{"name":"q","in":"query","schema":{"type":"string"}}],`), "https://h.test", `{"q":"a b"}`, translate.Tool{}, translate.Options{}, true},
		"a POST":           {operation("post", ""), "https://h.test", `{}`, translate.Tool{}, translate.Options{}, false},
		"with a key":       {operation("get", `"security":[{"key":[]}],`), "https://h.test", `{}`, translate.Tool{}, translate.Options{Credentials: keys{"key"}}, false},
		"with a header":    {operation("get", `"parameters":[{"name":"X-A","in":"header","schema":{"type":"string"}}],`), "https://h.test", `{"X-A":"a"}`, translate.Tool{}, translate.Options{}, false},
		"with a hidden":    {operation("get", `"parameters":[{"name":"q","in":"query","schema":{"type":"string"}}],`), "https://h.test", `{}`, translate.Tool{Args: map[string]translate.Arg{"q": {Fixed: literal(t, `"inner"`)}}}, translate.Options{}, false},
		"headers for all":  {operation("get", ""), "https://h.test", `{}`, translate.Tool{}, translate.Options{Headers: http.Header{"X-Key": {"secret"}}}, false},
		"without TLS":      {operation("get", ""), "http://h.test", `{}`, translate.Tool{}, translate.Options{}, false},
		"a number":         {operation("get", ""), "https://10.0.0.1", `{}`, translate.Tool{}, translate.Options{}, false},
		"a name of inside": {operation("get", ""), "https://inner:8443", `{}`, translate.Tool{}, translate.Options{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tt.options.Transport = direct{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/zip")
				_, _ = io.WriteString(w, large)
			})}
			a := newAPI(t, tt.text, Spec{Server: tt.server, Spec: translate.Spec{Tools: map[string]translate.Tool{"x": tt.tool}}}, tt.options)
			got, err := call(t, a, "x", tt.arguments)
			if err != nil || strings.Contains(got.JSON(), "resource_link") != tt.link {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func trickyToolNames(t *testing.T) {
	operation := func(id string) string { return fmt.Sprintf(`{"operationId":%q,"responses":{}}`, id) }
	long := strings.Repeat("very/long-Name ", 10)
	text := fmt.Sprintf(`{"openapi":"3.0.0","paths":{"/a":{"get":%s,"put":%s},"/b":{"get":%s,"put":%s},"/users/{id}/repos":{"get":{"responses":{}}},"/c":{"get":%s},"/d":{"get":{"x-mcp-name":"chosen","operationId":"other","responses":{}}}}}`,
		operation(long+"1"), operation(long+"2"), operation("same"), operation("same"), operation("issues/list-for repo"))
	names := make(map[string]string)
	for _, x := range translateText(t, corpusFile{name: "x", text: []byte(text)}, Spec{}).tools {
		if len(x.Name) > translate.NameLimit("api") || translate.PortableName(x.Name) != x.Name {
			t.Errorf("name %q", x.Name)
		}
		for other, name := range names {
			if name == x.Name {
				t.Errorf("%s and %s are both called %s", other, x.identity, name)
			}
		}
		names[x.identity] = x.Name
	}
	if names["GET /users/{id}/repos"] != "get_users_by_id_repos" || names["GET /c"] != "issues_list-for_repo" || names["GET /d"] != "chosen" {
		t.Errorf("names %v", names)
	}
	if !strings.HasPrefix(names["GET /b"], "same_") || !strings.HasPrefix(names["PUT /b"], "same_") {
		t.Errorf("of two alike, one kept the name: %v", names)
	}
	for _, upstream := range []string{"a", strings.Repeat("u", 24)} {
		if n := translate.NameLimit(upstream) + len(upstream) + len("__"); n > translate.MaxPublic {
			t.Errorf("with %s in front a name has %d characters", upstream, n)
		}
	}
}

func trickyCost(t *testing.T) {
	paths := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"/p%d":{"get":{"operationId":"op%d","description":%q,"responses":{}}}`, i, i, strings.Repeat("words ", 60)))
		}
		return `{"openapi":"3.0.0","paths":{` + strings.Join(all, ",") + `}}`
	}
	for n, dynamic := range map[int]bool{20: false, 400: true} {
		tr := translateText(t, corpusFile{name: "x", text: []byte(paths(n))}, Spec{})
		r := tr.state.Report
		if r.Dynamic != dynamic || r.Tools != n || r.Tokens < n*80 || len(r.Costs) != n || r.Median == 0 || r.Largest < r.Median {
			t.Errorf("%d operations: dynamic %v, %d tools, %d tokens", n, r.Dynamic, r.Tools, r.Tokens)
		}
		if listed := len(tr.state.Source.Tools); dynamic && listed != 3 || !dynamic && listed != n {
			t.Errorf("%d operations: %d are listed", n, listed)
		}
	}
}

func trickyLarge(t *testing.T) {
	var rows []string
	for i := range 7 {
		rows = append(rows, fmt.Sprintf(`{"id":%d,"log":%q}`, i, strings.Repeat("x", 9000)))
	}
	body := `{"count":7,"results":[` + strings.Join(rows, ",") + `]}`
	got := answered(t, strings.Replace(answering("3.0.0", `{"type":"object"}`, ""), `"responses"`, `"parameters":[{"name":"limit","in":"query","schema":{"type":"integer"}}],"responses"`, 1),
		Spec{Spec: translate.Spec{MaxText: 30_000}}, `{}`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})
	text := textOf(got)
	value, note, _ := strings.Cut(text, "\n")
	v, err := schema.Parse([]byte(value))
	if err != nil || len(value) > 30_000 || v.GetText("count") != "7" && v.Get("count").Text != "7" {
		t.Errorf("%d bytes, %v", len(value), err)
	}
	if !strings.Contains(note, "`results` shows the first 3 of 7 elements") || !strings.Contains(note, "limit") || !strings.Contains(note, "fields") {
		t.Errorf("what is cut and how to get the rest is told as %q", note)
	}
	if len(v.Array("results")) != 3 {
		t.Errorf("%d rows are left", len(v.Array("results")))
	}
}

// trickyOAuth: a token that the API refuses is asked for once more, and one call is repeated once. How tokens are kept is tested where they are: package cred.
func trickyOAuth(t *testing.T) {
	TestCredentials(t)
}

func trickyWebhooks(t *testing.T) {
	const text = `{"openapi":"3.1.0","webhooks":{"made":{"post":{"operationId":"hook","responses":{}}},"gone":{"post":{"responses":{}}}},"paths":{"/x":{"post":{"operationId":"x","callbacks":{"done":{"{$request.body#/url}":{"post":{"operationId":"called","responses":{}}}}},
		"responses":{"200":{"description":"d","links":{"next":{"operationId":"x"},"other":{"operationId":"x"}}}}}}}}`
	x, warnings := one(t, text)
	if x.Name != "x" {
		t.Errorf("the tool is %s", x.Name)
	}
	warned(t, warnings, "", "2 webhooks, 1 callback and 2 links are not used")
	only := translateText(t, corpusFile{name: "x", text: []byte(`{"openapi":"3.1.0","webhooks":{"made":{"post":{"responses":{}}}}}`)}, Spec{})
	if len(only.tools) > 0 {
		t.Error("a webhook became a tool")
	}
	warned(t, only.state.Report.Warnings, "", "1 webhook is not used")
}

func trickyDeprecated(t *testing.T) {
	text := `{"openapi":"3.0.0","paths":{"/old":{"get":{"operationId":"oldPets","summary":"List pets","deprecated":true,"responses":{}}},"/new":{"get":{"operationId":"newPets","summary":"List pets","parameters":[{"name":"q","in":"query","deprecated":true,"description":"words","schema":{"type":"string"}}],"responses":{}}}}}`
	tr := translateText(t, corpusFile{name: "x", text: []byte(text)}, Spec{})
	if len(tr.tools) != 2 {
		t.Fatalf("%d tools", len(tr.tools))
	}
	if words := listing(t, tr.tools[0]).GetText("description"); !strings.HasPrefix(words, "Deprecated. List pets") {
		t.Errorf("the description is %q", words)
	}
	if words := argumentOf(t, tr.tools[1], "q").GetText("description"); words != "Deprecated. words" {
		t.Errorf("the description of the argument is %q", words)
	}
	if kept := translateText(t, corpusFile{name: "x", text: []byte(text)}, Spec{Spec: translate.Spec{Exclude: []string{"is:deprecated"}}}).tools; len(kept) != 1 || kept[0].Name != "newPets" {
		t.Errorf("%d tools are left without the deprecated ones", len(kept))
	}
	index := translate.NewIndex([]translate.Document{tr.tools[0].Document, tr.tools[1].Document})
	if hits := index.Search("list pets", 5, func(int) bool { return true }); len(hits) != 2 || hits[0] != 1 {
		t.Errorf("the search found %v", hits)
	}
}
