package openapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newAPI starts the API of a description.
func newAPI(t testing.TB, text string, spec Spec, o translate.Options) *API {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spec.OpenAPI = file
	if o.Upstream == "" {
		o.Upstream = "api"
	}
	if o.Transport == nil {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		o.Transport = transport
	}
	a, err := New(t.Context(), spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return a
}

// call calls a tool as the gateway does.
func call(t testing.TB, a *API, name, arguments string) (*schema.Value, error) {
	t.Helper()
	return callSeeing(t, a, nil, name, arguments)
}

// callSeeing calls a tool for a caller who may see some operations.
func callSeeing(t testing.TB, a *API, sees func(string) bool, name, arguments string) (*schema.Value, error) {
	t.Helper()
	text := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s,"_meta":{"progressToken":"p"}}}`, name, arguments)
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	answer, err := a.Call(t.Context(), &catalog.Call{Sees: sees, Method: "tools/call", Target: name, Message: m, Client: &catalog.Client{}, Owner: "me"})
	if err != nil {
		return nil, err
	}
	defer answer.Release()
	v, err := schema.Parse(answer.Message.Result.Of(answer.Message.Data))
	if err != nil {
		t.Fatal(err)
	}
	return v, nil
}

// textOf joins the text blocks of a result.
func textOf(v *schema.Value) string {
	var parts []string
	for _, m := range v.Array("content") {
		if s := m.Value.GetText("text"); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "\n")
}

const small = `{"openapi":"3.1.0","info":{"title":"Small","version":"1"},"paths":{
"/things/{id}":{
 "get":{"operationId":"getThing","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}},{"name":"page","in":"query","schema":{"type":"integer"}},
   {"name":"X-Trace","in":"header","schema":{"type":"string"}},{"name":"state","in":"query","schema":{"type":"string","enum":["open","closed","all"]}}],
   "responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}}}}}}}}},
 "put":{"operationId":"putThing","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],
   "requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["name"],"properties":{"id":{"type":"string"},"name":{"type":"string"},"size":{"type":"integer","format":"int64"}}}}}},
   "responses":{"204":{"description":"done"}}},
 "delete":{"operationId":"deleteThing","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"responses":{"204":{"description":"done"}}}},
"/list":{"get":{"operationId":"listThings","responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"type":"array","items":{"type":"object","properties":{"id":{"type":"integer"}}}}}}}}}}}}`

func TestCall(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Trace")+" "+string(body)))
		switch {
		case r.Method == "PUT" || r.Method == "DELETE":
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/v1/list":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `[{"id":9007199254740993}]`)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Link", `<https://x/v1/things/7?page=3>; rel="next"`)
			_, _ = io.WriteString(w, ` {"id": 9007199254740993, "name": "<b>", "extra": [1.50]} `)
		}
	}))
	defer server.Close()
	a := newAPI(t, small, Spec{Server: server.URL + "/v1"}, translate.Options{})
	tests := []struct {
		name, tool, arguments, request, text, structured string
		failed                                           bool
	}{
		{
			"a read", "getThing", `{"id":7,"page":2,"X-Trace":"a"}`, "GET /v1/things/7?page=2 a",
			`{"id":9007199254740993,"name":"<b>","extra":[1.50]}` + "\nThere is more: call again with page=3 and the same other arguments.",
			`{"id":9007199254740993,"name":"<b>","extra":[1.50]}`, false,
		},
		{"healed arguments", "getThing", `{"id":"7","page":null}`, "GET /v1/things/7", "", `{"id":9007199254740993,"name":"<b>","extra":[1.50]}`, false},
		{"a list is wrapped", "listThings", `{}`, "GET /v1/list", `[{"id":9007199254740993}]`, `{"result":[{"id":9007199254740993}]}`, false},
		{"picked fields", "getThing", `{"id":7,"fields":["name"]}`, "GET /v1/things/7", "", `{"name":"<b>"}`, false},
		{"a body beside a path of the same name", "putThing", `{"id__path":"a b/c","id":"x","name":"n","size":9007199254740993}`, `PUT /v1/things/a%20b%2Fc  {"id":"x","name":"n","size":9007199254740993}`, "Done (204).", "", false},
		{"missing", "putThing", `{"id__path":"a"}`, "", "The call was not sent; its arguments do not fit putThing.\n- `name` is missing (string; for example \"text\")", "", true},
		{"unknown", "deleteThing", `{"id":"a","idd":1}`, "", "The call was not sent; its arguments do not fit deleteThing.\n- `idd` is not an argument; did you mean `id`?", "", true},
		{"enumeration", "getThing", `{"id":1,"state":"opened"}`, "", "The call was not sent; its arguments do not fit getThing.\n- `state`: text \"opened\" is not one of open, closed, all; did you mean \"open\"?", "", true},
		{"twice", "deleteThing", `{"id":"a","id":"b"}`, "", "deleteThing: an argument stands there twice; nothing was sent.", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen = nil
			got, err := call(t, a, tt.tool, tt.arguments)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.request, strings.Join(seen, "\n")); diff != "" {
				t.Error(diff)
			}
			if text := textOf(got); tt.text != "" && text != tt.text {
				t.Error(cmp.Diff(tt.text, text))
			}
			structured := ""
			if s := got.Get("structuredContent"); s != nil {
				structured = s.JSON()
			}
			if diff := cmp.Diff(tt.structured, structured); diff != "" {
				t.Error(diff)
			}
			if got.True("isError") != tt.failed {
				t.Errorf("isError is %v", got.True("isError"))
			}
		})
	}
	if _, err := call(t, a, "nothing", `{}`); err == nil {
		t.Error("an unknown tool was called")
	}
}

