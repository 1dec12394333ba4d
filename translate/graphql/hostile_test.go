package graphql

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
