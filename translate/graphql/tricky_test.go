package graphql

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"weir/translate"
	"weir/translate/schema"
)

// tools makes the tools of a schema by their names; each generated operation must fit the schema.
func toolsOf(t testing.TB, text string, spec Spec) (map[string]*tool, *builder) {
	t.Helper()
	b, all := built(t, "schema.graphql", []byte(text), &spec)
	byName := make(map[string]*tool)
	for _, x := range all {
		byName[x.Name] = x
		doc, err := parser.ParseQuery(&ast.Source{Input: x.op.text})
		if err != nil {
			t.Fatalf("%s: %v\n%s", x.Name, err, x.op.text)
		}
		if faults := validator.ValidateWithRules(b.description.schema, doc, rules.NewDefaultRules()); len(faults) > 0 {
			t.Errorf("%s: %v\n%s", x.Name, faults, x.op.text)
		}
	}
	return byName, b
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestRecursiveInputs(t *testing.T) {
	tools, _ := toolsOf(t, `type Query { find(where: Where!): Int! }
		input Where { and: [Where!] or: [Where] not: Where name: Text } input Text { eq: String in: [String!] also: Where }`, Spec{})
	x := tools["find"]
	for arguments, want := range map[string]string{
		`{"where":{"and":[{"not":{"name":{"eq":"a","also":{"or":[null]}}}}]}}`: "",
		`{"where":{"and":[{"not":{"name":{"equals":"a"}}}]}}`:                  "`where.and[0].not.name.equals` is not an argument",
		`{"where":{"and":[null]}}`:                                             "`where.and[0]`: expected object",
	} {
		_, refused := x.Input.Accept([]byte(arguments))
		if (refused == nil) != (want == "") {
			t.Errorf("%s: %v", arguments, refused)
		}
		if refused != nil {
			answer, err := refused.Answer()
			if err != nil || !strings.Contains(string(answer.Message.Data), want) {
				t.Errorf("%s: %s", arguments, answer.Message.Data)
			}
		}
	}
	if len(x.Raw) > 3000 {
		t.Errorf("%d bytes are published", len(x.Raw))
	}
}

func TestScalars(t *testing.T) {
	names := []string{"DateTime", "Date", "JSON", "JSONString", "UUID", "BigInt", "Long", "PositiveDecimal", "Decimal", "Upload", "URI", "Email", "Whatever", "Metadata", "_Any", "Money", "Void"}
	var text strings.Builder
	text.WriteString("type Query { f(")
	for _, n := range names {
		fmt.Fprintf(&text, " a%s: %s!", n, n)
	}
	text.WriteString(" i: Int! d: ID! f: Float! m: [Missing!] ): Int }\n")
	for _, n := range names {
		text.WriteString("scalar " + n + "\n")
	}
	money, err := schema.Parse([]byte(`{"type":"string","pattern":"^[0-9]+ [A-Z]{3}$"}`))
	if err != nil {
		t.Fatal(err)
	}
	tools, b := toolsOf(t, text.String(), Spec{Scalars: map[string]translate.Literal{"Money": {Value: money}, "Void": {Value: schema.Text("boolean")}}})
	got := make(map[string]string)
	for _, m := range tools["f"].Input.Full.Root.Object("properties") {
		got[m.Key] = m.Value.JSON()
	}
	const anything = `{"type":["string","number","boolean","object","array"]}`
	want := map[string]string{
		"aDateTime": `{"type":"string","format":"date-time"}`, "aDate": `{"type":"string","format":"date"}`, "aJSON": anything, "aJSONString": anything, "a_Any": anything,
		"aUUID": `{"type":"string","format":"uuid"}`, "aBigInt": `{"type":["string","number"]}`, "aLong": `{"type":["string","number"]}`,
		"aPositiveDecimal": `{"type":["string","number"]}`, "aDecimal": `{"type":["string","number"]}`, "aUpload": translate.FileArgument("").JSON(),
		"aURI": `{"type":"string"}`, "aEmail": `{"type":"string","format":"email"}`, "aWhatever": `{"type":"string"}`, "aMetadata": `{"type":["object","string"]}`,
		"aMoney": money.JSON(), "aVoid": `{"type":"boolean"}`, "i": `{"type":"integer"}`, "d": `{"type":"string"}`, "f": `{"type":"number"}`,
		"m": `{"type":["array","null"],"items":` + anything + `}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if w := b.description.sorted(); len(w) != 1 || w[0].Pointer != "/types/Missing" {
		t.Errorf("warnings %+v", w)
	}
	args, refused := tools["f"].Input.Accept([]byte(`{"aDateTime":"x","aDate":"x","aJSON":{"a":[1]},"aJSONString":"{}","a_Any":1,"aUUID":"x","aBigInt":9007199254740993,"aLong":"-9007199254740993","aPositiveDecimal":1.10,"aDecimal":"1.1","aUpload":{"text":"x"},"aURI":"x","aEmail":"x","aWhatever":17,"aMetadata":{},"aMoney":"1 EUR","aVoid":true,"i":1,"d":7,"f":1}`))
	if refused != nil {
		answer, _ := refused.Answer()
		t.Fatalf("%s", answer.Message.Data)
	}
	sent := tools["f"].op.variables(args).JSON()
	for _, want := range []string{`"aBigInt":9007199254740993,`, `"aLong":"-9007199254740993"`, `"aPositiveDecimal":1.10,`, `"aWhatever":"17"`, `"d":"7"`} {
		if !strings.Contains(sent, want) {
			t.Errorf("%s lacks %s", sent, want)
		}
	}
}

// The list of tools never holds the schema: not in auto mode, nor in dynamic mode, and the tool that tells types has a bound.
func TestSchemaStaysOutOfContext(t *testing.T) {
	text := corpus(t)["github.graphql"]
	file := filepath.Join(t.TempDir(), "github.graphql")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, Spec{GraphQL: "http://127.0.0.1:1/graphql", Schema: file, Mutations: true, Query: Query{Enabled: true}}, translate.Options{})
	size := 0
	for _, raw := range a.Source().Tools {
		size += len(raw)
	}
	if r := a.Report(); !r.Dynamic || r.Tools != 280 || len(a.Source().Tools) != 3 || size > 2500 {
		t.Errorf("%d bytes in %d tools; report %d tools, %d tokens", size, len(a.Source().Tools), r.Tools, r.Tokens)
	}
	found := textOf(call(t, a, "search_api", `{"query":"create an issue"}`))
	if !strings.Contains(found, "createIssue(repositoryId, title) [d]") {
		t.Errorf("found %s", found)
	}
	if told := textOf(call(t, a, "describe_api", `{"names":["createIssue"]}`)); !strings.Contains(told, `"repositoryId"`) || len(told) > 16<<10 {
		t.Errorf("told %d bytes: %s", len(told), told)
	}
	if told := textOf(call(t, a, "call_api", `{"name":"schema","arguments":{"types":["Repository","Query","Issue","PullRequest","User"]}}`)); len(told) > 20<<10 || !strings.Contains(told, "type Repository") {
		t.Errorf("%d bytes", len(told))
	}
	if got := textOf(call(t, a, "call_api", `{"name":"viewer","arguments":{}}`)); !strings.Contains(got, "could not be reached; nothing was sent") {
		t.Errorf("got %s", got)
	}
}

func TestFaultySchemas(t *testing.T) {
	for name, c := range map[string]struct {
		text     string
		tools    []string
		warnings int
	}{
		"a field twice":            {`type Query { a: Int a: String b: Int }`, []string{"a", "b"}, 1},
		"built-in scalars":         {"scalar ID scalar String scalar Int\ndirective @deprecated(reason: String) on FIELD_DEFINITION\ndirective @skip(if: Boolean!) on FIELD\ntype Query { a(id: ID): String }", []string{"a"}, 0},
		"a directive twice":        {"directive @x on OBJECT\ndirective @x on OBJECT\ntype Query @x @x @unknown(a: {b: [1]}) { a: Int @x @deprecated @deprecated }", []string{"a"}, 0},
		"a type twice":             {"type Query { a: A }\ntype A { x: Int }\ntype A { x: Int y: Int }", []string{"a"}, 1},
		"another kind":             {"type Query { a: A }\ntype A { x: Int }\nscalar A", []string{"a"}, 1},
		"an unknown type":          {"type Query { a: Int b: Nothing c(x: Nothing!): Int }", []string{"a", "c"}, 2},
		"an input as output":       {"type Query { a: Int b: In }\ninput In { x: Int }", []string{"a"}, 1},
		"an output as input":       {"type Query { a(x: Query!): Int b(x: Query): Int }", []string{"b"}, 2},
		"no interface":             {"type Query { a: A }\ntype A implements I & B { x: Int }\nscalar B", []string{"a"}, 2},
		"members that are none":    {"type Query { a: U }\nunion U = A | Int | Nothing | A\ntype A { x: Int }", []string{"a"}, 2},
		"an empty type":            {"type Query { a: A b: Int }\ntype A { x: Nothing }", []string{"a", "b"}, 1},
		"an extension of nothing":  {"type Query { a: Int }\nextend type Query { b: Int }\nextend type Other { c: Int }", []string{"a", "b"}, 0},
		"other roots":              {"schema { query: Root mutation: Nothing }\ntype Root { a: Int }", []string{"a"}, 1},
		"an interface of itself":   {"type Query { a: I }\ninterface I implements I { x: Int }", []string{"a"}, 0},
		"an input cycle non-null":  {"type Query { a(x: In!): Int }\ninput In { x: In! y: Int }", []string{"a"}, 0},
		"a page of pages":          {"type Query { a: C } type C { edges: [E] pageInfo: P } type E { node: C } type P { hasNextPage: Boolean }", []string{"a"}, 0},
		"a name of the system":     {"type Query { __a: Int b: Int __typename: Int }", []string{"b"}, 2},
		"an argument twice":        {"type Query { a(x: Int x: String): Int }", []string{"a"}, 1},
		"an interface not honored": {"type Query { a: I }\ninterface I { x: Int! y: Int }\ntype A implements I { x: String z: Int }", []string{"a"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tools, b := toolsOf(t, c.text, Spec{Mutations: true})
			if len(tools) != len(c.tools) || len(b.description.warnings) != c.warnings {
				t.Errorf("%d tools, warnings %+v", len(tools), b.description.warnings)
			}
			for _, name := range c.tools {
				if tools[name] == nil {
					t.Errorf("%s is missing", name)
				}
			}
		})
	}
}

// Names of an introspection become text that is sent: what is no name is left out.
func TestT14_HostileIntrospection(t *testing.T) {
	text := `{"data":{"__schema":{"queryType":{"name":"Query"},"mutationType":{"name":"M {"},"types":[
		{"kind":"OBJECT","name":"Query","fields":[
			{"name":"ok","args":[{"name":"x","type":{"kind":"SCALAR","name":"Int"},"defaultValue":"1"}],"type":{"kind":"SCALAR","name":"Int"}},
			{"name":"a } mutation { drop","args":[],"type":{"kind":"SCALAR","name":"Int"}},
			{"name":"b","args":[{"name":"x: 1) { y } #","type":{"kind":"SCALAR","name":"Int"}}],"type":{"kind":"SCALAR","name":"Int"}},
			{"name":"c","args":[{"name":"x","type":{"kind":"SCALAR","name":"Int } "}}],"type":{"kind":"SCALAR","name":"Int"}},
			{"name":"d","args":[{"name":"x","type":{"kind":"SCALAR","name":"Int"},"defaultValue":"1, $y: Int = 2"}],"type":{"kind":"SCALAR","name":"Int"}},
			{"name":"e","args":[{"name":"x","type":{"kind":"SCALAR","name":"Int"},"defaultValue":"1) { f } } mutation { g(x: 1"}],"type":{"kind":"SCALAR","name":"Int"}},
			{"name":"f","args":[],"type":{"kind":"NON_NULL","ofType":null}},
			{"name":"g","args":[],"type":` + strings.Repeat(`{"kind":"LIST","ofType":`, 60) + `{"kind":"SCALAR","name":"Int"}` + strings.Repeat("}", 60) + `},
			{"name":7},null,"x"]},
		{"kind":"WEIRD","name":"X"},{"kind":"SCALAR","name":"Int"},{"kind":"ENUM","name":"E","enumValues":[{"name":"A B"}]},{"kind":"OBJECT","name":"M {","fields":[]},null,7]}}}`
	tools, b := toolsOf(t, text, Spec{Mutations: true})
	var names []string
	for _, name := range []string{"ok", "b", "c", "d", "e"} {
		if x := tools[name]; x != nil {
			names = append(names, name+": "+squeeze(x.op.text))
		}
	}
	want := []string{
		"ok: query ok ($x: Int = 1) { ok(x: $x) }", "b: query b { b }", "c: query c { c }", "d: query d ($x: Int) { d(x: $x) }", "e: query e ($x: Int) { e(x: $x) }",
	}
	if diff := cmp.Diff(want, names); diff != "" || len(tools) != 5 {
		t.Errorf("%d tools: %s", len(tools), diff)
	}
	if len(b.description.warnings) < 6 {
		t.Errorf("warnings %+v", b.description.warnings)
	}
}

// The schema comes from a file or URL where the endpoint does not tell it; what it told once is kept for a later start.
func TestNoIntrospection(t *testing.T) {
	const sdl = "type Query { a: Int }"
	var asked []string
	tells := atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/schema":
			_, _ = io.WriteString(w, sdl)
		case r.URL.Path == "/get" && r.Method == http.MethodPost:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.URL.Path == "/page":
			_, _ = io.WriteString(w, "<html>")
		case r.URL.Path == "/old" && strings.Contains(string(body), "isOneOf"):
			_, _ = io.WriteString(w, `{"errors":[{"message":"Cannot query field isOneOf"}]}`)
		case tells.Load() || r.URL.Path == "/get" || r.URL.Path == "/old":
			asked = append(asked, r.Method)
			_, _ = io.WriteString(w, `{"data":{"__schema":{"queryType":{"name":"Query"},"types":[{"kind":"OBJECT","name":"Query","fields":[{"name":"a","args":[],"type":{"kind":"SCALAR","name":"Int"}}]}]}}}`)
		default:
			_, _ = io.WriteString(w, `{"errors":[{"message":"introspection is disabled"}]}`)
		}
	}))
	defer server.Close()
	if _, err := startAPI(t, Spec{GraphQL: server.URL}, translate.Options{}); err == nil || !strings.Contains(err.Error(), "api: the endpoint does not tell its schema: introspection is disabled. Give it as a file with the key schema") {
		t.Errorf("got %v", err)
	}
	if _, err := startAPI(t, Spec{GraphQL: server.URL + "/page"}, translate.Options{}); err == nil || !strings.Contains(err.Error(), "no GraphQL") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "s.graphql")
	if err := os.WriteFile(file, []byte("\xef\xbb\xbf"+sdl), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Spec{{Schema: file}, {Schema: server.URL + "/schema"}, {GraphQL: server.URL + "/get"}, {GraphQL: server.URL + "/old"}} {
		if s.GraphQL == "" {
			s.GraphQL = server.URL
		}
		if got := toolNames(t, newAPI(t, s, translate.Options{})); len(got) != 1 || got[0] != "a" {
			t.Errorf("%+v: %v", s, got)
		}
	}
	if diff := cmp.Diff([]string{"GET", "POST"}, asked); diff != "" {
		t.Error(diff)
	}
	cache := &memory{}
	tells.Store(true)
	newAPI(t, Spec{GraphQL: server.URL}, translate.Options{Cache: cache})
	tells.Store(false)
	if got := toolNames(t, newAPI(t, Spec{GraphQL: server.URL}, translate.Options{Cache: cache})); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if _, err := startAPI(t, Spec{GraphQL: server.URL + "?x"}, translate.Options{Cache: cache}); err == nil {
		t.Error("a schema that was kept for another endpoint is used")
	}
}

type memory struct{ kept map[string][]byte }

func (m *memory) Get(key string) ([]byte, bool) { data, ok := m.kept[key]; return data, ok }
func (m *memory) Put(key string, data []byte)   { m.kept = map[string][]byte{key: data} }

func TestAbstractTypes(t *testing.T) {
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

func TestNestedArguments(t *testing.T) {
	tools, _ := toolsOf(t, `type Query { a: A } type A { id: ID secret(key: String!): String posts(first: Int!): [P!] pages(first: Int, after: String): C optional(x: Int = 1): P }
		type P { title: String } type C { nodes: [P] pageInfo: I! } type I { hasNextPage: Boolean! endCursor: String }`, Spec{Depth: 4})
	if got := squeeze(tools["a"].op.text); got != "query a { a { id optional { title } } }" {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(tools["a"].Words, "More with `fields`: pages.") {
		t.Errorf("description %q", tools["a"].Words)
	}
}

// A large schema and hostile ones stay within time and memory.
func TestT21_HostileSchemas(t *testing.T) {
	var wide, values, chain strings.Builder
	size := 10
	if testing.Short() {
		size = 1
	}
	wide.WriteString("type Query {")
	for i := range 2000 * size {
		fmt.Fprintf(&wide, " f%d(a: Int, b: E!): T", i)
	}
	wide.WriteString(" } type T { x: Int t: T } enum E { A }")
	values.WriteString("type Query { f(e: E!): Int } enum E {")
	for i := range 10_000 * size {
		fmt.Fprintf(&values, " V%d", i)
	}
	values.WriteString(" }")
	chain.WriteString("type Query { f(a: I0!): T0 }")
	for i := range 500 * size {
		fmt.Fprintf(&chain, " input I%d { a: I%d b: I%d c: I0 } type T%d { a: T%d b: T%d x: Int u: U }", i, i+1, i+1, i, i+1, i+1)
	}
	fmt.Fprintf(&chain, " input I%d { x: Int } type T%d { x: Int } union U = T0", 500*size, 500*size)
	for i := 1; i < 500*size; i++ {
		fmt.Fprintf(&chain, " | T%d", i)
	}
	for name, text := range map[string]string{
		"wide": wide.String(), "values": values.String(), "chain": chain.String(),
		"nesting": "type Query { f(a: " + strings.Repeat("[", 5000) + "Int" + strings.Repeat("]", 5000) + "): Int }",
		"default": "type Query { f(a: Int = " + strings.Repeat("[", 5000) + "): Int }",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begun := time.Now()
		d, err := open(name, []byte(text))
		if err == nil {
			spec := &Spec{}
			b := &builder{description: d, spec: spec, upstream: "api", inputs: newInputs(d, nil)}
			for _, x := range b.build(nil) {
				if name != "wide" {
					_, _ = x.Input.Check()
				}
			}
		}
		runtime.ReadMemStats(&after)
		took, used := time.Since(begun), (after.TotalAlloc-before.TotalAlloc)>>20
		t.Logf("%s: %d KiB, %v, %d MiB allocated, %v", name, len(text)>>10, took.Round(time.Millisecond), used, err)
		if took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}
