package openapi

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"weir/translate/schema"
)

// raw is a description as encoding/json reads it: what the tools are compared with is found apart from the code that made them.
type raw map[string]any

func (r raw) resolve(v any) map[string]any {
	for range 20 {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		v = any(map[string]any(r))
		for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			inner, ok := v.(map[string]any)
			if !ok {
				return nil
			}
			v = inner[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
		}
	}
	return nil
}

// writable lists the properties of a body that a caller may set.
func (r raw) writable(v any, depth int) []string {
	m := r.resolve(v)
	if m == nil || depth > 6 {
		return nil
	}
	var names []string
	properties, _ := m["properties"].(map[string]any)
	for name, p := range properties {
		if inner := r.resolve(p); inner["readOnly"] != true {
			names = append(names, name)
		}
	}
	parts, _ := m["allOf"].([]any)
	for _, part := range parts {
		names = append(names, r.writable(part, depth+1)...)
	}
	return names
}

// expected lists "place name" for everything that an operation takes.
func (r raw) expected(item, op map[string]any) []string {
	var all []string
	seen := make(map[string]bool)
	for _, holder := range []map[string]any{op, item} {
		list, _ := holder["parameters"].([]any)
		for _, p := range list {
			m := r.resolve(p)
			name, _ := m["name"].(string)
			in, _ := m["in"].(string)
			switch {
			case in == "body":
				for _, name := range r.writable(m["schema"], 0) {
					all = append(all, "body "+name)
				}
			case in == "formData":
				all = append(all, "body "+name)
			case in == "header" && ignoredHeader(name) || seen[in+name]:
			default:
				seen[in+name] = true
				all = append(all, in+" "+name)
			}
		}
	}
	body := r.resolve(op["requestBody"])
	content, _ := body["content"].(map[string]any)
	for media, m := range content {
		if len(content) == 1 || media == "application/json" {
			for _, name := range r.writable(m.(map[string]any)["schema"], 0) { //nolint:errcheck,forcetypeassert // the oracle made it
				all = append(all, "body "+name)
			}
		}
	}
	return all
}

// TestNoArgumentIsLost finds every parameter and every writable property of a body in the full schema of its tool.
func TestNoArgumentIsLost(t *testing.T) {
	places := map[place]string{inPath: "path", inQuery: "query", inHeader: "header", inCookie: "cookie"}
	total, lost := 0, 0
	for _, prefix := range []string{"github", "stripe", "kubernetes", "slack", "twilio", "box", "adyen", "oas-examples/3.0-petstore.json", "oas-examples/2.0-petstore.json"} {
		for _, f := range corpus(t, prefix) {
			if large(f.text) {
				continue
			}
			var r raw
			if err := json.Unmarshal(f.text, &r); err != nil {
				t.Fatal(err)
			}
			paths, _ := r["paths"].(map[string]any)
			for _, x := range translateText(t, f, Spec{}).tools {
				method, path, _ := strings.Cut(x.identity, " ")
				item := r.resolve(paths[path])
				op, _ := item[strings.ToLower(method)].(map[string]any)
				kept := make(map[string]bool)
				for _, a := range x.plan.arguments {
					if a.place == inField {
						kept["body "+a.wire] = true
					} else if a.place != inBody {
						kept[places[a.place]+" "+a.wire] = true
					} else {
						for _, facet := range allFacets(x.Input.Full.Defs, a.Schema, 0) {
							for _, m := range facet.Object("properties") {
								kept["body "+m.Key] = true
							}
						}
					}
				}
				for _, want := range r.expected(item, op) {
					total++
					if !kept[want] {
						lost++
						t.Logf("%s: %s: %s is lost", f.name, x.identity, want)
					}
				}
			}
		}
	}
	t.Logf("%d arguments, %d lost (%.3f %% kept)", total, lost, 100*float64(total-lost)/float64(total))
	if lost*1000 > total {
		t.Error("fewer than 99.9 % are kept")
	}
}

// allFacets is Facets with the branches of combinators.
func allFacets(defs *schema.Defs, v *schema.Value, depth int) []*schema.Value {
	if depth > 8 {
		return nil
	}
	found := defs.Facets(v)
	for _, f := range found {
		for _, m := range f.Array("anyOf") {
			found = append(found, allFacets(defs, m.Value, depth+1)...)
		}
	}
	return found
}

