package catalog

import (
	"strings"
	"testing"
)

// What of a tool clients could not read is put right, left out, or takes that tool alone off the list. The good tools around it are listed in every case.
func TestR6_MalformedTools(t *testing.T) {
	const end = `"name":"t"}`
	deep := strings.Repeat(`{"properties":{"a":`, 400) + `{}` + strings.Repeat(`}}`, 400)
	tests := []struct{ raw, want, fault string }{
		// withheld
		{`7`, ``, `it is not an object`},
		{`null`, ``, `it is not an object`},
		{`[]`, ``, `it is not an object`},
		{`"t"`, ``, `it is not an object`},
		{`{}`, ``, `name is missing`},
		{`{"inputSchema":{"type":"object"}}`, ``, `name is missing`},
		{`{"name":null,"inputSchema":{"type":"object"}}`, ``, `name is not a string`},
		{`{"name":5,"inputSchema":{"type":"object"}}`, ``, `name is not a string`},
		{`{"name":"","inputSchema":{"type":"object"}}`, ``, `name is empty`},
		{`{"name":"\ud83d","inputSchema":{"type":"object"}}`, ``, `name is not a string`},
		{`{"name":"` + strings.Repeat("n", maxIdentifier+1) + `","inputSchema":{"type":"object"}}`, ``, `name is longer than`},
		{`{"name":"t","name":"u","inputSchema":{"type":"object"}}`, ``, `a key that`},
		{`{"name":"t","Name":"u","inputSchema":{"type":"object"}}`, ``, `a key that`},
		{`{"name":"t"}`, ``, `inputSchema is missing`},
		{`{"inputSchema":null,` + end, ``, `inputSchema is not an object`},
		{`{"inputSchema":true,` + end, ``, `inputSchema is not an object`},
		{`{"inputSchema":"object",` + end, ``, `inputSchema is not an object`},
		{`{"inputSchema":[],` + end, ``, `inputSchema is not an object`},
		{`{"inputSchema":{"type":"string"},` + end, ``, `inputSchema: its type is not object`},
		{`{"inputSchema":{"type":17},` + end, ``, `inputSchema: its type is not object`},
		{`{"inputSchema":{"type":null},` + end, ``, `inputSchema: its type is not object`},
		{`{"inputSchema":{"type":["array","null"]},` + end, ``, `inputSchema: its type is not object`},
		{`{"inputSchema":{"type":"object","type":"array"},` + end, ``, `inputSchema: json`},
		{`{"inputSchema":{"type":"object","properties":7},` + end, ``, `inputSchema: its properties are not an object`},
		{`{"inputSchema":{"type":"object","properties":["a"]},` + end, ``, `inputSchema: its properties are not an object`},
		{`{"inputSchema":{"type":"object","properties":{"a":"string"}},` + end, ``, `inputSchema: its property "a" is no schema`},
		{`{"inputSchema":{"type":"object","properties":{"a":null}},` + end, ``, `inputSchema: its property "a" is no schema`},
		{`{"inputSchema":{"type":"object","required":"a"},` + end, ``, `inputSchema: what it requires is not a list of names`},
		{`{"inputSchema":{"type":"object","required":[1]},` + end, ``, `inputSchema: what it requires is not a list of names`},
		{`{"inputSchema":{"type":"object","required":true},` + end, ``, `inputSchema: what it requires is not a list of names`},
		// put right
		{`{"inputSchema":{},` + end, `{"inputSchema":{"type":"object"},` + end, ``},
		{`{"inputSchema":{ "properties":{}},` + end, `{"inputSchema":{"type":"object", "properties":{}},` + end, ``},
		{`{"inputSchema":{"type":["object","null"]},` + end, `{"inputSchema":{"type":"object"},` + end, ``},
		{`{"inputSchema":{"type":"object","properties":[ ]},` + end, `{"inputSchema":{"type":"object","properties":{}},` + end, ``},
		{`{"inputSchema":{"type":"object","properties":{"a":[],"b":{}, "c":[ ]}},` + end, `{"inputSchema":{"type":"object","properties":{"a":{},"b":{}, "c":{}}},` + end, ``},
		{`{"inputSchema":{"required":null,"properties":null},` + end, `{"inputSchema":{"type":"object","required":[],"properties":{}},` + end, ``},
		// listed without a member
		{`{"inputSchema":{"type":"object"},"title":5,` + end, `{"inputSchema":{"type":"object"},` + end, `title`},
		{`{"inputSchema":{"type":"object"},"description":null,` + end, `{"inputSchema":{"type":"object"},` + end, `description`},
		{`{"inputSchema":{"type":"object"},"annotations":[],` + end, `{"inputSchema":{"type":"object"},` + end, `annotations`},
		{`{"inputSchema":{"type":"object"},"annotations":{"readOnlyHint":"yes"},` + end, `{"inputSchema":{"type":"object"},` + end, `annotations`},
		{`{"inputSchema":{"type":"object"},"annotations":{"title":{}},` + end, `{"inputSchema":{"type":"object"},` + end, `annotations`},
		{`{"inputSchema":{"type":"object"},"icons":{},` + end, `{"inputSchema":{"type":"object"},` + end, `icons`},
		{`{"inputSchema":{"type":"object"},"icons":[{"href":"x"}],` + end, `{"inputSchema":{"type":"object"},` + end, `icons`},
		{`{"inputSchema":{"type":"object"},"execution":{"taskSupport":"maybe"},` + end, `{"inputSchema":{"type":"object"},` + end, `execution`},
		{`{"inputSchema":{"type":"object"},"_meta":"x",` + end, `{"inputSchema":{"type":"object"},` + end, `_meta`},
		{`{"inputSchema":{"type":"object"},"outputSchema":true,` + end, `{"inputSchema":{"type":"object"},` + end, `outputSchema`},
		{`{"inputSchema":{"type":"object"},"outputSchema":null,` + end, `{"inputSchema":{"type":"object"},` + end, `outputSchema`},
		{`{"inputSchema":{"type":"object"},"annotations":{"openWorldHint":null},` + end, `{"inputSchema":{"type":"object"},` + end, `annotations`},
		// odd all the same, and none of weir's business
		{`{"inputSchema":{"type":"object","properties":{"a":{"$ref":"#/properties/a"}}},` + end, `=`, ``},
		{`{"inputSchema":{"type":"object","$ref":"#"},` + end, `=`, ``},
		{`{"inputSchema":{"type":"object"},"annotations":{"vendorHint":[]},` + end, `=`, ``},
		{`{"inputSchema":{"type":"object","properties":{"a":{"type":"banana","pattern":"("}}},` + end, `=`, ``},
		{`{"inputSchema":{"type":"object","properties":{"a":` + deep + `}},` + end, ``, `json`},
	}
	for _, tt := range tests {
		s := Build([]*Source{{Upstream: "up", Tools: append(tools("first"), append(raws(tt.raw), tools("last")...)...)}}, Options{Naming: Bare})
		for _, good := range []string{"first", "last"} {
			if e, err := s.Resolve(Tool, good, nil); err != nil || string(e.Raw(Legacy)) != string(tools(good)[0]) {
				t.Errorf("%.200s: the tool %s is lost: %v", tt.raw, good, err)
			}
		}
		e, err := s.Resolve(Tool, "t", nil)
		want := tt.want
		if want == "=" {
			want = tt.raw
		}
		switch {
		case want == "" && s.Len() != 2:
			t.Errorf("%.200s is listed", tt.raw)
		case want != "" && err != nil:
			t.Errorf("%.200s is withheld: %v", tt.raw, s.Problems())
		case want != "" && (string(e.Raw(Legacy)) != want || string(e.Raw(Modern)) != want):
			t.Errorf("%.200s\nis listed as %s\nwant         %s", tt.raw, e.Raw(Modern), want)
		}
		told := s.Problems()
		if tt.fault == "" != (len(told) == 0) || len(told) > 0 && (len(told) != 1 || !strings.Contains(told[0].Reason, tt.fault) || told[0].Withheld != (want == "")) {
			t.Errorf("%.200s: %+v, want %q", tt.raw, told, tt.fault)
		}
	}
	t.Logf("%d tools", len(tests))
}
