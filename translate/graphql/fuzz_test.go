package graphql

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// FuzzSchema: whatever is read as a schema gives operations that fit it, and schemas that compile.
func FuzzSchema(f *testing.F) {
	f.Add([]byte(`type Query { a(x: In = {b: 1}, l: [E!]! = [A]): U } union U = A | B type A { id: ID! x: Int } type B { x: String y: [B] u: U } input In { b: Int c: In } enum E { A }`))
	f.Add([]byte(`{"__schema":{"queryType":{"name":"Q"},"types":[{"kind":"OBJECT","name":"Q","fields":[{"name":"a","args":[{"name":"x","type":{"kind":"LIST","ofType":{"kind":"SCALAR","name":"Int"}},"defaultValue":"[1]"}],"type":{"kind":"OBJECT","name":"Q"}}]}]}}`))
	f.Add([]byte("schema { query: Q } extend type Q { a: C } type C { pageInfo: P edges: [E] } type E { node: C cursor: String } type P { hasNextPage: Boolean endCursor: Q }"))
	f.Add([]byte("interface I implements I { a: I b: Query } type Query implements I { a: I b: Query! c(first: Int): I } directive @x(a: Query) on FIELD"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 8<<10 {
			return
		}
		d, err := open("f", text)
		if err != nil {
			return
		}
		spec := &Spec{Mutations: true, Subscriptions: overSSE, Depth: 3}
		b := &builder{description: d, spec: spec, upstream: "api", inputs: newInputs(d, nil)}
		for _, x := range b.build(nil) {
			if x.op.def.Operation == ast.Subscription && d.schema.Subscription == nil {
				t.Fatal("a subscription without its type")
			}
			if rawjson.Valid(x.Raw) != nil {
				t.Fatalf("the tool is no JSON: %s", x.Raw)
			}
			if _, err := x.Input.Check(); err != nil {
				t.Fatalf("%s: %v", x.op.text, err)
			}
			doc, err := parser.ParseQuery(&ast.Source{Input: x.op.text})
			if err != nil || len(doc.Operations) != 1 || len(doc.Fragments) != 0 {
				t.Fatalf("%v: %s", err, x.op.text)
			}
			for _, fault := range validator.ValidateWithRules(d.schema, doc, rules.NewDefaultRules()) {
				switch fault.Rule { // defaults of the schema may be of the wrong type, and one name may be a root of several kinds
				case "ValuesOfCorrectType", "VariablesInAllowedPosition", "SingleFieldSubscriptions":
				default:
					t.Fatalf("%s: %s\n%s", fault.Rule, fault.Message, x.op.text)
				}
			}
			if len(x.Raw) > 0 && x.selects {
				for _, path := range reachable(b, x)[:min(3, len(reachable(b, x)))] {
					if picked, err := b.pick(x, []string{path, "*"}); err == nil {
						if _, err := parser.ParseQuery(&ast.Source{Input: picked.op.text}); err != nil {
							t.Fatalf("%v: %s", err, picked.op.text)
						}
					}
				}
			}
		}
	})
}

const fuzzSDL = `type Query { a(x: Int, first: Int): T b: [T!] } type Mutation { m(i: In!): T } type T { id: ID t: T l(first: Int!): [T] u: U } union U = T | S type S { id: Int } input In { x: Int i: [In!] }`

