package openapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/translate"
	"weir/translate/schema"
)

// TestHints is the table of annotations: method, what a description and configuration say about it.
func TestHints(t *testing.T) {
	yes, no := true, false
	for name, tt := range map[string]struct {
		method, path, responses string
		hints                   translate.Hints
		want                    translate.Annotations
	}{
		"GET":          {"get", "/x", `{}`, translate.Hints{}, translate.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}},
		"QUERY":        {"query", "/x", `{}`, translate.Hints{}, translate.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}},
		"PUT":          {"put", "/x", `{}`, translate.Hints{}, translate.Annotations{Destructive: true, Idempotent: true, OpenWorld: true}},
		"DELETE":       {"delete", "/x", `{}`, translate.Hints{}, translate.Annotations{Destructive: true, Idempotent: true, OpenWorld: true}},
		"PATCH":        {"patch", "/x", `{}`, translate.Hints{}, translate.Annotations{Destructive: true, OpenWorld: true}},
		"POST":         {"post", "/x", `{"200":{"description":"d"}}`, translate.Hints{}, translate.Annotations{Destructive: true, OpenWorld: true}},
		"POST of 201":  {"post", "/x", `{"201":{"description":"d"},"400":{"description":"d"}}`, translate.Hints{}, translate.Annotations{OpenWorld: true}},
		"POST of both": {"post", "/x", `{"201":{"description":"d"},"200":{"description":"d"}}`, translate.Hints{}, translate.Annotations{Destructive: true, OpenWorld: true}},
		"a search":     {"post", "/things/search", `{}`, translate.Hints{}, translate.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}},
		"a verb":       {"post", "/things:query", `{}`, translate.Hints{ReadOnly: &yes}, translate.Annotations{ReadOnly: true, Destructive: true, OpenWorld: true}},
		"configured":   {"get", "/x", `{}`, translate.Hints{ReadOnly: &no, Destructive: &yes, Idempotent: &no, OpenWorld: &no}, translate.Annotations{Destructive: true}},
	} {
		t.Run(name, func(t *testing.T) {
			text := fmt.Sprintf(`{"openapi":"3.2.0","paths":{%q:{%q:{"operationId":"x","responses":%s}}}}`, tt.path, tt.method, tt.responses)
			tr := translateText(t, corpusFile{name: "x", text: []byte(text)}, Spec{Spec: translate.Spec{Tools: map[string]translate.Tool{"x": {Hints: tt.hints}}}})
			if got := tr.tools[0].Annotations; got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if item := listing(t, tr.tools[0]).Get("annotations"); item.True("readOnlyHint") != tt.want.ReadOnly {
				t.Errorf("listed as %s", item.JSON())
			}
		})
	}
}

// keys has the credentials of some schemes, whose names it puts on requests.
type keys []string

func (k keys) Has(name string) bool { return slices.Contains(k, name) }
func (k keys) Authorize(_ context.Context, r *http.Request, s translate.SecurityScheme, _ string) error {
	r.Header.Add("X-Used", s.Name)
	return nil
}
func (k keys) Renew(context.Context, translate.SecurityScheme, string) bool { return false }

// TestSecurityAlternatives: of the alternatives of an operation the first one holds all of whose schemes are configured; one of them may ask for nothing.
func TestSecurityAlternatives(t *testing.T) {
	for name, tt := range map[string]struct {
		operation string
		have      keys
		want      string
	}{
		"that of the description": {"", keys{"a"}, "[a]"},
		"its own":                 {`"security":[{"b":[]}],`, keys{"a", "b"}, "[b]"},
		"none":                    {`"security":[],`, keys{"a"}, "[]"},
		"the first":               {`"security":[{"a":[]},{"b":[]}],`, keys{"a", "b"}, "[a]"},
		"the one that is there":   {`"security":[{"a":[]},{"b":[]}],`, keys{"b"}, "[b]"},
		"both":                    {`"security":[{"a":[],"b":[]},{"c":[]}],`, keys{"a", "b", "c"}, "[a b]"},
		"half of both":            {`"security":[{"a":[],"b":[]},{"c":[]}],`, keys{"a", "c"}, "[c]"},
		"optional":                {`"security":[{"a":[]},{}],`, nil, "[]"},
		"nothing configured":      {`"security":[{"a":[]}],`, nil, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := func(name string) string { return fmt.Sprintf(`%q:{"type":"http","scheme":"bearer"}`, name) }
			text := `{"openapi":"3.0.0","security":[{"a":[]}],"components":{"securitySchemes":{` + scheme("a") + `,` + scheme("b") + `,` + scheme("c") + `}},"paths":{"/x":{"get":{` + tt.operation + `"operationId":"x","responses":{}}}}}`
			used := "not called"
			a := newAPI(t, text, Spec{Server: "https://h.test"}, translate.Options{Credentials: tt.have, Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				used = fmt.Sprint(r.Header.Values("X-Used"))
				w.WriteHeader(204)
			})}})
			if _, err := call(t, a, "x", `{}`); err != nil || used != tt.want {
				t.Errorf("used %s, want %s: %v", used, tt.want, err)
			}
		})
	}
}

