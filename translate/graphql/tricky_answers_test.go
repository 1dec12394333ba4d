package graphql

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/translate"
)

const tellsA = `{"data":{"__schema":{"queryType":{"name":"Query"},"types":[{"kind":"OBJECT","name":"Query","fields":[{"name":"a","args":[],"type":{"kind":"SCALAR","name":"Int"}}]}]}}}`

// reticent is a server that tells its schema in other ways than by a plain introspection, which it answers while tells is true.
func reticent(t *testing.T, tells *atomic.Bool) (url string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/schema":
			_, _ = io.WriteString(w, "type Query { a: Int }")
		case r.URL.Path == "/told":
			_, _ = io.WriteString(w, tellsA)
		case r.URL.Path == "/get" && r.Method == http.MethodPost:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.URL.Path == "/page":
			_, _ = io.WriteString(w, "<html>")
		case r.URL.Path == "/old" && strings.Contains(string(body), "isOneOf"):
			_, _ = io.WriteString(w, `{"errors":[{"message":"Cannot query field isOneOf"}]}`)
		case tells.Load() || r.URL.Path == "/get" || r.URL.Path == "/old":
			*asked = append(*asked, r.Method+" "+r.URL.Path)
			_, _ = io.WriteString(w, tellsA)
		default:
			_, _ = io.WriteString(w, `{"errors":[{"message":"introspection is disabled"}]}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// schemaSources: a schema comes from a file or URL, as SDL or as an introspection, and is asked for only where there is none.
func schemaSources(t *testing.T) {
	url, asked := reticent(t, new(atomic.Bool))
	for path, want := range map[string]string{
		"":      "api: the endpoint does not tell its schema: introspection is disabled. Give it as a file with the key schema",
		"/page": "no GraphQL",
	} {
		if _, err := startAPI(t, Spec{GraphQL: url + path}, translate.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	for _, s := range []Spec{
		{Schema: writeFile(t, "\xef\xbb\xbftype Query { a: Int }")}, {Schema: writeFile(t, tellsA)}, {Schema: url + "/schema"}, {Schema: url + "/told"}, {GraphQL: url + "/get"}, {GraphQL: url + "/old"},
	} {
		if s.GraphQL == "" {
			s.GraphQL = url
		}
		if got := toolNames(t, newAPI(t, s, translate.Options{})); !slices.Equal(got, []string{"a"}) {
			t.Errorf("%+v: %v", s, got)
		}
	}
	if diff := cmp.Diff([]string{"GET /get", "POST /old"}, *asked); diff != "" {
		t.Error(diff)
	}
}

// schemaKept: what an endpoint told serves a later start at which it tells nothing, for that endpoint alone; the same answer is no change.
func schemaKept(t *testing.T) {
	tells := new(atomic.Bool)
	url, asked := reticent(t, tells)
	cache := &memory{}
	tells.Store(true)
	a := newAPI(t, Spec{GraphQL: url}, translate.Options{Cache: cache})
	before := a.Source()
	if a.Reload(t.Context()) || a.Source() != before || len(*asked) != 2 {
		t.Errorf("the same schema is read anew, after %v", *asked)
	}
	tells.Store(false)
	if got := toolNames(t, newAPI(t, Spec{GraphQL: url}, translate.Options{Cache: cache})); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%v", got)
	}
	if _, err := startAPI(t, Spec{GraphQL: url + "?x"}, translate.Options{Cache: cache}); err == nil {
		t.Error("a schema that was kept for another endpoint is used")
	}
}

type memory struct{ kept map[string][]byte }

func (m *memory) Get(key string) ([]byte, bool) { data, ok := m.kept[key]; return data, ok }
func (m *memory) Put(key string, data []byte)   { m.kept = map[string][]byte{key: data} }

// abstractTypes: each member of a union or interface gives its type and its own leaves; what members have with other types gets another name.
func abstractTypes(t *testing.T) {
	const text = `type Query { u: U i: I deep: D }
		union U = A | B
		interface I { id: ID! x: Int }
		type A implements I { id: ID! x: Int! only: String same: Boolean clash: Int list: [Int] }
		type B implements I { id: ID! x: Int same: Boolean clash: String list: [Int!] u: U }
		type D { u: U d: D e: E } type E { d: D name: String }`
	tools, b := toolsOf(t, text, Spec{Depth: 3})
	for name, want := range map[string]string{
		"u":    "query u { u { __typename ... on A { id x_A: x only same clash_A: clash list_A: list } ... on B { id x_B: x same clash_B: clash list_B: list } } }",
		"i":    "query i { i { __typename id x ... on A { only same clash_A: clash list_A: list } ... on B { same clash_B: clash list_B: list } } }",
		"deep": "query deep { deep { u { __typename ... on A { id x_A: x only same clash_A: clash list_A: list } ... on B { id x_B: x same clash_B: clash list_B: list } } e { name } } }",
	} {
		if got := squeeze(tools[name].op.text); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	for fields, want := range map[string]string{
		`clash`:            "query u { u { __typename ... on A { clash_A: clash } ... on B { clash_B: clash } } }",
		`A.only,B`:         "query u { u { __typename ... on A { only } ... on B { id x_B: x same clash_B: clash list_B: list } } }",
		`u.u.same`:         "query u { u { __typename ... on B { u { __typename ... on B { u { __typename ... on A { same } ... on B { same } } } } } } }",
		`*,only,items.*.x`: "",
	} {
		x, err := b.pick(tools["u"], strings.Split(fields, ","))
		if want == "" {
			if err == nil {
				t.Errorf("%s: %s", fields, x.op.text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", fields, err)
			continue
		}
		if got := squeeze(x.op.text); got != want {
			t.Errorf("%s:\n got %s\nwant %s", fields, got, want)
		}
	}
}

// partialData: only without data is it a failure. Otherwise the data comes first, then a note with the path and code of each error.
func partialData(t *testing.T) {
	const errs = `"errors":[{"message":"no b.","path":["b",0,"x"],"extensions":{"code":"GONE"}},{"message":"slow"}]`
	for body, want := range map[string]struct {
		failed bool
		texts  []string
	}{
		`{"data":{"a":1,"b":null},` + errs + `}`: {false, []string{`{"data":{"a":1,"b":null},` + errs + `}`, "Parts of the data are missing: no b (at b.0.x, code GONE); slow."}},
		`{"data":null,` + errs + `}`:             {true, []string{"The API answered with errors and no data: no b (at b.0.x, code GONE); slow."}},
		`{` + errs + `}`:                         {true, []string{"The API answered with errors and no data: no b (at b.0.x, code GONE); slow."}},
		`{"data":{"a":null}}`:                    {false, []string{`{"data":{"a":null}}`}},
	} {
		url, _ := answering(t, http.StatusOK, http.Header{"Content-Type": {mediaResponse}}, body)
		a := newAPI(t, Spec{GraphQL: url, Schema: writeFile(t, "type Query { a: Int b: Int }")}, translate.Options{})
		got := call(t, a, "a", `{}`)
		var texts []string
		for _, m := range got.Array("content") {
			texts = append(texts, m.Value.GetText("text"))
		}
		if diff := cmp.Diff(want.texts, texts); diff != "" || got.True("isError") != want.failed {
			t.Errorf("%s: failed %t, %s", body, got.True("isError"), diff)
		}
		if structured := got.Get("structuredContent").JSON(); structured != body {
			t.Errorf("%s: structured is %s", body, structured)
		}
	}
}

// partialFails: where configuration says so, a result with errors is a failure that carries its data still.
func partialFails(t *testing.T) {
	for _, l := range libraries(t) {
		a := newAPI(t, Spec{GraphQL: l.url, PartialIsError: true}, translate.Options{})
		got := call(t, a, "book", `{"id":"b3"}`)
		if !got.True("isError") || at(got, "/data/book/title") != `"Solaris"` || !strings.Contains(textOf(got), "Parts of the data are missing: book b3 has no review") {
			t.Errorf("%s: got %s", l.name, got.JSON())
		}
		if got = call(t, a, "book", `{"id":"b1"}`); got.True("isError") {
			t.Errorf("%s: got %s", l.name, got.JSON())
		}
	}
}

// nestedArguments: a field that cannot be selected without arguments is left out, a model is told of it, and who asks for it is told why not.
func nestedArguments(t *testing.T) {
	tools, b := toolsOf(t, `type Query { a: A c: C } type A { id: ID secret(key: String!): String posts(first: Int!, after: String, kind: K!): [P!] pages(first: Int, after: String): C optional(x: Int = 1): P old(x: Int!): Int @deprecated }
		type P { title: String body(format: K!): String } type C { nodes: [P] pageInfo: I! } type I { hasNextPage: Boolean! endCursor: String } enum K { X }`, Spec{Depth: 4})
	for name, want := range map[string]struct{ text, words string }{
		"a": {"query a { a { id optional { title } } }", "Query a. Gives A. More with `fields`: pages. Left out, since they need arguments: secret(key), posts(first, kind)."},
		"c": {"query c { c { nodes { title } pageInfo { hasNextPage endCursor } } }", "Query c. Gives C. Left out, since they need arguments: body(format)."},
	} {
		if got := squeeze(tools[name].op.text); got != want.text {
			t.Errorf("%s: got %s", name, got)
		}
		if tools[name].Words != want.words {
			t.Errorf("%s: description %q", name, tools[name].Words)
		}
	}
	if _, err := b.pick(tools["a"], []string{"posts.title"}); err == nil || !strings.Contains(err.Error(), "`posts` needs the argument \"first\"") {
		t.Errorf("got %v", err)
	}
}

// persistedOnly: a server that takes only what it knows gets the identifiers of a manifest, whose operations are the tools.
func persistedOnly(t *testing.T) {
	const body = `query Find($id: ID!) { book(id: $id) { title } }`
	manifest := filepath.Join(t.TempDir(), "manifest.json")
	text, err := json.Marshal(map[string]any{"format": "apollo-persisted-query-manifest", "version": 1, "operations": []map[string]string{{"id": "abc", "name": "Find", "type": "query", "body": body}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s, url := persisting(t, map[string]string{"abc": body})
	for persisted, want := range map[string]string{persistHash: `{"persistedQuery":{"version":1,"sha256Hash":"abc"}}`, persistDocumentID: "abc", "": ""} {
		a := newAPI(t, Spec{GraphQL: url, Schema: "graphqltest/library.graphql", Operations: []string{manifest}, Persisted: persisted}, translate.Options{})
		if diff := cmp.Diff([]string{"Find"}, toolNames(t, a)); diff != "" {
			t.Fatal(diff)
		}
		s.Ledger()
		got := call(t, a, "Find", `{"id":"b1"}`)
		seen := s.Ledger()
		if len(seen) != 1 || (seen[0].Query == "") != (persisted != "") || string(seen[0].Extensions)+seen[0].DocumentID != want || at(got, "/data/book/title") != `"The Dispossessed"` {
			t.Errorf("%q: the server saw %+v and answered %s", persisted, seen, textOf(got))
		}
	}
}