// FuzzQueryText: what is let through is one operation of the allowed kind, within the bounds, and says the same when it is written anew.
func FuzzQueryText(f *testing.F) {
	for _, text := range []string{
		`{ a { id t { id } } }`, `query q($x: Int = 3) { a(x: $x) { ...F u { __typename ... on S { id } } } } fragment F on T { id }`, `mutation { m(i: {x: 1}) { id } }`,
		`{ __schema { types { name } } }`, `{ a(first: 99999999999999999999) { id } }`, "{ a(x: 1 \"\"\"x\"\"\") { id } }", `{ x: a { id } y: a { id } }`, `query @skip(if: true) { b { id } }`,
	} {
		f.Add(text)
	}
	d, err := open("s", []byte(fuzzSDL))
	if err != nil {
		f.Fatal(err)
	}
	b := &builder{description: d, spec: &Spec{}, upstream: "api", inputs: newInputs(d, nil)}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := b.guard(text, schema.Map())
		if err != nil {
			if err.Error() == "" {
				t.Fatal("refused without a reason")
			}
			return
		}
		again, err := parser.ParseQuery(&ast.Source{Input: g.text})
		if err != nil || len(again.Operations) != 1 || again.Operations[0].Operation != ast.Query {
			t.Fatalf("%v: %q became %q", err, text, g.text)
		}
		if strings.Contains(g.text, "__schema") || strings.Contains(g.text, "__type ") || strings.Contains(g.text, "__type(") {
			if introspects(again) != "" {
				t.Fatalf("introspection was let through: %q", g.text)
			}
		}
		s, err := measure(again, schema.Map())
		l := b.spec.Query.limits()
		if err != nil || s.depth > l.Depth || s.fields > l.Fields || s.aliases > l.Aliases || s.cost > l.Cost {
			t.Fatalf("%+v is over the bounds: %q", s, g.text)
		}
		if twice, err := b.guard(g.text, schema.Map()); err != nil || twice.text != g.text {
			t.Fatalf("%q is not what it says it is: %v", g.text, err)
		}
	})
}

// FuzzFields: paths lead to text that fits the schema, or are refused.
func FuzzFields(f *testing.F) {
	for _, text := range []string{"id", "t.t.id,*", "u.S.id", "l.id", "u.id", "t.*", "a) { x", "...", "#.id", "__typename", "u.T.u.T.id"} {
		f.Add(text)
	}
	d, err := open("s", []byte(fuzzSDL))
	if err != nil {
		f.Fatal(err)
	}
	b := &builder{description: d, spec: &Spec{}, upstream: "api", inputs: newInputs(d, nil)}
	tools := b.build(nil)
	f.Fuzz(func(t *testing.T, text string) {
		x, err := b.pick(tools[0], strings.Split(text, ","))
		if err != nil {
			return
		}
		doc, err := parser.ParseQuery(&ast.Source{Input: x.op.text})
		if err != nil || len(doc.Operations) != 1 {
			t.Fatalf("%q: %v: %s", text, err, x.op.text)
		}
		if faults := validator.ValidateWithRules(d.schema, doc, rules.NewDefaultRules()); len(faults) > 0 {
			t.Fatalf("%q: %v: %s", text, faults, x.op.text)
		}
	})
}

// FuzzManifest: a manifest is read or refused, and gives texts that are not empty in the form of Apollo.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"a","name":"Q","type":"query","body":"query Q { b { id } }"}]}`))
	f.Add([]byte(`{"abc":"query Q { b { id } }","d":"query R($x: Int) { a(x: $x) { id } }"}`))
	d, err := open("s", []byte(fuzzSDL))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b := &builder{description: &description{schema: d.schema}, spec: &Spec{Operations: []string{"x"}}, upstream: "api"}
		b.inputs = newInputs(b.description, nil)
		for _, x := range b.build([]file{{"m.json", text}}) {
			if rawjson.Valid(x.Raw) != nil || x.op.text == "" {
				t.Fatalf("%q: %s", x.op.text, x.Raw)
			}
		}
	})
}