// TestR17_BadArgumentsNeverReachTheAPI counts requests: none for a call whose arguments do not fit.
func TestR17_BadArgumentsNeverReachTheAPI(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { requests++; w.WriteHeader(204) }))
	defer server.Close()
	a := newAPI(t, small, Spec{Server: server.URL}, translate.Options{})
	for _, arguments := range []string{
		`{}`, `{"id":null}`, `{"id":["a","b"]}`, `{"id":{}}`, `{"id":""}`, `{"id":".."}`, `{"id":"a/../b"}`, `{"id":"%2e%2e"}`, `{"id":"a\u0000"}`, `{"id":"a\r\nb"}`,
		`{"id":"a","other":1}`, `{"id":"..;x"}`, `{"id":"a\\..\\b"}`, `{"id":"a","ID":"b"}`, `{"id":1e999999999}`,
	} {
		got, err := call(t, a, "deleteThing", arguments)
		if err != nil || !got.True("isError") {
			t.Errorf("%s was taken: %v", arguments, err)
		}
	}
	if requests != 0 {
		t.Errorf("%d requests", requests)
	}
}

// TestR20_WhatIsNoAnswer gives every kind of bad answer: each is a tool error that says what it is, and nothing else.
func TestR20_WhatIsNoAnswer(t *testing.T) {
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   string
	}{
		{"404 in problem form", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"title":"No thing","detail":"thing 7 is gone","errors":[{"field":"id"}]}`)
		}, "The API answered 404 Not Found: No thing; thing 7 is gone. It names the arguments `id`. Check the arguments that name what you look for."},
		{"429", func(w http.ResponseWriter) { w.Header().Set("Retry-After", "30"); w.WriteHeader(429) }, "The API answered 429 Too Many Requests. Try again in 30s."},
		{"500 with a page", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "<html><head><title>Oops</title></head><body>"+strings.Repeat("x", 9000))
		}, "The API answered 500 Internal Server Error: Oops. The fault is on the side of the API"},
		{"a page instead of JSON", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html><title>Sign in</title>")
		}, "The API answered with a web page instead of data (Sign in)."},
		{"a page called JSON", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "<html><title>Sign in</title>")
		}, "The API answered with a web page instead of JSON (Sign in)."},
		{"half a JSON", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":1,`)
		}, "The API answered JSON that cannot be read"},
		{"truncated", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"id":1}`)
		}, "The API answered, but the answer cannot be used: it ended after 8 bytes, before it was complete."},
		{"too long", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"name":"`+strings.Repeat("x", 3000)+`"}`)
		}, "The API answered, but the answer cannot be used: it is longer than 2.0 KiB."},
		{"a redirect elsewhere", func(w http.ResponseWriter) { w.Header().Set("Location", "http://other.test/"); w.WriteHeader(302) }, "The API answered 302 Found. It points elsewhere"},
		{"a redirect to itself", func(w http.ResponseWriter) { w.Header().Set("Location", "/things/7"); w.WriteHeader(302) }, "The API answered 302 Found. It points elsewhere"},
		{"nothing", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "The connection to the API failed before an answer came. It only reads, so it may be tried again."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) }))
			defer server.Close()
			a := newAPI(t, small, Spec{Server: server.URL, Spec: translate.Spec{MaxBody: 2048}}, translate.Options{})
			got, err := call(t, a, "getThing", `{"id":7}`)
			if err != nil {
				t.Fatal(err)
			}
			if !got.True("isError") || !strings.HasPrefix(textOf(got), tt.want) {
				t.Errorf("got %s", got.JSON())
			}
			if strings.Contains(got.JSON(), server.URL) {
				t.Error("the address of the server is told")
			}
		})
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	a := newAPI(t, small, Spec{Server: server.URL}, translate.Options{})
	if got, err := call(t, a, "getThing", `{"id":7}`); err != nil || !strings.HasPrefix(textOf(got), "The API could not be reached; nothing was sent.") {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestMockRoundTrip calls every operation of some descriptions through the whole API against their mocks: each answer is a success, and its
// structuredContent fits the published output schema.
func TestMockRoundTrip(t *testing.T) {
	called, passed := 0, 0
	for _, prefix := range []string{"petstore", "museum", "github", "stripe", "kubernetes-2", "box", "twilio", "slack", "asana", "adyen", "oas-examples", "oai-learn", "okta"} {
		for _, f := range corpus(t, prefix) {
			if strings.Contains(f.name, "separate") || testing.Short() && len(f.text) > 200_000 {
				continue
			}
			c, p := mockRoundTrip(t, f)
			called, passed = called+c, passed+p
		}
	}
	t.Logf("%d operations called, %d passed (%.2f %%)", called, passed, 100*float64(passed)/float64(called))
	if passed*100 < called*99 {
		t.Error("fewer than 99 % pass")
	}
}

// direct serves requests without a network.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

func mockRoundTrip(t *testing.T, f corpusFile) (called, passed int) {
	t.Helper()
	mock, err := NewMock(f.text)
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, string(f.text), Spec{Server: "https://mock.test", Spec: translate.Spec{Mode: translate.ModeTools}}, translate.Options{Transport: direct{mock}})
	for _, x := range translateText(t, f, Spec{}).tools {
		s := schema.Sampler{Defs: x.Input.Full.Defs}
		arguments := s.Value(x.Input.Full.Root).JSON()
		called++
		got, err := call(t, a, x.Name, arguments)
		if err != nil {
			t.Fatal(err)
		}
		if got.True("isError") {
			t.Logf("%s: %s: %s", f.name, x.Name, schema.Shorten(textOf(got), 200))
			continue
		}
		if fault := fitsOutput(x, got); fault != "" {
			t.Logf("%s: %s: %s", f.name, x.Name, fault)
			continue
		}
		passed++
	}
	return called, passed
}

// fitsOutput checks a result against what the list says about it.
func fitsOutput(x *tool, result *schema.Value) string {
	item, err := schema.Parse(x.Raw)
	if err != nil {
		return err.Error()
	}
	output := item.Get("outputSchema")
	if output == nil {
		return ""
	}
	check, err := schema.Compile(schema.Full{Root: output, Defs: schema.NewDefs()}, schema.Untrusted())
	if err != nil {
		return err.Error()
	}
	if result.Get("structuredContent") == nil {
		return "no structuredContent"
	}
	if faults := check.Check(result.Get("structuredContent").Plain()); len(faults) > 0 {
		return fmt.Sprint(faults)
	}
	return ""
}

var _ translate.Credentials = nothing{}

// nothing has no credentials.
type nothing struct{}

func (nothing) Has(string) bool { return false }
func (nothing) Authorize(context.Context, *http.Request, translate.SecurityScheme, string) error {
	return nil
}
func (nothing) Renew(context.Context, translate.SecurityScheme, string) bool { return false }
