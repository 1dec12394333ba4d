package catalog

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeaderParams(t *testing.T) {
	tests := []struct {
		name, schema string
		want         []HeaderParam
		fault        string
	}{
		{"none", `{"type":"object","properties":{"a":{"type":"string"}}}`, nil, ""},
		{
			"top level and nested, in the order of the schema",
			`{"properties":{"region":{"type":"string","x-mcp-header":"region"},"o":{"type":"object","properties":{
				"p":{"properties":{"n":{"x-mcp-header":"X-n","type":"integer"}}}}},"dry":{"type":"boolean","x-mcp-header":"DRY_run"}}}`,
			[]HeaderParam{
				{"Mcp-Param-Region", []string{"region"}},
				{"Mcp-Param-X-N", []string{"o", "p", "n"}},
				{"Mcp-Param-Dry_run", []string{"dry"}},
			},
			"",
		},
		{
			"escaped", `{"propert\u0069es":{"\u00e9":{"\u0078-mcp-header":"\u0041","type":"\u0073tring"}}}`,
			[]HeaderParam{{"Mcp-Param-A", []string{"é"}}},
			"",
		},
		{
			"data that looks like it",
			`{"properties":{"x-mcp-header":{"type":"array","default":{"x-mcp-header":1},"enum":[{"x-mcp-header":1}],"examples":[{"x-mcp-header":1}]}},
				"const":{"properties":{"a":{"x-mcp-header":""}}},"x-vendor":{"x-mcp-header":2}}`, nil, "",
		},
		{"mentioned in text", `{"description":"the x-mcp-header of it"}`, nil, ""},
		{"properties is not an object", `{"properties":[{"x-mcp-header":"A"}]}`, nil, ""},
		{"property is a boolean schema", `{"properties":{"x-mcp-header":true}}`, nil, ""},

		{"empty", `{"properties":{"a":{"type":"string","x-mcp-header":""}}}`, nil, `property "a": x-mcp-header is not a string with text`},
		{"not a string", `{"properties":{"a":{"type":"string","x-mcp-header":true}}}`, nil, `property "a": x-mcp-header is not a string with text`},
		{"null", `{"properties":{"a":{"type":"string","x-mcp-header":null}}}`, nil, `property "a": x-mcp-header is not a string with text`},
		{"space", `{"properties":{"a":{"type":"string","x-mcp-header":"A B"}}}`, nil, `property "a": x-mcp-header "A B" is not an HTTP token`},
		{"colon", `{"properties":{"a":{"type":"string","x-mcp-header":"A:B"}}}`, nil, `property "a": x-mcp-header "A:B" is not an HTTP token`},
		{
			"line break", `{"properties":{"a":{"type":"string","x-mcp-header":"A\r\nHost: evil"}}}`, nil,
			`property "a": x-mcp-header "A\r\nHost: evil" is not an HTTP token`,
		},
		{"not ASCII", `{"properties":{"a":{"type":"string","x-mcp-header":"Ä"}}}`, nil, `property "a": x-mcp-header "Ä" is not an HTTP token`},
		{"number", `{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}`, nil, `property "a": x-mcp-header on a type other than integer, string and boolean`},
		{"no type", `{"properties":{"a":{"x-mcp-header":"A"}}}`, nil, `property "a": x-mcp-header on a type other than integer, string and boolean`},
		{"several types", `{"properties":{"a":{"type":["string","null"],"x-mcp-header":"A"}}}`, nil, `property "a": x-mcp-header on a type other than integer, string and boolean`},
		{"object", `{"properties":{"a":{"type":"object","x-mcp-header":"A","properties":{}}}}`, nil, `property "a": x-mcp-header on a type other than integer, string and boolean`},
		{
			"twice, in another case", `{"properties":{"a":{"type":"string","x-mcp-header":"Re"},"b":{"properties":{"c":{"type":"string","x-mcp-header":"rE"}}}}}`,
			nil, `property "b.c": x-mcp-header "rE" is taken by another property`,
		},
		{"root", `{"type":"string","x-mcp-header":"A"}`, nil, `inputSchema: x-mcp-header on the root, which is no property`},
		{"items", `{"properties":{"a":{"items":{"type":"string","x-mcp-header":"A"}}}}`, nil, `property "a.items": x-mcp-header is not reached through properties alone`},
		{"oneOf", `{"oneOf":[{},{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}`, nil, `property "oneOf.a": x-mcp-header is not reached through properties alone`},
		{"$defs", `{"$defs":{"a":{"type":"string","x-mcp-header":"A"}},"properties":{"b":{"$ref":"#/$defs/a"}}}`, nil, `property "$defs.a": x-mcp-header is not reached through properties alone`},
		{"then", `{"if":{},"then":{"x-mcp-header":"A"}}`, nil, `property "then": x-mcp-header is not reached through properties alone`},
		{"patternProperties", `{"patternProperties":{"^a":{"type":"string","x-mcp-header":"A"}}}`, nil, `property "patternProperties.^a": x-mcp-header is not reached through properties alone`},
		{"additionalProperties", `{"additionalProperties":{"type":"string","x-mcp-header":"A"}}`, nil, `property "additionalProperties": x-mcp-header is not reached through properties alone`},
		{"a fault behind a good one", `{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":" "}}}`, nil, `property "b": x-mcp-header " " is not an HTTP token`},
		{
			"the annotation twice", `{"properties":{"a":{"type":"string","x-mcp-header":"A","x-mcp-header":"B"}}}`, nil,
			`property "a": a schema with x-mcp-header has a key twice, or a key that differs from a known one in case`,
		},
		{
			"the type in another case", `{"properties":{"a":{"type":"string","Type":"object","x-mcp-header":"A"}}}`, nil,
			`property "a": a schema with x-mcp-header has a key twice, or a key that differs from a known one in case`,
		},
		{
			"a property twice", `{"properties":{"a":{"type":"string","x-mcp-header":"A"},"a":{"type":"object"}}}`, nil,
			`inputSchema: an object of schemas with x-mcp-header has a key twice`,
		},
		{"too many", manyHeaders(maxHeaders + 1), nil, fmt.Sprintf(`property "p%d": more than 64 x-mcp-header annotations`, maxHeaders)},
		{
			"too deep", strings.Repeat(`{"properties":{"a":`, maxSchemaDepth+1) + `{"type":"string","x-mcp-header":"A"}` + strings.Repeat("}}", maxSchemaDepth+1),
			nil, `property "a": x-mcp-header stands too deep in the schema`,
		},
		{
			"deep, without", strings.Repeat(`{"properties":{"a":`, 200) + `{"type":"string"}` + strings.Repeat("}}", 200), nil, "",
		},
		{
			"escapes too deep to look into, no annotation",
			`{"properties":{"a":{"type":"string","x-mcp-header":"A"}},"not":` +
				strings.Repeat(`{"not":`, 100) + `{"type":"\u0041"}` + strings.Repeat("}", 101),
			[]HeaderParam{{"Mcp-Param-A", []string{"a"}}},
			"",
		},
		{
			"too deep and escaped", strings.Repeat(`{"not":`, 100) + `{"\u0078-m\u0063p-header":"A"}` + strings.Repeat("}", 100),
			nil, `property "not": x-mcp-header stands too deep in the schema`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, fault := headerParams([]byte(tt.schema))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if fault != tt.fault {
				t.Errorf("fault %s, want %s", fault, tt.fault)
			}
		})
	}
}

