package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog/rawjson"
)

// What a schema marks and what a key names is not recorded, wherever it stands; all else is, byte by byte.
func TestRedacted(t *testing.T) {
	const pin = `{"type":"object","properties":{"code":{"type":"string","format":"password"},"n":{"type":"integer"}}}`
	for _, tt := range []struct{ name, schema, value, want string }{
		{"nothing", ``, ` { "a" : [ 1.50 , -2e3 , "x\u0041\"]" , null , true , { } , [ ] ] } `, `{"a":[1.50,-2e3,"x\u0041\"]",null,true,{},[]]}`},
		{"a scalar", ``, `7`, `7`},
		{
			"keys", ``, `{"Api-Key":"x","deep":[{"access_token":{"a":[1,"}"]},"n":1}],"\u0070in":1,"pinned":2}`,
			`{"Api-Key":"[redacted]","deep":[{"access_token":"[redacted]","n":1}],"\u0070in":"[redacted]","pinned":2}`,
		},
		{
			"JSON in text", ``, `{"text":"{\"password\":\"x\",\"n\":[1]}","more":"[{\"a\":\"{\\\"token\\\":1}\"}]","plain":"{ \"a\" : 1 }","not":"{password: x}"}`,
			`{"text":"{\"password\":\"[redacted]\",\"n\":[1]}","more":"[{\"a\":\"{\\\"token\\\":\\\"[redacted]\\\"}\"}]","plain":"{ \"a\" : 1 }","not":"{password: x}"}`,
		},
		{"no JSON", ``, `{"a":`, `"[redacted]"`},
		{"format", pin, `{"code":"x","n":1,"m":{"code":"y"}}`, `{"code":"[redacted]","n":1,"m":{"code":"y"}}`},
		{"all of it", `{"writeOnly":true}`, `{"code":[{}]}`, `"[redacted]"`},
		{"elements", `{"items":` + pin + `}`, `[{"code":1},{"code":{"a":[]},"n":2}]`, `[{"code":"[redacted]"},{"code":"[redacted]","n":2}]`},
		{"a tuple", `{"items":[{},` + pin + `]}`, `[{"code":1}]`, `[{"code":"[redacted]"}]`},
		{"prefixItems", `{"prefixItems":[{"writeOnly":true}]}`, `[1,2]`, `["[redacted]","[redacted]"]`},
		{"other members", `{"properties":{"a":{"properties":{"x":{"writeOnly":true}}}},"additionalProperties":{"writeOnly":true}}`, `{"a":{"x":1,"y":2},"b":3}`, `{"a":{"x":"[redacted]","y":2},"b":"[redacted]"}`},
		{"patterns", `{"patternProperties":{"^x-":{"format":"password"}}}`, `{"x-a":1}`, `{"x-a":"[redacted]"}`},
		{"one of", `{"oneOf":[{"properties":{"a":{"writeOnly":true}}},{"properties":{"b":{"properties":{"c":{"writeOnly":true}}}}}]}`, `{"a":1,"b":{"c":2,"d":3}}`, `{"a":"[redacted]","b":{"c":"[redacted]","d":3}}`},
		{
			"all of, and its own", `{"properties":{"a":{"properties":{"x":{"writeOnly":true}}}},"allOf":[{"properties":{"a":{"properties":{"y":{"writeOnly":true}}}}}]}`, `{"a":{"x":1,"y":2,"z":3}}`,
			`{"a":{"x":"[redacted]","y":"[redacted]","z":3}}`,
		},
		{"a reference", `{"$defs":{"a/b":` + pin + `},"properties":{"r":{"$ref":"#/$defs/a~1b"}}}`, `{"r":{"code":"x"}}`, `{"r":{"code":"[redacted]"}}`},
		{"a circle", `{"properties":{"code":{"writeOnly":true},"next":{"$ref":"#"}}}`, `{"code":1,"next":{"code":2,"next":{"code":3}}}`, `{"code":"[redacted]","next":{"code":"[redacted]","next":{"code":"[redacted]"}}}`},
		{"a reference to itself", `{"$ref":"#"}`, `{"a":1}`, `{"a":1}`},
		{"a tree", `{"properties":{"code":{"writeOnly":true},"left":{"$ref":"#"},"right":{"$ref":"#"}}}`, `{"n":1,"left":{"right":{"left":{"code":1,"n":2}}}}`, `{"n":1,"left":{"right":{"left":{"code":"[redacted]","n":2}}}}`},
		{"references in a ring", `{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"allOf":[{"$ref":"#/$defs/a"},` + pin + `]}},"$ref":"#/$defs/a"}`, `{"code":"x","n":1}`, `{"code":"[redacted]","n":1}`},
		{"what depends", `{"dependentSchemas":{"by":` + pin + `},"then":{"properties":{"then":{"writeOnly":true}}}}`, `{"by":1,"code":2,"then":3}`, `{"by":1,"code":"[redacted]","then":"[redacted]"}`},
		{"written otherwise", `{"properties":{"a":{"\u0066ormat":"p\u0061ssword"}}}`, `{"a":1}`, `{"a":"[redacted]"}`},
		{"references to nothing", `{"properties":{"a":{"$ref":"#/nothing/1"},"b":{"$ref":"https://x.example/y"},"c":{"$ref":7}}}`, `{"a":1}`, `{"a":1}`},
		{"a schema in text", pin, `"{\"code\":\"x\"}"`, `"{\"code\":\"[redacted]\"}"`},
		{"no schema", `[1]`, `{"a":1}`, `{"a":1}`},
	} {
		got := string(redacted([]byte(tt.value), maskOf([]byte(tt.schema))))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got): %s", tt.name, diff)
		}
	}
}

