package graphql

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
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

// TestTricky is what published schemas and servers do that other translators fail on, a row of the table for each thing that is promised of a case.
func TestTricky(t *testing.T) {
	for _, row := range []struct {
		name  string // case/promise
		check func(t *testing.T)
	}{
		{"recursive input types/valid at any depth, faults named where they are", recursionChecked},
		{"recursive input types/small and without references where published", publishedInputs},
		{"custom scalars/well-known ones, text otherwise, configuration above both, any value for JSON", scalars},
		{"custom scalars/no property without a type", typedProperties},
		{"whole schema in the context/never", schemaStaysOutOfContext},
		{"invalid published SDL/each fault costs itself", faultySchemas},
		{"invalid published SDL/doubles and built-in types are dropped, then it is valid", repaired},
		{"invalid published SDL/GitHub and Shopify load", publishedFaults},
		{"introspection disabled/file, URL, introspection as a file, live", schemaSources},
		{"introspection disabled/what was told once is kept", schemaKept},
		{"unions and interfaces/type, leaves of members, another name where types differ", abstractTypes},
		{"partial data/a failure only without data, data first, then path and code", partialData},
		{"partial data/a failure where configuration says so", partialFails},
		{"required arguments on nested fields/left out, named, and refused with the reason", nestedArguments},
		{"persisted operations only/documents are tools, hash or identifier where configured", persistedOnly},
	} {
		t.Run(row.name, row.check)
	}
}

func recursionChecked(t *testing.T) {
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

// publishedInputs: what lists carry of the inputs of the largest schemas, in which filters hold filters.
func publishedInputs(t *testing.T) {
	for name, text := range corpus(t) {
		_, tools := built(t, name, text, &Spec{Mutations: true, Subscriptions: overSSE})
		largest := 0
		for _, x := range tools {
			item, err := schema.Parse(x.Raw)
			if err != nil {
				t.Fatal(err)
			}
			input := item.Get("inputSchema").JSON()
			largest = max(largest, len(input))
			if strings.Contains(input, `"$ref"`) || strings.Contains(input, `"$defs"`) || len(input) > 4096 {
				t.Errorf("%s: %s: %d bytes: %s", name, x.op.key, len(input), schema.Shorten(input, 300))
			}
		}
		t.Logf("%s: the largest of %d published inputs has %d bytes", name, len(tools), largest)
	}
	for name, text := range map[string]string{
		"without a way out":  "type Query { a(x: In!): Int } input In { x: In! }",
		"through each other": "type Query { a(x: A!): Int } input A { b: B! c: C } input B { a: A! c: [C!]! } input C { a: A b: B c: C }",
	} {
		tools, _ := toolsOf(t, text, Spec{})
		if _, err := tools["a"].Input.Check(); err != nil || len(tools["a"].Raw) > 4096 {
			t.Errorf("%s: %d bytes, %v", name, len(tools["a"].Raw), err)
		}
	}
}

func scalars(t *testing.T) {
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

// typedProperties: strict clients drop a property without a type.
func typedProperties(t *testing.T) {
	for name, text := range corpus(t) {
		_, tools := built(t, name, text, &Spec{Mutations: true, Subscriptions: overSSE})
		seen := 0
		for _, x := range tools {
			item, err := schema.Parse(x.Raw)
			if err != nil {
				t.Fatal(err)
			}
			var walk func(v *schema.Value, at string)
			walk = func(v *schema.Value, at string) {
				for _, m := range v.Object("properties") {
					seen++
					if m.Value.Get("type") == nil {
						t.Errorf("%s: %s: %s.%s is %s", name, x.op.key, at, m.Key, m.Value.JSON())
					}
					walk(m.Value, at+"."+m.Key)
				}
				if items := v.Get("items"); items != nil {
					walk(items, at+"[]")
				}
			}
			walk(item.Get("inputSchema"), "")
		}
		t.Logf("%s: %d properties", name, seen)
	}
}

// schemaStaysOutOfContext: the list of tools never holds the schema, not in auto mode, nor in dynamic mode, and the tool that tells types has a bound.
func schemaStaysOutOfContext(t *testing.T) {
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

func faultySchemas(t *testing.T) {
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

// repaired: what is left of a schema with the faults of published ones is a valid one, in the eyes of a library that refuses those faults.
func repaired(t *testing.T) {
	const sdl = "scalar ID\nscalar Int\nscalar String\ndirective @deprecated(reason: String) on FIELD_DEFINITION\n" +
		"type Query { a: Int a: String b(id: ID): T }\ntype T { x: Int @deprecated @deprecated }\ntype T { x: Int y: [Int!] }"
	told := `{"data":{"__schema":{"queryType":{"name":"Query"},"directives":[{"name":"deprecated","locations":["FIELD_DEFINITION"],"args":[]},{"name":"deprecated","locations":["FIELD_DEFINITION"],"args":[]},
		{"name":"own","isRepeatable":true,"locations":["FIELD"],"args":[]},{"name":"own","locations":["FIELD"],"args":[]}],"types":[
		{"kind":"SCALAR","name":"ID"},{"kind":"SCALAR","name":"Int"},{"kind":"SCALAR","name":"Int"},
		{"kind":"OBJECT","name":"Query","fields":[{"name":"a","args":[],"type":{"kind":"SCALAR","name":"Int"}},{"name":"a","args":[],"type":{"kind":"SCALAR","name":"ID"}}]}]}}}`
	for name, text := range map[string]string{"SDL": sdl, "introspection": told} {
		tools, b := toolsOf(t, text, Spec{})
		var again bytes.Buffer
		formatter.NewFormatter(&again).FormatSchema(b.description.schema)
		if _, err := gqlparser.LoadSchema(&ast.Source{Input: again.String()}); err != nil || tools["a"] == nil {
			t.Errorf("%s: %v in\n%s", name, err, again.String())
		}
		if _, err := gqlparser.LoadSchema(&ast.Source{Input: text}); err == nil {
			t.Errorf("%s: the library takes it as it is", name)
		}
	}
}

// publishedFaults: the two schemas that are known for their faults give a tool for each root field, and tell what they lack.
func publishedFaults(t *testing.T) {
	for name, want := range map[string]struct{ tools, warnings int }{"github.graphql": {278, 2}, "shopify-function-discount.graphql": {12, 0}} {
		text := corpus(t)[name]
		if _, err := gqlparser.LoadSchema(&ast.Source{Input: string(text)}); err == nil {
			t.Errorf("%s: the library takes it as it is", name)
		}
		b, tools := built(t, name, text, &Spec{Mutations: true})
		if len(tools) != want.tools || len(b.description.warnings) != want.warnings {
			t.Errorf("%s: %d tools, warnings %+v", name, len(tools), b.description.warnings)
		}
	}
}
