package openapi

import (
	"fmt"
	"strings"
	"testing"

	"weir/translate"
)

// TestSeededFaults puts one fault at a time beside a sound operation: the fault is a warning with its place, and the sound operation is there
// and unchanged.
func TestSeededFaults(t *testing.T) {
	const sound = `"/sound":{"get":{"operationId":"sound","parameters":[{"name":"q","in":"query","schema":{"type":"string"}}],"responses":{"200":{"description":"d"}}}}`
	parameter := func(p string) string {
		return `"/x":{"get":{"operationId":"x","parameters":[` + p + `],"responses":{}}}`
	}
	body := func(s string) string {
		return `"/x":{"post":{"operationId":"x","requestBody":{"content":{"application/json":{"schema":` + s + `}}},"responses":{}}}`
	}
	tests := []struct{ name, path, pointer, message string }{
		{"dead reference in a body", body(`{"$ref":"#/components/schemas/Nope"}`), "/paths/~1x/post/requestBody/content/application~1json/schema", "any value is taken"},
		{"dead reference of a parameter", parameter(`{"$ref":"#/components/parameters/Nope"}`), "/paths/~1x/get/parameters/0", "left out"},
		{"reference to a file", body(`{"$ref":"file:///etc/passwd"}`), "/paths/~1x/post/requestBody/content/application~1json/schema", "not followed"},
		{"reference to an address", body(`{"$ref":"http://169.254.169.254/x"}`), "/paths/~1x/post/requestBody/content/application~1json/schema", "not followed"},
		{"reference out of the folder", body(`{"$ref":"../../etc/passwd"}`), "/paths/~1x/post/requestBody/content/application~1json/schema", "outside"},
		{"reference to another file", body(`{"$ref":"other.json#/a"}`), "/paths/~1x/post/requestBody/content/application~1json/schema", "only where that is configured"},
		{"reference in a circle", `"/x":{"$ref":"#/paths/~1x"}`, "/paths/~1x", "circle"},
		{"path that is no object", `"/x":3`, "/paths/~1x", "no object"},
		{"operation that is no object", `"/x":{"get":[1]}`, "/paths/~1x/get", "no object"},
		{"path without a slash", `"x":{"get":{"operationId":"x","responses":{}}}`, "/paths/x", "does not start with /"},
		{"repeated operationId", `"/x":{"get":{"operationId":"twice","responses":{}},"put":{"operationId":"twice","responses":{}}}`, "/paths/~1x/put/operationId", "too"},
		{"operationId that is no text", `"/x":{"get":{"operationId":7,"responses":{}}}`, "/paths/~1x/get/operationId", "no text"},
		{"parameters that are no list", `"/x":{"get":{"operationId":"x","parameters":{"a":1},"responses":{}}}`, "/paths/~1x/get/parameters", "no list"},
		{"parameter without a name", parameter(`{"in":"query","schema":{}}`), "/paths/~1x/get/parameters/0", "no name"},
		{"parameter in an unknown place", parameter(`{"name":"a","in":"moon","schema":{}}`), "/paths/~1x/get/parameters/0", "moon"},
		{"parameter with control characters", parameter(`{"name":"a\r\nb","in":"header","schema":{}}`), "/paths/~1x/get/parameters/0", "control characters"},
		{"parameter without a schema", parameter(`{"name":"a","in":"query"}`), "/paths/~1x/get/parameters/0", "no schema"},
		{"style of another place", parameter(`{"name":"a","in":"query","style":"matrix","schema":{}}`), "/paths/~1x/get/parameters/0/style", "matrix"},
		{"path parameter that is not there", parameter(`{"name":"a","in":"path","required":true,"schema":{}}`), "/paths/~1x/get/parameters/0", "has no {a}"},
		{"path parameter that is not described", `"/x/{id}":{"get":{"operationId":"x","responses":{}}}`, "/paths/~1x~1{id}/get", "{id}"},
		{"path parameter that is optional", `"/x/{id}":{"get":{"operationId":"x","parameters":[{"name":"id","in":"path","schema":{}}],"responses":{}}}`, "/paths/~1x~1{id}/get/parameters/0", "always required"},
		{"reserved header", parameter(`{"name":"Host","in":"header","schema":{}}`), "/paths/~1x/get", "cannot be an argument"},
		{"unknown type", body(`{"type":"object","properties":{"a":{"type":"blob"}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/type", "blob"},
		{"pattern for another engine", body(`{"type":"object","properties":{"a":{"type":"string","pattern":"(?<=a)b"}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/pattern", "RE2"},
		{"limit that is no number", body(`{"type":"object","properties":{"a":{"type":"integer","minimum":"low"}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/minimum", "no number"},
		{"limit that cannot be computed", body(`{"type":"object","properties":{"a":{"type":"number","maximum":1e999999999}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/maximum", "no number"},
		{"negative length", body(`{"type":"object","properties":{"a":{"type":"string","maxLength":-1}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/maxLength", "natural"},
		{"empty enumeration", body(`{"type":"object","properties":{"a":{"enum":[]}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/enum", "empty"},
		{"value twice in an enumeration", body(`{"type":"object","properties":{"a":{"enum":["x","x"]}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/enum/1", "twice"},
		{"value of another type in an enumeration", body(`{"type":"object","properties":{"a":{"type":"string","enum":["x",null]}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/enum/1", "does not fit"},
		{"properties that are a list", body(`{"type":"object","properties":[1]}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties", "no object"},
		{"schema that is a text", body(`{"type":"object","properties":{"a":"string"}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a", "no object"},
		{"required that is a text", body(`{"type":"object","properties":{"a":{}},"required":"a"}`), "/paths/~1x/post/requestBody/content/application~1json/schema/required", "no list"},
		{"items that are a list", body(`{"type":"object","properties":{"a":{"type":"array","items":[{"type":"string"}]}}}`), "/paths/~1x/post/requestBody/content/application~1json/schema/properties/a/items", "is a list"},
		{"allOf that is empty", body(`{"allOf":[]}`), "/paths/~1x/post/requestBody/content/application~1json/schema/allOf", "empty"},
		{"reference to itself", body(`{"$ref":"#/components/schemas/Loop"}`), "", "refers to itself"},
		{"response that is no object", `"/x":{"get":{"operationId":"x","responses":{"200":"ok"}}}`, "/paths/~1x/get/responses/200", "no object"},
		{"security scheme that is not defined", `"/x":{"get":{"operationId":"x","security":[{"nope":[]}],"responses":{}}}`, "/paths/~1x/get/security/0/nope", "not defined"},
		{"server that is none", `"/x":{"get":{"operationId":"x","servers":[{"url":"https://{a}.test"}],"responses":{}}}`, "/paths/~1x/get/servers/0", "variable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := `{"openapi":"3.1.0","servers":[{"url":"https://h.test"}],"paths":{` + tt.path + "," + sound + `},"components":{"schemas":{"Loop":{"allOf":[{"$ref":"#/components/schemas/Loop"}]}}}}`
			d, err := open("", []byte(text), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			b := &builder{spec: &Spec{}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
			tools := b.build()
			found := false
			for _, w := range d.sorted() {
				found = found || w.Pointer == tt.pointer && strings.Contains(w.Message, tt.message)
			}
			if !found {
				t.Errorf("no warning at %s that says %q: %+v", tt.pointer, tt.message, d.warnings)
			}
			for _, x := range tools {
				if x.Name == "sound" && strings.Contains(string(x.Raw), `"q":{"type":"string"}`) {
					return
				}
			}
			t.Errorf("the sound operation is gone: %d tools", len(tools))
		})
	}
}

// TestSeededFaultsOfTheWhole puts one fault at a time into what stands around the operations: each is a warning, and the operation is there.
func TestSeededFaultsOfTheWhole(t *testing.T) {
	const info, paths = `"info":{"title":"t","version":"1"}`, `"paths":{"/sound":{"get":{"operationId":"sound","responses":{"200":{"description":"d"}}}}}`
	for name, tt := range map[string]struct{ text, pointer, message string }{
		"no info":              {`{"openapi":"3.0.0",` + paths + `}`, "/info", "missing"},
		"info that is a text":  {`{"openapi":"3.0.0","info":"t",` + paths + `}`, "/info", "no object"},
		"no version":           {`{` + info + `,` + paths + `}`, "", "version"},
		"unknown version":      {`{"openapi":"9.1",` + info + `,` + paths + `}`, "", "version"},
		"version as a number":  {`{"openapi":3.0,` + info + `,` + paths + `}`, "", ""},
		"control characters":   {`{"openapi":"3.0.0","info":{"title":"t\u0000\u202e","version":"1"},` + paths + `}`, "", ""},
		"a byte order mark":    {"\ufeff" + `{"openapi":"3.0.0",` + info + `,` + paths + `}`, "", ""},
		"a comma too many":     {`{"openapi":"3.0.0",` + info + `,` + paths + `,}`, "", ""},
		"a key twice":          {`{"openapi":"3.0.0",` + info + `,"tags":[],"tags":[],` + paths + `}`, "", ""},
		"components of a list": {`{"openapi":"3.0.0",` + info + `,"components":[],` + paths + `}`, "", ""},
		"servers of a text":    {`{"openapi":"3.0.0",` + info + `,"servers":"https://h.test",` + paths + `}`, "/servers", "no array"},
		"security of a text":   {`{"openapi":"3.0.0",` + info + `,"security":"all",` + paths + `}`, "/security", "no array"},
		"tags that are none":   {`{"openapi":"3.0.0",` + info + `,"tags":7,` + paths + `}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr := translateText(t, corpusFile{name: "x", text: []byte(tt.text)}, Spec{})
			if len(tr.tools) != 1 || tr.tools[0].Name != "sound" {
				t.Fatalf("%d tools", len(tr.tools))
			}
			if tt.message != "" {
				warned(t, tr.state.Report.Warnings, tt.pointer, tt.message)
			} else if len(tr.state.Report.Warnings) > 0 {
				t.Errorf("warnings %+v", tr.state.Report.Warnings)
			}
		})
	}
}

// TestCheck4_NamesDoNotDependOnOthers shuffles, removes and adds operations: the names of the rest stay.
func TestCheck4_NamesDoNotDependOnOthers(t *testing.T) {
	checked := 0
	defer func() { t.Logf("%d names are what they were", checked) }()
	for _, f := range corpus(t, "") {
		names := make(map[string]string)
		tr := translateText(t, f, Spec{})
		for _, x := range tr.tools {
			names[x.identity] = x.Name
		}
		paths := tr.builder.description.main.root.Get("paths")
		if paths == nil {
			continue
		}
		for i, j := 0, len(paths.Members)-1; i < j; i, j = i+1, j-1 {
			paths.Members[i], paths.Members[j] = paths.Members[j], paths.Members[i]
		}
		paths.Members = paths.Members[:len(paths.Members)*2/3]
		all := tr.builder.description.operations()
		for _, k := range (&translate.Spec{}).Choose("api", candidates(all), t.Errorf) {
			checked++
			if o := all[k.Index]; names[o.identity] != k.Name {
				t.Errorf("%s: %s was %s and is %s", f.name, o.identity, names[o.identity], k.Name)
			}
		}
	}
}

// TestOverlays applies every kind of action.
func TestOverlays(t *testing.T) {
	overlay := `overlay: 1.0.0
actions:
  - target: $.paths['/things/{id}'].get
    update: {summary: Reads one}
  - target: $.paths['/things/{id}'].delete
    remove: true
  - target: $.paths.*.get.parameters[?(@.name=='page')]
    update: {description: which page}
  - target: $.nothing.here
    update: {a: 1}
`
	d, err := open("", []byte(small), [][]byte{[]byte(overlay)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{spec: &Spec{}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
	var got []string
	for _, x := range b.build() {
		got = append(got, x.Name)
		if x.Name == "getThing" && (!strings.Contains(string(x.Raw), "Reads one") || !strings.Contains(string(x.Raw), "which page")) {
			t.Errorf("%s", x.Raw)
		}
	}
	if want := "[getThing putThing listThings]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for _, w := range d.sorted() {
		if strings.Contains(w.Message, "matches nothing") && w.Pointer == "overlay 1#/actions/3" {
			return
		}
	}
	t.Errorf("warnings %+v", d.warnings)
}