// FuzzOperations: files of operations are read or refused.
func FuzzOperations(f *testing.F) {
	f.Add("# About a.\nquery Q($x: Int = 3) { a(x: $x) { ...F } } fragment F on T { id }")
	f.Add("mutation M($i: In!) { m(i: $i) { t { u { ... on S { id } } } } }")
	d, err := open("s", []byte(fuzzSDL))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b := &builder{description: &description{schema: d.schema}, spec: &Spec{Operations: []string{"x"}}, upstream: "api"}
		b.inputs = newInputs(b.description, nil)
		for _, x := range b.build([]file{{"o.graphql", []byte(text)}}) {
			doc, err := parser.ParseQuery(&ast.Source{Input: x.op.text})
			if err != nil || len(doc.Operations) != 1 {
				t.Fatalf("%q became %q: %v", text, x.op.text, err)
			}
		}
	})
}

// FuzzResponse: whatever a server answers becomes a result that is JSON.
func FuzzResponse(f *testing.F) {
	for _, body := range []string{
		`{"data":{"a":{"id":"1"}}}`, `{"data":null,"errors":[{"message":"x","path":["a",1]}]}`, `{"errors":[{"extensions":{"code":5}}],"extensions":{"cost":{"requestedQueryCost":1e400}}}`, `[]`, `<html>`, "{\"data\":{\"a\":\"\xff\"}}",
	} {
		f.Add([]byte(body), 200, "application/json")
	}
	d, err := open("s", []byte(fuzzSDL))
	if err != nil {
		f.Fatal(err)
	}
	b := &builder{description: d, spec: &Spec{}, upstream: "api", inputs: newInputs(d, nil)}
	x := b.build(nil)[0]
	f.Fuzz(func(t *testing.T, body []byte, status int, contentType string) {
		if status < 200 || status > 599 {
			return
		}
		e := exchange{api: &API{}, tool: x, args: schema.Map(), timeout: time.Second}
		r := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body))}
		if _, err := e.result(r, body).Answer(); err != nil {
			t.Fatalf("%d %q: %v", status, body, err)
		}
	})
}

// FuzzEvents: a stream of events ends, and each event is whole.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: next\ndata: {\"data\":{}}\n\nevent: complete\ndata:\n\n"))
	f.Add([]byte(":\r\n\r\ndata: a\rdata: b\n\n\ndata"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n := 0
		_ = readEvents(bytes.NewReader(text), func(name string, data []byte) bool {
			if strings.ContainsAny(name, "\r\n") || bytes.ContainsRune(data, '\r') {
				t.Fatalf("%q, %q", name, data)
			}
			n++
			return name != "complete"
		})
		if n > len(text) {
			t.Fatal("more events than bytes")
		}
	})
}

// FuzzArguments: no argument of a call changes the text that is sent, and what is sent is JSON.
func FuzzArguments(f *testing.F) {
	f.Add([]byte(`{"x":1,"first":2}`))
	f.Add([]byte(`{"x":"1","fields":["id","t.id"]}`))
	f.Add([]byte(`{"x":9007199254740993e0}`))
	var sent []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"data":{"a":null}}`)
	}))
	f.Cleanup(server.Close)
	a := newAPI(f, Spec{GraphQL: server.URL, Schema: writeFile(f, fuzzSDL)}, translate.Options{})
	var usual string
	f.Fuzz(func(t *testing.T, arguments []byte) {
		m := new(rawjson.Message)
		text := append(append([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":`), arguments...), "}}"...)
		if rawjson.Valid(arguments) != nil || rawjson.Scan(m, text) != nil {
			return
		}
		sent = nil
		if _, err := a.Call(t.Context(), &catalog.Call{Method: "tools/call", Target: "a", Message: m, Client: &catalog.Client{}}); err != nil || sent == nil {
			return
		}
		v, err := schema.Parse(sent)
		if err != nil || len(v.Members) != 3 {
			t.Fatalf("%s sent %s", arguments, sent)
		}
		args, _ := schema.Parse(arguments)
		if args.Get("fields") == nil {
			if usual == "" {
				usual = v.GetText("query")
			}
			if usual != v.GetText("query") {
				t.Fatalf("%s changed the text to %q", arguments, v.GetText("query"))
			}
		}
	})
}