func manyHeaders(n int) string {
	var b strings.Builder
	b.WriteString(`{"properties":{`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"p%d":{"type":"string","x-mcp-header":"H%d"}`, i, i)
	}
	return b.String() + "}}"
}

func TestHeadersFaultKeepsTheToolOutOfModernListsOnly(t *testing.T) {
	s := Build([]*Source{{Upstream: "up", Tools: raws(
		`{"name":"a","inputSchema":{"type":"object"}}`,
		`{"name":"bad","inputSchema":{"properties":{"x":{"type":"number","x-mcp-header":"X"}}}}`,
		`{"name":"good","inputSchema":{"properties":{"x":{"type":"integer","x-mcp-header":"X"}}}}`,
	)}}, Options{Naming: Bare})
	check(t, dump(s), `
		tool a = up/a
		tool bad = up/bad
		tool good = up/good
		warning up: tool "bad" left out of modern lists: property "x": x-mcp-header on a type other than integer, string and boolean`)
	for era, want := range map[Era]string{Legacy: "a bad good", Modern: "a good"} {
		if got := strings.Join(listed(t, s.View(nil), Tool, era), " "); got != want {
			t.Errorf("%s: got %s, want %s", era, got, want)
		}
	}
	good, err := s.Resolve(Tool, "good", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]HeaderParam{{"Mcp-Param-X", []string{"x"}}}, good.Headers); diff != "" {
		t.Error(diff)
	}
	if bad, err := s.Resolve(Tool, "bad", nil); err != nil || bad.HeadersFault == "" || bad.Headers != nil {
		t.Errorf("%+v, %v", bad, err)
	}
}

// Annotations that make other programs panic are a fault of the one tool that has them.
func TestTrap5_2_HostileHeaderAnnotationsNeverPanic(t *testing.T) {
	hostile := []string{
		`""`, `" "`, `":"`, `"\u0000"`, `"\r\nX: y"`, `1`, `true`, `null`, `{}`, `[]`, `["A"]`, `{"x-mcp-header":"A"}`,
		`"` + strings.Repeat("A", 1<<16) + ` "`, `"\ud83d\ude00"`,
	}
	var list [][]byte
	for i, value := range hostile {
		list = append(list, fmt.Appendf(nil, `{"name":"h%d","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":%s}}}}`, i, value))
	}
	for i, schema := range []string{
		strings.Repeat(`{"properties":{"a":`, 250) + `{"x-mcp-header":"A"}` + strings.Repeat("}}", 250),
		strings.Repeat(`{"allOf":[`, 250) + `{"x-mcp-header":"A"}` + strings.Repeat("]}", 250),
		manyHeaders(2000),
	} {
		list = append(list, fmt.Appendf(nil, `{"name":"deep%d","inputSchema":%s}`, i, schema))
	}
	s := Build([]*Source{{Upstream: "up", Tools: append(list, tools("fine")...)}}, Options{Naming: Bare})
	if s.Len() != len(list)+1 {
		t.Fatal(dump(s))
	}
	if diff := cmp.Diff([]string{"fine"}, listed(t, s.View(nil), Tool, Modern)); diff != "" {
		t.Error(diff)
	}
	if got := listed(t, s.View(nil), Tool, Legacy); len(got) != len(list)+1 {
		t.Errorf("legacy lists have %d tools, want %d", len(got), len(list)+1)
	}
}

func FuzzHeaderParams(f *testing.F) {
	f.Add(`{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}`)
	f.Add(`{"properties":{"a":{"properties":{"\u0062":{"type":"integer","x-mcp-header":"B"}}}}}`)
	f.Add(`{"oneOf":[{"x-mcp-header":"A"}],"$defs":{"x":{"items":[{"x-mcp-header":1}]}}}`)
	f.Fuzz(func(t *testing.T, schema string) {
		raw := fmt.Appendf(nil, `{"name":"t","inputSchema":%s}`, schema)
		s := Build([]*Source{{Upstream: "up", Tools: [][]byte{raw}}}, Options{Naming: Bare})
		if s.Len() == 0 {
			return
		}
		e := s.Entries()[0]
		if e.HeadersFault != "" && e.Headers != nil {
			t.Error("a faulty tool has bindings")
		}
		seen := make(map[string]bool)
		for _, p := range e.Headers {
			if p.Header != http.CanonicalHeaderKey(p.Header) || !strings.HasPrefix(p.Header, headerPrefix) || len(p.Header) == len(headerPrefix) {
				t.Errorf("header %q", p.Header)
			}
			if seen[p.Header] || len(p.Path) == 0 || !isToken(p.Header) {
				t.Errorf("binding %+v", p)
			}
			seen[p.Header] = true
		}
	})
}
