package graphql

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/translate"
	"weir/translate/schema"
)

// answering is a server that answers one thing, with a count of its requests.
func answering(t *testing.T, status int, header http.Header, body string) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		requests.Add(1)
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "schema.graphql")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestResponses(t *testing.T) {
	jsonType := http.Header{"Content-Type": {"application/json"}}
	response := http.Header{"Content-Type": {mediaResponse}}
	limited := func(pairs ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		failed bool
		want   string // in the text
	}{
		"data":                   {200, jsonType, `{"data":{"a":1}}`, false, `{"data":{"a":1}}`},
		"extensions":             {200, jsonType, `{"data":{"a":1}, "extensions":{"cost":{"actual": 3}}}`, false, `{"data":{"a":1},"extensions":{"cost":{"actual":3}}}`},
		"null":                   {200, response, `{"data":{"a":null}}`, false, `{"data":{"a":null}}`},
		"partial":                {200, response, `{"data":{"a":null,"b":2},"errors":[{"message":"no a","path":["a",0,"x"],"extensions":{"code":"GONE"}},{"message":"and more."}]}`, false, "Parts of the data are missing: no a (at a.0.x, code GONE); and more."},
		"errors and null":        {200, response, `{"data":{"a":null},"errors":[{"message":"no a"}],"extensions":{"x":1}}`, true, "errors and no data: no a."},
		"errors only":            {400, response, `{"errors":[{"message":"bad"}]}`, true, "errors and no data: bad. Change the arguments; the same call will fail again."},
		"data with a bad status": {500, response, `{"data":{"a":1},"errors":[{"message":"x"}]}`, false, `{"data":{"a":1}`},
		"errors of no form":      {200, response, `{"errors":["x",7,{"path":"y"}]}`, true, "an error without a message; an error without a message"},
		"GitHub's rate limit":    {200, limited("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "2000000000"), `{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`, true, "Try again after 2033-05-18T03:33:20Z."},
		"Shopify's throttle":     {200, jsonType, `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":202,"throttleStatus":{"maximumAvailable":1000,"currentlyAvailable":118,"restoreRate":50}}}}`, true, "Try again in 2s."},
		"the draft's rate limit": {429, limited("RateLimit", `"default";r=0;t=7`), `{"errors":[{"message":"slow down"}]}`, true, "Try again in 7s."},
		"retry after":            {503, limited("Retry-After", "3"), `overloaded`, true, "The API answered 503 Service Unavailable. Try again in 3s."},
		"a limit without a time": {200, jsonType, `{"errors":[{"message":"x","extensions":{"code":"TOO_MANY_REQUESTS"}}]}`, true, "Too many calls: wait before the next one."},
		"not signed in":          {200, jsonType, `{"errors":[{"message":"who?","extensions":{"code":"UNAUTHENTICATED"}}]}`, true, "a matter of configuration"},
		"not allowed":            {401, jsonType, `{"message":"Bad credentials"}`, true, "The API answered 401 Unauthorized: Bad credentials. The credentials"},
		"a web page":             {200, http.Header{"Content-Type": {"text/html"}}, `<html><title>Sign in</title>`, true, "no response of GraphQL but a web page"},
		"a list":                 {200, jsonType, `[{"data":{}}]`, true, "no response of GraphQL"},
		"nothing":                {200, jsonType, ``, true, "no response of GraphQL"},
		"cut off":                {200, limited("Content-Length", "100"), `{"data":`, true, "it ended after"},
		"too long":               {200, jsonType, `{"data":{"a":"` + strings.Repeat("x", 3000) + `"}}`, true, "longer than 2.0 KiB. Ask for less"},
		"a redirect":             {307, limited("Location", "http://127.0.0.1:9/"), ``, true, "It points elsewhere"},
		"deep":                   {200, jsonType, `{"data":` + strings.Repeat("[", 900) + strings.Repeat("]", 900) + `}`, true, "no response of GraphQL"},
		"two keys":               {200, jsonType, `{"data":{"a":1},"data":{"a":2}}`, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := answering(t, c.status, c.header, c.body)
			a := newAPI(t, Spec{GraphQL: url, Schema: writeFile(t, "type Query { a: Int b: Int }"), Spec: translate.Spec{MaxBody: 2 << 10}}, translate.Options{})
			got := call(t, a, "a", `{}`)
			if c.want != "" && (got.True("isError") != c.failed || !strings.Contains(textOf(got), c.want)) {
				t.Errorf("got %s", got.JSON())
			}
			if requests.Load() != 1 {
				t.Errorf("%d requests", requests.Load())
			}
		})
	}
}

// A result that is too large is cut to valid JSON, and says so.
func TestLargeResult(t *testing.T) {
	var items []string
	for i := range 2000 {
		items = append(items, fmt.Sprintf(`{"id":"%d","text":"%s"}`, i, strings.Repeat("y", 100)))
	}
	url, _ := answering(t, 200, http.Header{"Content-Type": {"application/json"}}, `{"data":{"a":[`+strings.Join(items, ",")+`]}}`)
	a := newAPI(t, Spec{GraphQL: url, Schema: writeFile(t, "type Query { a: [T] } type T { id: ID text: String }")}, translate.Options{})
	got := call(t, a, "a", `{}`)
	text := got.Array("content")[0].Value.GetText("text")
	if len(text) > 64<<10 || !json.Valid([]byte(text)) || !strings.Contains(textOf(got), "`data.a` shows the first") {
		t.Errorf("%d bytes: %s", len(text), textOf(got)[len(text):])
	}
}

// key is a credential for tests.
type key struct {
	value   atomic.Pointer[string]
	renewed atomic.Int32
}

func (k *key) Has(name string) bool { return name == credential }

func (k *key) Authorize(_ context.Context, r *http.Request, _ translate.SecurityScheme, _ string) error {
	r.Header.Set("Authorization", "Bearer "+*k.value.Load())
	return nil
}

func (k *key) Renew(context.Context, translate.SecurityScheme, string) bool {
	fresh := "fresh-secret"
	k.value.Store(&fresh)
	return k.renewed.Add(1) == 1
}

// The credential goes with introspection and calls, is renewed once, and never comes back.
func TestCredential(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") == "Bearer stale-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"data":{"a":"you sent `+r.Header.Get("Authorization")+`"}}`)
	}))
	defer server.Close()
	k := &key{}
	stale := "stale-secret"
	k.value.Store(&stale)
	a := newAPI(t, Spec{GraphQL: server.URL, Schema: writeFile(t, "type Query { a: String }")}, translate.Options{Credentials: k})
	got := call(t, a, "a", `{}`)
	if diff := cmp.Diff([]string{"Bearer stale-secret", "Bearer fresh-secret"}, seen); diff != "" {
		t.Error(diff)
	}
	if got.JSON() == "" || strings.Contains(got.JSON(), "secret") || !strings.Contains(got.JSON(), "[removed]") {
		t.Errorf("got %s", got.JSON())
	}
}

// Configuration names, describes, fixes, hides and shapes; what it fixes cannot be given.
func TestCuration(t *testing.T) {
	var seen string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, after, _ := strings.Cut(string(body), `"variables":`)
		seen = strings.TrimSuffix(after, "}")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"data":{"add":{"id":"1","name":"n","owner":{"id":"2"}}}}`)
	}))
	defer server.Close()
	fixed := translate.Literal{Value: schema.Text("me")}
	idempotent := true
	a := newAPI(t, Spec{
		GraphQL: server.URL, Mutations: true,
		Schema: writeFile(t, "type Query { a: Int drop: Int } type Mutation { add(input: New!): T remove(id: ID!): Int } input New { owner: String! name: String! size: Int = 3 } type T { id: ID name: String owner: T }"),
		Spec: translate.Spec{Exclude: []string{"Query.drop", "kind:mutation re*"}, Tools: map[string]translate.Tool{
			"Mutation.add": {
				Name: "create_thing", Description: "Makes a thing.", Hints: translate.Hints{Idempotent: &idempotent}, Result: translate.Shape{Fields: []string{"id"}},
				Args: map[string]translate.Arg{"owner": {Fixed: fixed}, "name": {Rename: "title", Description: "What it is called."}, "none": {Hide: true}},
			},
			"Query.nothing": {Name: "x"},
		}},
	}, translate.Options{})
	if diff := cmp.Diff([]string{"a", "create_thing"}, toolNames(t, a)); diff != "" {
		t.Fatal(diff)
	}
	got := call(t, a, "create_thing", `{"title":"x"}`)
	if seen != `{"input":{"owner":"me","name":"x"}}` || got.Get("structuredContent").JSON() != `{"data":{"add":{"id":"1"}}}` {
		t.Errorf("sent %s, got %s", seen, got.JSON())
	}
	seen = ""
	for _, smuggled := range []string{`{"title":"x","owner":"you"}`, `{"name":"x"}`, `{"title":"x","input":{"owner":"you"}}`} {
		if got := call(t, a, "create_thing", smuggled); !got.True("isError") || seen != "" {
			t.Errorf("%s was taken: sent %s", smuggled, seen)
		}
	}
	item := string(a.Source().Tools[1])
	for _, want := range []string{`"description":"Makes a thing.`, `"idempotentHint":true`, `"readOnlyHint":false`, `"title":{"type":"string","description":"What it is called."}`} {
		if !strings.Contains(item, want) {
			t.Errorf("%s lacks %s", item, want)
		}
	}
	if w := a.Report().Warnings; len(w) != 2 || !strings.Contains(w[0].Message, `"Query.nothing" names no operation`) || !strings.Contains(w[1].Message, `there is no argument "none"`) {
		t.Errorf("warnings %+v", w)
	}
}

// A change of the schema or of an operation file is seen, and one that cannot be read changes nothing.
func TestReload(t *testing.T) {
	file := writeFile(t, "type Query { a: Int }")
	changed := make(chan struct{}, 10)
	a := newAPI(t, Spec{GraphQL: "http://127.0.0.1:1", Schema: file}, translate.Options{Changed: func() { changed <- struct{}{} }})
	if a.Reload(t.Context()) {
		t.Error("the same schema is a change")
	}
	for _, bad := range []string{"type Query {", "type Other { a: Int }", ""} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if a.Reload(t.Context()) || len(a.Source().Tools) != 1 || a.Report().Outdated == "" {
			t.Errorf("%q was taken, or is not told: %q", bad, a.Report().Outdated)
		}
	}
	if err := os.WriteFile(file, []byte("type Query { a: Int b: Int }"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed that the file changed")
	}
	if diff := cmp.Diff([]string{"a", "b"}, toolNames(t, a)); diff != "" || a.Report().Outdated != "" {
		t.Error(diff, a.Report().Outdated)
	}
}
