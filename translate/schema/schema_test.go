package schema_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/translate/schema"
)

func parse(t testing.TB, text string) *schema.Value {
	t.Helper()
	v, err := schema.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// full makes a Full of a document with $defs.
func full(t testing.TB, text string) schema.Full {
	t.Helper()
	v := parse(t, text)
	defs := schema.NewDefs()
	for _, m := range v.Object("$defs") {
		defs.Add(m.Key, m.Value)
	}
	return schema.Full{Root: v.Without("$defs"), Defs: defs}
}

func TestParseKeepsOrderAndNumbers(t *testing.T) {
	for _, text := range []string{
		`{"b":1,"a":9007199254740993,"c":[true,false,null,1e400,-0.50],"d":{"é":"\"\\"}}`,
		`[]`, `{}`, `"x"`, `12`,
	} {
		if got := parse(t, " "+text+" ").JSON(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	if got := parse(t, `{"a":1,"b":2,"a":3}`).JSON(); got != `{"b":2,"a":3}` {
		t.Errorf("repeated key: %s", got)
	}
	if _, err := schema.Parse([]byte(strings.Repeat("[", 100_000))); err == nil {
		t.Error("deep nesting was taken")
	}
}

func TestPointer(t *testing.T) {
	v := parse(t, `{"a/b":{"~":[10,{"x":1}]}}`)
	got, err := v.Pointer("/a~1b/~0/1/x")
	if err != nil || got.Text != "1" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, p := range []string{"a", "/x", "/a~1b/~0/2", "/a~1b/~0/-1", "/a~1b/~0/01x"} {
		if _, err := v.Pointer(p); err == nil {
			t.Errorf("%s leads somewhere", p)
		}
	}
}

func TestPublish(t *testing.T) {
	tests := []struct{ name, full, want string }{
		{
			"references are written out and allOf is merged",
			`{"type":"object","properties":{"a":{"allOf":[{"$ref":"#/$defs/P"}],"description":"the pet"}},"required":["a"],"additionalProperties":false,
			"$defs":{"P":{"type":"object","description":"Pet","properties":{"name":{"type":"string"}},"required":["name"]}}}`,
			`{"type":"object","properties":{"a":{"type":"object","description":"the pet","properties":{"name":{"type":"string"}},"required":["name"]}},"required":["a"],"additionalProperties":false}`,
		},
		{
			"recursion is cut with the names of what is inside",
			`{"type":"object","properties":{"t":{"$ref":"#/$defs/T"}},"$defs":{"T":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/T"}}}}}`,
			`{"type":"object","properties":{"t":{"type":"object","properties":{"v":{"type":"integer"},"next":{"type":"object","description":"Has: v, next"}}}}}`,
		},
		{
			"a null branch becomes a type and a value",
			`{"type":"object","properties":{"a":{"anyOf":[{"type":"string","enum":["x","y"]},{"type":"null"}]}}}`,
			`{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x","y",null]}}}`,
		},
		{
			"what limits nothing that clients know is left out",
			`{"type":"object","dependentRequired":{"a":["b"]},"properties":{"a":{"not":{"type":"string"},"x-y":1,"title":"A"},"b":{"type":"string","format":"int64"}}}`,
			`{"type":"object","properties":{"a":{"type":["string","number","boolean","object","array","null"],"items":{}},"b":{"type":"string"}}}`,
		},
		{
			"patterned members keep an object open",
			`{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"string"}},"patternProperties":{"^x":{}},"additionalProperties":false}}}`,
			`{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"string"}}}}}`,
		},
		{
			"required names without a property get an open one",
			`{"type":"object","properties":{},"required":["z"]}`,
			`{"type":"object","properties":{"z":{"type":["string","number","boolean","object","array","null"],"items":{}}},"required":["z"]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := schema.Publish(full(t, tt.full), 4096)
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPublishKeepsToTheBudget(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"type":"object","additionalProperties":false,"required":["r"],"properties":{"r":{"type":"string"}`)
	for i := range 400 {
		fmt.Fprintf(&b, `,"argument_%d":{"type":"object","description":"%s","properties":{"a":{"type":"string"},"b":{"enum":["1","2"]}}}`, i, strings.Repeat("words ", 40))
	}
	b.WriteString(`}}`)
	f := full(t, b.String())
	for _, budget := range []int{1000, 4000, 40_000, 1 << 20} {
		got, whole := schema.Publish(f, budget)
		if len(got) > budget || !json.Valid(got) {
			t.Errorf("budget %d: %d bytes, valid %v", budget, len(got), json.Valid(got))
		}
		v := parse(t, string(got))
		if v.Get("properties").Get("r") == nil {
			t.Errorf("budget %d: the required argument is gone", budget)
		}
		if n := len(v.Object("properties")); n < 401 && v.False("additionalProperties") {
			t.Errorf("budget %d: %d arguments and closed", budget, n)
		}
		if whole != (budget == 1<<20) {
			t.Errorf("budget %d: whole is %v", budget, whole)
		}
	}
}

func TestPublishResultIsRelaxed(t *testing.T) {
	got := schema.PublishResult(full(t, `{"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":{"type":"string","enum":["x"],"maxLength":3},
		"n":{"type":"array","items":{"$ref":"#/$defs/N"}}},"$defs":{"N":{"type":"object","properties":{"id":{"type":"integer","minimum":1}}}}}`), 2048)
	want := `{"type":"object","properties":{"a":{"type":["string","null"]},"n":{"type":["array","null"],"items":{"type":["object","null"],"properties":{"id":{"type":["integer","null"]}}}}}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestLint(t *testing.T) {
	var wide strings.Builder
	wide.WriteString(`{"$ref":"#/$defs/d0","$defs":{"d20":{}`)
	for i := range 20 {
		fmt.Fprintf(&wide, `,"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i+1, i+1)
	}
	wide.WriteString(`}}`)
	tests := []struct{ name, schema, want string }{
		{"fine", `{"type":"object","properties":{"t":{"$ref":"#/$defs/T"}},"$defs":{"T":{"properties":{"n":{"$ref":"#/$defs/T"}}}}}`, ""},
		{"file", `{"$ref":"file:///etc/passwd"}`, "leads to no definition"},
		{"dead", `{"properties":{"a":{"$ref":"#/$defs/X"}}}`, "leads to no definition"},
		{"itself", `{"$ref":"#/$defs/A","$defs":{"A":{"$ref":"#/$defs/A"}}}`, "back to itself"},
		{"through allOf", `{"$ref":"#/$defs/A","$defs":{"A":{"allOf":[{"$ref":"#/$defs/B"}]},"B":{"not":{"$ref":"#/$defs/A"}}}}`, "back to itself"},
		{"reached by a step first", `{"$ref":"#/$defs/X","$defs":{"X":{"properties":{"z":{"$ref":"#/$defs/Y"}},"allOf":[{"$ref":"#/$defs/Y"}]},"Y":{"allOf":[{"$ref":"#/$defs/X"}]}}}`, "back to itself"},
		{"doubling", wide.String(), "apply in one place"},
		{"dialect", `{"$schema":"http://json-schema.org/draft-04/schema#"}`, "another dialect"},
		{"anchor", `{"$anchor":"x"}`, "$anchor is not taken"},
		{"no schema", `{"properties":{"a":3}}`, "neither an object"},
		{"deep", strings.Repeat(`{"items":`, 40) + `{}` + strings.Repeat(`}`, 40), "deeper than 32"},
		{"large", `{"description":"` + strings.Repeat("x", 70_000) + `"}`, "larger than"},
		{"many", `{"anyOf":[` + strings.Repeat(`{},`, 1000) + `{}]}`, "more than 1000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := schema.Lint(full(t, tt.schema), schema.Untrusted())
			if got := fmt.Sprint(err); tt.want == "" && err != nil || tt.want != "" && !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %q", got, tt.want)
			}
		})
	}
}

func TestOpenCycles(t *testing.T) {
	f := full(t, `{"$ref":"#/$defs/X","$defs":{"X":{"properties":{"z":{"$ref":"#/$defs/Y"}},"allOf":[{"$ref":"#/$defs/Y"}]},"Y":{"allOf":[{"$ref":"#/$defs/X"}]}}}`)
	if opened := f.Defs.OpenCycles(); len(opened) != 1 {
		t.Errorf("opened %v", opened)
	}
	if _, err := schema.Compile(f, schema.Untrusted()); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	v, err := schema.Compile(full(t, `{"type":"object","additionalProperties":false,"required":["owner"],"properties":{"owner":{"type":"string"},
		"state":{"enum":["open","closed"]},"n":{"type":"integer","minimum":1},"o":{"anyOf":[{"type":"string"},{"type":"object","properties":{"k":{"type":"boolean"}}}]}}}`), schema.Described())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		value string
		want  []schema.Fault
	}{
		{`{"owner":"x","n":3}`, nil},
		{`{}`, []schema.Fault{{Rule: "required", Names: []string{"owner"}}}},
		{`{"owner":"x","foo":1}`, []schema.Fault{{Rule: "additionalProperties", Names: []string{"foo"}}}},
		{`{"owner":"x","n":"3"}`, []schema.Fault{{Path: []string{"n"}, Rule: "type", Want: "integer"}}},
		{`{"owner":"x","n":0}`, []schema.Fault{{Path: []string{"n"}, Rule: "minimum", Want: "at least 1"}}},
		{`{"owner":"x","state":"opened"}`, []schema.Fault{{Path: []string{"state"}, Rule: "enum", Want: "one of open, closed"}}},
		{`{"owner":"x","o":{"k":1}}`, []schema.Fault{{Path: []string{"o", "k"}, Rule: "type", Want: "boolean"}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, v.Check(parse(t, tt.value).Plain())); diff != "" {
			t.Errorf("%s:\n%s", tt.value, diff)
		}
	}
}

func TestClean(t *testing.T) {
	tests := [][2]string{
		{"plain text", "plain text"},
		{"<p>See [the docs](https://example.com/a) now.</p>\n\nNext", "See the docs now. Next"},
		{"a\u202eb\u200bc\x00d", "abcd"},
		{"1 < 2 and 3 > 2", "1 < 2 and 3 > 2"},
	}
	for _, tt := range tests {
		if got := schema.Clean(tt[0]); got != tt[1] {
			t.Errorf("%q: got %q, want %q", tt[0], got, tt[1])
		}
	}
	if got := schema.Shorten("One sentence here. Another one that is long.", 30); got != "One sentence here." {
		t.Errorf("got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\u00e9",{"b":null}]}`, `[`, `{"a"`, `"\ud800"`, ` 1 `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := schema.Parse(data)
		if err != nil {
			return
		}
		text := v.JSON()
		again, err := schema.Parse([]byte(text))
		if err != nil || again.JSON() != text {
			t.Errorf("%q became %q", data, text)
		}
	})
}

// FuzzSchema runs the lint and, when it lets a schema through, everything that trusts it.
func FuzzSchema(f *testing.F) {
	for _, s := range []string{
		`{"$ref":"#/$defs/A","$defs":{"A":{"allOf":[{"$ref":"#/$defs/A"}]}}}`, `{"properties":{"a":{"$ref":"#"}}}`, `{"type":["x",1],"enum":{}}`,
		`{"properties":[{"items":{"anyOf":3}}],"required":[1]}`, `{"anyOf":[{"type":"null"},{"type":"object","additionalProperties":{"type":"string"}}]}`,
	} {
		f.Add([]byte(s), []byte(`{"a":[1]}`))
	}
	f.Fuzz(func(t *testing.T, text, value []byte) {
		document, err := schema.Parse(text)
		if err != nil || document.Kind != schema.Object {
			return
		}
		defs := schema.NewDefs()
		for _, m := range document.Object("$defs") {
			defs.Add(m.Key, m.Value)
		}
		full := schema.Full{Root: document.Without("$defs"), Defs: defs}
		published, _ := schema.Publish(full, 2000)
		if !json.Valid(published) {
			t.Errorf("%s is published as %s", text, published)
		}
		v, err := schema.Compile(full, schema.Untrusted())
		if err != nil {
			return
		}
		if instance, err := schema.Parse(value); err == nil {
			v.Check(instance.Plain())
		}
	})
}

// TestNear: a schema with more definitions than can be compiled checks the nearest ones and takes any value further away.
func TestNear(t *testing.T) {
	defs, properties := schema.NewDefs(), schema.Map()
	for i := range 300 {
		name, inner := strconv.Itoa(i), schema.Map()
		for j := range 98 {
			inner.Put(strconv.Itoa(j), schema.Map(schema.Member{Key: "type", Value: schema.Text("string")}))
		}
		defs.Add(name, schema.Map(schema.Member{Key: "properties", Value: inner}, schema.Member{Key: "additionalProperties", Value: schema.Boolean(false)}))
		properties.Put(name, schema.Map(schema.Member{Key: "$ref", Value: schema.Ref(name)}))
	}
	v, err := schema.Compile(schema.Full{Root: schema.Map(schema.Member{Key: "properties", Value: properties}), Defs: defs}, schema.Described())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"0": 1, "149": 1, "150": 0, "299": 0} {
		if faults := v.Check(map[string]any{name: map[string]any{"unknown": true}}); len(faults) != want {
			t.Errorf("%s: %+v", name, faults)
		}
	}
}

// TestHalfSurrogates: a text with half of a surrogate pair keeps what stands around it.
func TestHalfSurrogates(t *testing.T) {
	for text, want := range map[string]string{
		`"a\ud800b"`: `"a\ufffdb"`, `"\ude00"`: `"\ufffd"`, `"\ud83d\ude00"`: "\"\U0001F600\"", `{"k":["\ud800\u0041"]}`: `{"k":["\ufffdA"]}`,
	} {
		if got := parse(t, text).JSON(); got != strings.ReplaceAll(want, `\ufffd`, "\ufffd") {
			t.Errorf("%s: got %s", text, got)
		}
	}
}