// TestHostileDescriptions are cheap and end nothing: bombs, depth, size, cycles of every keyword, extensions with meaning elsewhere.
func TestHostileDescriptions(t *testing.T) {
	body := func(s string, schemas string) string {
		return `{"openapi":"3.1.0","servers":[{"url":"https://h.test"}],"paths":{"/x":{"post":{"operationId":"x","requestBody":{"content":{"application/json":{"schema":` + s + `}}},"responses":{"200":{"description":"d","content":{"application/json":{"schema":` + s + `}}}}}}},"components":{"schemas":{` + schemas + `}}}`
	}
	var doubling, enum, cycles, wide strings.Builder
	for i := range 40 {
		_, _ = fmt.Fprintf(&doubling, `"S%d":{"allOf":[{"$ref":"#/components/schemas/S%d"},{"$ref":"#/components/schemas/S%d"}]},`, i, i+1, i+1)
		_, _ = fmt.Fprintf(&wide, `"W%d":{"type":"object","properties":{"a":{"$ref":"#/components/schemas/W%d"},"b":{"$ref":"#/components/schemas/W%d"},"c":{"$ref":"#/components/schemas/W0"}}},`, i, i+1, i+1)
	}
	var fan, readOnly, alternatives, xml strings.Builder
	for i := range 12 { // each level refers to the next one thirty times
		refs := func(keyword string) string {
			part := fmt.Sprintf(`{"$ref":"#/components/schemas/%s%d"},`, keyword, i+1)
			return strings.TrimSuffix(strings.Repeat(part, 30), ",")
		}
		_, _ = fmt.Fprintf(&fan, `"F%d":{"allOf":[%s]},`, i, refs("F"))
		_, _ = fmt.Fprintf(&readOnly, `"R%d":{"allOf":[%s],"required":["id"],"properties":{"id":{"type":"string","readOnly":%v}}},`, i, refs("R"), i%2 == 0)
		_, _ = fmt.Fprintf(&alternatives, `"A%d":{"anyOf":[%s,{"type":"null"}]},`, i, refs("A"))
		_, _ = fmt.Fprintf(&xml, `"X%d":{"type":"object","properties":{`, i)
		for j := range 30 {
			_, _ = fmt.Fprintf(&xml, `"p%d":{"$ref":"#/components/schemas/X%d"},`, j, i+1)
		}
		_, _ = fmt.Fprintf(&xml, `"last":{"type":"string"}}},`)
	}
	for i := range 100_000 {
		_, _ = fmt.Fprintf(&enum, `"v%d",`, i)
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf"} {
		_, _ = fmt.Fprintf(&cycles, `%q:{%q:[{"$ref":"#/components/schemas/%s"},{"type":"object"}]},`, k, k, k)
	}
	for _, k := range []string{"not", "items", "additionalProperties", "contains", "propertyNames", "if"} {
		_, _ = fmt.Fprintf(&cycles, `%q:{%q:{"$ref":"#/components/schemas/%s"}},`, k, k, k)
	}
	bomb := "openapi: 3.0.0\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i, i, i)
	}
	tests := map[string]string{
		"alias bomb":              bomb + "paths: {}\n",
		"deep nesting":            strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		"deep YAML":               "a: " + strings.Repeat("[", 10_000),
		"doubling references":     body(`{"$ref":"#/components/schemas/S0"}`, doubling.String()+`"S40":{"type":"object"}`),
		"wide recursion":          body(`{"$ref":"#/components/schemas/W0"}`, wide.String()+`"W40":{"type":"object"}`),
		"a fan of parts":          body(`{"$ref":"#/components/schemas/F0"}`, fan.String()+`"F12":{"type":"object"}`),
		"parts that hide":         body(`{"$ref":"#/components/schemas/R0"}`, readOnly.String()+`"R12":{"type":"object"}`),
		"a fan of alternatives":   body(`{"$ref":"#/components/schemas/A0"}`, alternatives.String()+`"A12":{"type":"object"}`),
		"a wide tree":             body(`{"$ref":"#/components/schemas/X0"}`, xml.String()+`"X12":{"type":"object"}`),
		"a wide tree in XML":      strings.ReplaceAll(body(`{"$ref":"#/components/schemas/X0"}`, xml.String()+`"X12":{"type":"object"}`), "application/json", "application/xml"),
		"many values":             body(`{"type":"object","properties":{"a":{"enum":[`+strings.TrimSuffix(enum.String(), ",")+`]}}}`, ""),
		"cycles of every kind":    body(`{"anyOf":[{"$ref":"#/components/schemas/allOf"},{"$ref":"#/components/schemas/anyOf"},{"$ref":"#/components/schemas/oneOf"},{"$ref":"#/components/schemas/not"},{"$ref":"#/components/schemas/items"},{"$ref":"#/components/schemas/if"}]}`, strings.TrimSuffix(cycles.String(), ",")),
		"a header annotation":     body(`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"Authorization"}}}`, ""),
		"a reference to a file":   body(`{"$ref":"file:///etc/passwd"}`, ""),
		"dynamic references":      body(`{"$dynamicRef":"#a","$id":"file:///etc/passwd","$anchor":"x","properties":{"a":{"$schema":"http://x"}}}`, ""),
		"a server in a parameter": `{"openapi":"3.0.0","servers":[{"url":"https://h.test"}],"paths":{"/x/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}},{"name":"Host","in":"header","schema":{"type":"string"}}],"responses":{}}}}}`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			defer debug.SetGCPercent(debug.SetGCPercent(50))
			start := time.Now()
			if d, err := open("", []byte(text), nil, nil); err == nil {
				b := &builder{spec: &Spec{}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
				for _, x := range b.build() {
					if s := string(x.Raw); strings.Contains(s, "x-mcp-header") || strings.Contains(s, "$ref") || strings.Contains(s, "passwd") {
						t.Errorf("%s", s)
					}
					args, refused := x.Input.Accept([]byte(`{"a":"v1","id":"1"}`))
					if refused == nil {
						_, _ = x.plan.outgoing(t.Context(), nil, args, "") // an error is an answer; a panic is not
					}
				}
			}
			runtime.ReadMemStats(&after)
			if took, grown := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > 5*time.Second || after.HeapSys > before.HeapSys+256<<20 {
				t.Errorf("%s and %d MiB", took, grown>>20)
			}
		})
	}
}