// Schemas whose references branch without end, deep values, and more alternatives than anybody reads are taken in bounded time.
func TestRedactionIsBounded(t *testing.T) {
	var defs, parts []string
	for i := range 50 {
		defs = append(defs, fmt.Sprintf(`"d%d":{"properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"},"code":{"writeOnly":true}}}`, i, (i+1)%50, (i*7)%50))
	}
	m := maskOf([]byte(`{"$defs":{` + strings.Join(defs, ",") + `},"$ref":"#/$defs/d0"}`))
	const steps = 400
	path := strings.Repeat(`{"a":{"b":`, steps/2)
	if got := string(redacted([]byte(path+`{"code":7,"n":1}`+strings.Repeat("}", steps)), m)); got != path+`{"code":"[redacted]","n":1}`+strings.Repeat("}", steps) {
		t.Error(got)
	}
	for i := range 100_000 {
		parts = append(parts, fmt.Sprintf(`{"properties":{"p%d":{"writeOnly":true}}}`, i))
	}
	if got := string(redacted([]byte(`{"a":1}`), maskOf([]byte(`{"oneOf":[`+strings.Join(parts, ",")+`]}`)))); got != `"[redacted]"` {
		t.Error(got)
	}
	const levels = rawjson.MaxDepth - 1
	deep := strings.Repeat(`[`, levels) + `"` + strings.Repeat("x", 4<<20) + `"` + strings.Repeat(`]`, levels)
	if got := redacted([]byte(deep), nil); string(got) != deep {
		t.Error("a deep value changed")
	}
}

func FuzzRedacted(f *testing.F) {
	for _, seed := range []string{`{"password":"CANARY","a":[{"b":"{\"token\":1}"}]}`, ` [ 1 , "\\" , "\"" , {} ] `, `"\u007b\u007d"`, `{"a":{"a":"[[]]"}}`} {
		f.Add([]byte(seed), []byte(`{"properties":{"a":{"$ref":"#"},"b":{"writeOnly":true}}}`))
	}
	f.Fuzz(func(t *testing.T, value, schema []byte) {
		m := maskOf(schema)
		got, hidden := redacted(value, m), true
		if rawjson.Valid(value) == nil {
			r := redaction{src: value, texts: textsDeep}
			r.value(m)
			hidden = r.hidden
		}
		switch {
		case rawjson.Valid(got) != nil:
			t.Fatalf("%q is no JSON", got)
		case !hidden && string(got) != string(rawjson.Compact(nil, value)):
			t.Fatalf("%q became %q", value, got)
		case string(redacted(got, m)) != string(got):
			t.Fatalf("%q is not final", got)
		}
		var seen any
		if json.Unmarshal(got, &seen) != nil {
			return // numbers that Go has no room for
		}
		if at := leak(seen); at != "" {
			t.Fatalf("the value of %q is there: %q", at, got)
		}
	})
}

// leak is a key that names a secret whose value was not left out, "" for none.
func leak(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if secret(key) && value != "[redacted]" {
				return key
			}
			if at := leak(value); at != "" {
				return at
			}
		}
	case []any:
		if i := slices.IndexFunc(v, func(e any) bool { return leak(e) != "" }); i >= 0 {
			return leak(v[i])
		}
	}
	return ""
}