// TestCuratedTools is what configuration changes about single operations, beside what TestCuration has.
func TestCuratedTools(t *testing.T) {
	const text = `{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/x":{"post":{"operationId":"x","description":"Long words.","requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["owner","body"],
		"properties":{"owner":{"type":"string"},"body":{"type":"string","description":"theirs"},"size":{"type":"integer"}}}},"text/plain":{"schema":{"type":"string"}}}},
		"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"type":"object","properties":{"number":{"type":"integer"}}}}}}}}}}}`
	var sent string
	slow := false
	api := func(change translate.Tool) *API {
		return newAPI(t, text, Spec{Server: "https://h.test", Spec: translate.Spec{Tools: map[string]translate.Tool{"x": change}}}, translate.Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
			if slow {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			data, _ := io.ReadAll(r.Body)
			sent = r.Header.Get("Content-Type") + " " + string(data)
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{"number":1,"items":[{"n":1},{"n":2}],"long":"` + strings.Repeat("x", 5000) + `"}`))}, nil
		})})
	}
	args := map[string]translate.Arg{"owner": {Fixed: literal(t, `"acme"`)}, "body": {Rename: "text", Description: "ours", Default: literal(t, `"none"`)}, "size": {Hide: true, Default: literal(t, "5")}}
	for name, tt := range map[string]struct {
		change               translate.Tool
		tool, arguments      string
		sent, listed, result string
	}{
		"arguments":      {translate.Tool{Args: args}, "x", `{"text":"hi"}`, `application/json {"owner":"acme","body":"hi","size":5}`, `{"text":{"type":"string","description":"ours","default":"none"}}`, `"number":1`},
		"a default":      {translate.Tool{Args: args}, "x", `{}`, `application/json {"owner":"acme","body":"none","size":5}`, "", `"number":1`},
		"what is fixed":  {translate.Tool{Args: args}, "x", `{"owner":"evil"}`, "", "", "`owner` is not an argument"},
		"what is hidden": {translate.Tool{Args: args}, "x", `{"size":9}`, "", "", "`size` is not an argument"},
		"the old name":   {translate.Tool{Args: args}, "x", `{"body":"hi"}`, "", "", "`body` is not an argument"},
		"name and words": {translate.Tool{Name: "make_x", Description: "Makes one."}, "make_x", `{"owner":"o","body":"b"}`, `application/json {"owner":"o","body":"b"}`, `"Makes one."`, `"number":1`},
		"media type":     {translate.Tool{Media: "text/plain"}, "x", `{"body":"b"}`, `text/plain b`, "", `"number":1`},
		"fields":         {translate.Tool{Result: translate.Shape{Fields: []string{"items.n"}}}, "x", `{"owner":"o","body":"b"}`, "*", "", `{"items":[{"n":1},{"n":2}]}`},
		"path":           {translate.Tool{Result: translate.Shape{Path: "items.#.n"}}, "x", `{"owner":"o","body":"b"}`, "*", "", `[1,2]`},
		"size":           {translate.Tool{Result: translate.Shape{MaxBytes: 300}}, "x", `{"owner":"o","body":"b"}`, "*", "", "1 texts are cut"},
	} {
		t.Run(name, func(t *testing.T) {
			sent = ""
			a := api(tt.change)
			got, err := call(t, a, tt.tool, tt.arguments)
			if err != nil || !strings.Contains(textOf(got), tt.result) {
				t.Errorf("got %v, %v", got, err)
			}
			if sent != tt.sent && tt.sent != "*" {
				t.Errorf("sent %q, want %q", sent, tt.sent)
			}
			if item := string(a.Source().Tools[0]); !strings.Contains(item, tt.listed) {
				t.Errorf("listed as %s", item)
			}
		})
	}
	slow = true
	if got, err := call(t, api(translate.Tool{Timeout: 50 * time.Millisecond}), "x", `{"owner":"o","body":"b"}`); err != nil || !strings.Contains(textOf(got), "did not answer within 50ms. It is not known whether") {
		t.Errorf("got %v, %v", got, err)
	}
}

// transport answers requests by itself.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFileChanges: a description that is written anew is read without being asked, and a call that is under way ends on the tool that it began with.
func TestFileChanges(t *testing.T) {
	changed, begun, end := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	a := newAPI(t, small, Spec{Server: "https://h.test"}, translate.Options{
		Changed: func() { changed <- struct{}{} },
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			if calls.Add(1) == 1 {
				close(begun)
				<-end
			}
			return &http.Response{StatusCode: 204, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
		}),
	})
	done := make(chan string, 1)
	go func() {
		got, err := call(t, a, "deleteThing", `{"id":"x"}`)
		done <- fmt.Sprint(textOf(got), err)
	}()
	<-begun
	next := filepath.Join(filepath.Dir(a.spec.OpenAPI), "next.json")
	if err := os.WriteFile(next, []byte(strings.Replace(small, `"deleteThing"`, `"removeThing"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, a.spec.OpenAPI); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("the change was not noticed")
	}
	if _, err := call(t, a, "deleteThing", `{"id":"x"}`); err == nil {
		t.Error("a tool that is gone can be called")
	}
	if got, err := call(t, a, "removeThing", `{"id":"x"}`); err != nil || textOf(got) != "Done (204)." {
		t.Errorf("got %v, %v", got, err)
	}
	close(end)
	if got := <-done; got != "Done (204).<nil>" {
		t.Errorf("the call that was under way: %s", got)
	}
}

// TestSearchAndDescribeAreShort: a search answers five operations in 2 kB, a description three in 16 kB, each by itself where one argument is asked for.
func TestSearchAndDescribeAreShort(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a large description")
	}
	f := corpus(t, "stripe")[0]
	a := newAPI(t, string(f.text), Spec{Server: "https://h.test", Spec: translate.Spec{Mode: translate.ModeDynamic}}, translate.Options{})
	found, err := call(t, a, "search_api", `{"query":"create a checkout session for a customer with a subscription"}`)
	if lines := strings.Split(textOf(found), "\n"); err != nil || len(textOf(found)) > 2<<10 || len(lines) != 5 {
		t.Errorf("%d lines: %v, %v", len(lines), found, err)
	}
	told, err := call(t, a, "describe_api", `{"names":["PostCheckoutSessions","PostSubscriptions","PostAccounts"]}`)
	if n := len(textOf(told)); err != nil || n > 16<<10 || n < 8<<10 || strings.Count(textOf(told), "Arguments: ") != 3 {
		t.Errorf("%d bytes, %v", n, err)
	}
	inner, err := call(t, a, "describe_api", `{"names":["PostCheckoutSessions"],"path":"line_items[0].price_data"}`)
	if err != nil || !strings.Contains(textOf(inner), "unit_amount_decimal") {
		t.Errorf("%v, %v", inner, err)
	}
	if _, rest, _ := strings.Cut(textOf(inner), "Arguments: "); !strings.HasPrefix(rest, `{"type":"object","properties":{"price_data":`) {
		t.Errorf("%.200s", rest)
	} else if _, err := schema.Parse([]byte(rest)); err != nil {
		t.Error(err)
	}
	four, err := call(t, a, "describe_api", `{"names":["GetAccount","GetBalance","GetCharges","GetCustomers"]}`)
	if err != nil || !strings.Contains(textOf(four), "GetCustomers") {
		t.Errorf("of four names the last one is passed over in silence: %v, %v", textOf(four)[max(0, len(textOf(four))-300):], err)
	}
}
