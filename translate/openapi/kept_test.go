package openapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

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

// maxLooked is how many steps into a body its properties are looked for.
const maxLooked = 3

// writable lists the properties of a body that a caller may set, with the way to each: a, a.b, a[].c.
func (r raw) writable(v any) []string {
	g := gathering{raw: r, names: make(map[string]bool), hidden: make(map[string]bool)}
	g.gather(v, "", 0, 0)
	for name := range g.names {
		for at := range g.hidden {
			if rest, inside := strings.CutPrefix(name, at); inside && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				delete(g.names, name)
			}
		}
	}
	return slices.Sorted(maps.Keys(g.names))
}

// gathering is what a body has, and what of that any of its parts calls read-only.
type gathering struct {
	raw
	names, hidden map[string]bool
}

func (g *gathering) gather(v any, at string, steps, hops int) {
	m := g.resolve(v)
	if m == nil || hops > 6 || steps == maxLooked {
		return
	}
	properties, _ := m["properties"].(map[string]any)
	for name, p := range properties {
		if g.readOnly(p) {
			g.hidden[at+name] = true
			continue
		}
		g.names[at+name] = true
		g.gather(p, at+name+".", steps+1, 0)
	}
	if items, ok := m["items"]; ok {
		g.gather(items, strings.TrimSuffix(at, ".")+"[].", steps, hops+1)
	}
	for _, key := range [...]string{"allOf", "anyOf", "oneOf"} {
		parts, _ := m[key].([]any)
		for _, part := range parts {
			g.gather(part, at, steps, hops+1)
		}
	}
}

// readOnly looks at a property, at what it refers to, and at the parts of its allOf.
func (r raw) readOnly(p any) bool {
	own, _ := p.(map[string]any)
	parts, _ := own["allOf"].([]any)
	return own["readOnly"] == true || r.resolve(p)["readOnly"] == true ||
		slices.ContainsFunc(parts, func(part any) bool { return r.resolve(part)["readOnly"] == true })
}

// reachable adds the properties of a full schema in the same form.
func reachable(defs *schema.Defs, v *schema.Value, at string, steps, hops int, names map[string]bool) {
	if hops > 8 || steps > maxLooked {
		return
	}
	for _, f := range defs.Facets(v) {
		for _, m := range f.Object("properties") {
			names[at+m.Key] = true
			reachable(defs, m.Value, at+m.Key+".", steps+1, 0, names)
		}
		if items := f.Get("items"); items != nil {
			reachable(defs, items, strings.TrimSuffix(at, ".")+"[].", steps, hops+1, names)
		}
		for _, m := range f.Array("anyOf") {
			reachable(defs, m.Value, at, steps, hops+1, names)
		}
	}
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
				for _, name := range r.writable(m["schema"]) {
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
			for _, name := range r.writable(m.(map[string]any)["schema"]) { //nolint:errcheck,forcetypeassert // the oracle made it
				all = append(all, "body "+name)
			}
		}
	}
	return all
}

// TestCheck2_NoArgumentIsLost finds every parameter and every property of a body that a caller may write, three steps deep, in the full schema of its tool.
func TestCheck2_NoArgumentIsLost(t *testing.T) {
	total, lost := 0, 0
	for _, f := range corpus(t, "") {
		if strings.Contains(f.name, "separate") { // in parts that the oracle does not read
			continue
		}
		v, err := schema.ParseText(f.text)
		if err != nil {
			t.Fatal(err)
		}
		var r raw
		if err := json.Unmarshal([]byte(v.JSON()), &r); err != nil {
			t.Fatal(err)
		}
		paths, _ := r["paths"].(map[string]any)
		for _, x := range translateText(t, f, Spec{}).tools {
			method, path, _ := strings.Cut(x.identity, " ")
			item := r.resolve(paths[path])
			op, _ := item[strings.ToLower(method)].(map[string]any)
			kept := keptBy(x)
			for _, want := range r.expected(item, op) {
				if total++; !kept[want] {
					lost++
					t.Logf("%s: %s: %s is lost", f.name, x.identity, want)
				}
			}
		}
	}
	t.Logf("%d arguments, %d lost (%.3f %% kept)", total, lost, 100*float64(total-lost)/float64(total))
	if lost*1000 > total {
		t.Error("fewer than 99.9 % are kept")
	}
}

// keptBy lists "place name" for everything that a tool takes.
func keptBy(x *tool) map[string]bool {
	places := map[place]string{inPath: "path", inQuery: "query", inQueryString: "querystring", inHeader: "header", inCookie: "cookie"}
	kept, body := make(map[string]bool), make(map[string]bool)
	for _, a := range x.plan.arguments {
		switch a.place {
		case inField:
			body[a.wire] = true
			reachable(x.Input.Full.Defs, a.Schema, a.wire+".", 1, 0, body)
		case inBody:
			reachable(x.Input.Full.Defs, a.Schema, "", 0, 0, body)
		default:
			kept[places[a.place]+" "+a.wire] = true
		}
	}
	for name := range body {
		kept["body "+name] = true
	}
	return kept
}

// TestCheck15_Repair gives wrong calls and does nothing but what the answer says: the second try is right.
func TestCheck15_Repair(t *testing.T) {
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