// TestRepair gives wrong calls and does nothing but what the answer says: the second try is right.
func TestRepair(t *testing.T) {
	const text = `{"openapi":"3.0.0","servers":[{"url":"https://h.test"}],"paths":{"/r/{owner}/{repo}":{"post":{"operationId":"op",
		"parameters":[{"name":"owner","in":"path","required":true,"schema":{"type":"string"}},{"name":"repo","in":"path","required":true,"schema":{"type":"string"},"example":"weir"},
		{"name":"state","in":"query","schema":{"type":"string","enum":["open","closed","all"]}},{"name":"per_page","in":"query","schema":{"type":"integer","minimum":1,"maximum":100}},
		{"name":"archived","in":"query","schema":{"type":"boolean"}}],
		"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["title"],"properties":{"title":{"type":"string","minLength":1},"labels":{"type":"array","items":{"type":"string"}},
		"milestone":{"type":"object","required":["number"],"properties":{"number":{"type":"integer"},"kind":{"type":"string","enum":["sprint","release"]}}}}}}}},"responses":{}}}}}`
	x := translateText(t, corpusFile{name: "repair", text: []byte(text)}, Spec{}).tools[0]
	wrong := []string{
		`{"owner":"a","repo":"b"}`, `{"owner":"a","title":"t"}`, `{"repo":"b","title":"t"}`, `{}`, `{"owner":"a"}`,
		`{"owner":"a","repo":"b","title":"t","state":"opened"}`, `{"owner":"a","repo":"b","title":"t","state":"close"}`, `{"owner":"a","repo":"b","title":"t","state":"OPEN"}`,
		`{"owner":"a","repo":"b","title":"t","per_page":0}`, `{"owner":"a","repo":"b","title":"t","per_page":500}`, `{"owner":"a","repo":"b","title":"t","per_page":"many"}`,
		`{"owner":"a","repo":"b","title":"t","perPage":5}`, `{"owner":"a","repo":"b","title":"t","per-page":5}`, `{"owner":"a","repo":"b","title":"t","perpage":5}`,
		`{"owner":"a","repo":"b","titel":"t"}`, `{"owner":"a","repo":"b","Title":"t"}`, `{"owners":"a","repo":"b","title":"t"}`, `{"owner":"a","repository":"b","title":"t"}`,
		`{"owner":"a","repo":"b","title":"t","label":["x"]}`, `{"owner":"a","repo":"b","title":"t","labels":{"a":1}}`, `{"owner":"a","repo":"b","title":"t","archived":"perhaps"}`,
		`{"owner":"a","repo":"b","title":"t","milestone":{}}`, `{"owner":"a","repo":"b","title":"t","milestone":{"number":"x"}}`, `{"owner":"a","repo":"b","title":"t","milestone":{"number":1,"kind":"sprints"}}`,
		`{"owner":"a","repo":"b","title":"t","milestone":[]}`, `{"owner":{},"repo":"b","title":"t"}`, `{"owner":"a","repo":[],"title":"t"}`, `{"owner":"a","repo":"b","title":null}`,
		`{"owner":null,"repo":"b","title":"t"}`, `{"owner":"a","repo":"b","title":{"x":1}}`, `{"owner":"a","repo":"b","title":"t","state":["open","x"]}`,
		`{"owner":"a","repo":"b","title":"t","statee":"open"}`, `{"owner":"a","repo":"b","title":"t","archive":true}`, `{"owner":"a","repo":"b","title":"t","milestones":{"number":1}}`,
		`{"owner":"a","repo":"b","title":""}`, `{"owner":"a","repo":"b","title":[]}`, `{"owner":true,"repo":"b","title":"t","state":"all "}`,
		`{"owner":"a","repo":"b","title":"t","state":"clsoed"}`, `{"owner":"a","repo":"b","title":"t","state":7}`, `{"owner":"a","repo":"b","title":"t","state":{}}`,
		`{"owner":"a","repo":"b","title":"t","per_page":1.5}`, `{"owner":"a","repo":"b","title":"t","per_page":-1}`, `{"owner":"a","repo":"b","title":"t","per_page":{}}`,
		`{"owner":"a","repo":"b","title":"t","archived":2}`, `{"owner":"a","repo":"b","title":"t","archived":{}}`, `{"owner":"a","repo":"b","title":"t","labels":[{"name":"x"}]}`,
		`{"owner":"a","repo":"b","title":"t","milestone":{"numbr":1}}`, `{"owner":"a","repo":"b","title":"t","milestone":{"number":1.5}}`,
		`{"owner":"a","repo":"b","title":"t","milestone":{"number":1,"kind":"relese"}}`, `{"Owner":"a","Repo":"b","title":"t"}`,
		`{"owner":"a","repo":"b","tilte":"t","per_page":1000}`, `{"owner":"a","repo":"b","title":"t","statte":"opened"}`,
	}
	repaired := 0
	for _, arguments := range wrong {
		_, refused := x.Input.Accept([]byte(arguments))
		if refused == nil {
			t.Errorf("%s is not wrong", arguments)
			continue
		}
		a, err := refused.Answer()
		if err != nil {
			t.Fatal(err)
		}
		result, err := schema.Parse(a.Message.Result.Of(a.Message.Data))
		if err != nil {
			t.Fatal(err)
		}
		v, err := schema.Parse([]byte(arguments))
		if err != nil {
			t.Fatal(err)
		}
		next := applySuggestions(v, textOf(result))
		if _, again := x.Input.Accept([]byte(next.JSON())); again == nil {
			repaired++
		} else {
			t.Logf("%s became %s by: %s", arguments, next.JSON(), textOf(result))
		}
	}
	if len(wrong) < 50 {
		t.Errorf("%d calls are fewer than 50", len(wrong))
	}
	t.Logf("%d of %d calls are right on the second try", repaired, len(wrong))
	if repaired*10 < len(wrong)*9 {
		t.Error("fewer than 90 %")
	}
}

