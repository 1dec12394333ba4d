package graphql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/translate/internal/alone"
	"weir/translate/schema"
)

// hostileSchemas are large or deep in each way that a schema can be. The race detector, which takes ten times the time and memory, gets a tenth of them.
func hostileSchemas() map[string]string {
	size := 10
	if testing.Short() {
		size = 1
	}
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n * size {
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(format, "#", fmt.Sprint(i)), "@", fmt.Sprint(i+1)))
		}
		return b.String()
	}
	last := fmt.Sprint(500 * size)
	return map[string]string{
		"wide":       "type Query {" + repeat(2000, " f#(a: Int, b: E!): T") + " } type T { x: Int t: T } enum E { A }",
		"enum":       "type Query { f(e: E!): E g(e: [E]): Int } enum E {" + repeat(10_000, " V#") + " }",
		"chain":      "type Query { f(a: I0!): T0 }" + repeat(500, " input I# { a: I@ b: I@ c: I0 } type T# { a: T@ b: T@ x: Int u: U }") + " input I" + last + " { x: Int } type T" + last + " { x: Int } union U = T0" + repeat(500, " | T@"),
		"every way":  "type Query { f(a: I0!): T0 }" + repeat(20, " input I# { a: [I@!] b: I@ c: I0 d: I#! e: [[I@]] } interface N# { n: N# x(y: I#): T# } type T# implements N# { n: N# x(y: I#, z: Int): T# a: [T@!]! u: U# } union U# = T# | T@") + " input I" + fmt.Sprint(20*size) + " { x: Int } type T" + fmt.Sprint(20*size) + " { t: T0 }",
		"interfaces": "type Query { f: I0 }" + repeat(100, " interface I# implements I0 { x: Int i: I@ }") + " interface I" + fmt.Sprint(100*size) + " { x: Int }" + repeat(200, " type T# implements I0 & I1 { x: Int i: I1 y#: Int }"),
		"arguments":  "type Query { f(" + repeat(2000, " a#: [I!]!") + "): Int } input I { " + repeat(200, " f#: I") + " }",
		"lists":      "type Query { f(a: " + strings.Repeat("[", 5000) + "Int" + strings.Repeat("]", 5000) + "): Int }",
		"default":    "type Query { f(a: Int = " + strings.Repeat("[", 50_000) + "): Int }",
		"braces":     strings.Repeat("{", 100_000),
		"words":      "\"" + strings.Repeat("x", 1_000_000*size) + "\" type Query { \"" + strings.Repeat("y\\n", 500_000*size) + "\" f: Int }",
		"directives": "type Query { f: Int" + repeat(5000, " @d#(a: [{b: {c: [1]}}])") + " }",
		"told":       `{"__schema":{"queryType":{"name":"Query"},"types":[{"kind":"OBJECT","name":"Query","fields":[{"name":"f","args":[],"type":` + strings.Repeat(`{"kind":"LIST","ofType":`, 400) + `{"kind":"SCALAR","name":"Int"}` + strings.Repeat("}", 400) + `}` + repeat(3000, `,{"name":"f#","args":[{"name":"a","type":{"kind":"SCALAR","name":"Int"}}],"type":{"kind":"OBJECT","name":"Query"}}`) + `]}]}}`,
	}
}

const (
	mostMemory = 256 << 10 // KiB
	mostTime   = 5 * time.Second
)

// TestT21_HostileSchemas reads each hostile schema and makes its tools, in a process of its own, within 256 MB and five seconds of processor time.
func TestT21_HostileSchemas(t *testing.T) {
	all := hostileSchemas()
	if name := alone.Case(); name != "" {
		d, err := open(name, []byte(all[name]))
		if err == nil {
			b := &builder{description: d, spec: &Spec{}, upstream: "api", inputs: newInputs(d, nil)}
			for i, x := range b.build(nil) {
				if i < 20 { // schemas are compiled when a tool is called first
					_, _ = x.Input.Check()
				}
			}
		}
		alone.Tell(t, "%d KiB of schema, %v", len(all[name])>>10, err)
		return
	}
	for name := range all {
		t.Run(name, func(t *testing.T) {
			c := alone.Run(t, name)
			t.Logf("%v of processor time, %s", c.Time, schema.Shorten(c.Output, 300))
			if c.Err != nil || c.Time > mostTime || c.Peak > mostMemory {
				t.Errorf("%v, %v, %d KiB: %s", c.Err, c.Time, c.Peak, schema.Shorten(c.Output, 3000))
			}
		})
	}
}