// applySuggestions does what each line of an answer says, by its form alone.
func applySuggestions(v *schema.Value, text string) *schema.Value {
	out := v.Without()
	for line := range strings.SplitSeq(text, "\n") {
		path, rest, ok := strings.Cut(strings.TrimPrefix(line, "- `"), "`")
		if !ok || !strings.HasPrefix(line, "- ") {
			continue
		}
		steps := strings.Split(strings.ReplaceAll(strings.ReplaceAll(path, "[", "."), "]", ""), ".")
		at := out
		for _, s := range steps[:len(steps)-1] {
			if inner := at.Get(s); inner != nil {
				at = inner
			}
		}
		name := steps[len(steps)-1]
		_, example, hasExample := strings.Cut(rest, "for example ")
		_, meant, hasMeant := strings.Cut(rest, "did you mean ")
		switch {
		case strings.Contains(rest, "is not an argument"):
			value := at.Get(name)
			*at = *at.Without(name)
			if hasMeant {
				at.Put(strings.Trim(meant, "`?"), value)
			}
			continue
		case hasMeant:
			example, hasExample = strings.TrimSuffix(meant, "?"), true
		case strings.Contains(rest, "expected at "):
			_, number, _ := strings.Cut(rest, "expected at ")
			example, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(number, "least "), "most "), ",")
			hasExample = true
		}
		if value, err := schema.Parse([]byte(strings.TrimSuffix(example, ")"))); hasExample && err == nil && (!strings.Contains(rest, "is missing") || at.Get(name) == nil) {
			at.Put(name, value)
		}
	}
	return out
}
