package record

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"weak"

	lru "github.com/hashicorp/golang-lru/v2"

	"weir/catalog"
)

// mask is what of a value its schema says is secret: what has the format password (OpenAPI, "Data Type Format") or is writeOnly (JSON Schema 2020-12,
// validation, 9.4). Nil hides nothing. Masks are a graph with the circles that references make. Which part of an anyOf a value is of is not asked: what
// one of them hides is hidden.
type mask struct {
	all      bool // nothing of it may be seen
	members  map[string]*mask
	others   *mask // of members that are not among these
	elements *mask
	also     []*mask // which hold besides
}

// manyParts is how many masks may hold for one value; of one for which more do, nothing is shown.
const manyParts = 64

// parts are all masks that hold, m among them.
func (m *mask) parts() []*mask {
	if m == nil {
		return nil
	}
	all := []*mask{m}
	for i := 0; i < len(all); i++ {
		for _, p := range all[i].also {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
			if len(all) > manyParts {
				return []*mask{{all: true}}
			}
		}
	}
	return all
}

// join is the mask for a value for which several hold.
func join(all []*mask) *mask {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	default:
		return &mask{also: all}
	}
}

func (m *mask) hides() bool {
	return slices.ContainsFunc(m.parts(), func(p *mask) bool { return p.all })
}

func (m *mask) member(key string) *mask {
	var all []*mask
	for _, p := range m.parts() {
		if named, ok := p.members[key]; ok {
			all = append(all, named)
		} else if p.others != nil {
			all = append(all, p.others)
		}
	}
	return join(all)
}

func (m *mask) element() *mask {
	var all []*mask
	for _, p := range m.parts() {
		if p.elements != nil {
			all = append(all, p.elements)
		}
	}
	return join(all)
}

// maskOf reads a raw JSON Schema.
func maskOf(raw []byte) *mask {
	if !bytes.Contains(raw, []byte("password")) && !bytes.Contains(raw, []byte("writeOnly")) && !bytes.Contains(raw, []byte(`\u`)) {
		return nil // most
	}
	r := schemaReader{known: make(map[string]*mask)}
	if json.Unmarshal(raw, &r.root) != nil {
		return nil
	}
	m := r.mask(r.root)
	if !r.hides {
		return nil
	}
	return m
}

type schemaReader struct {
	root  any
	known map[string]*mask // by reference
	hides bool             // something is secret
}

// mask is that of a schema within the root.
func (r *schemaReader) mask(schema any) *mask {
	m := &mask{}
	s, ok := schema.(map[string]any)
	switch {
	case !ok:
		return m
	case s["format"] == "password" || s["writeOnly"] == true:
		m.all, r.hides = true, true
		return m
	}
	m.members = r.named(s["properties"])
	m.others = join(slices.AppendSeq(r.each(s, "additionalProperties", "unevaluatedProperties"), maps.Values(r.named(s["patternProperties"]))))
	m.elements = join(r.each(s, "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"))
	m.also = slices.AppendSeq(r.each(s, "allOf", "anyOf", "oneOf", "then", "else"), maps.Values(r.named(s["dependentSchemas"])))
	if to, ok := s["$ref"].(string); ok {
		m.also = append(m.also, r.reference(to))
	}
	return m
}

// named are the masks of the schemas in an object.
func (r *schemaReader) named(schemas any) map[string]*mask {
	object, _ := schemas.(map[string]any)
	all := make(map[string]*mask, len(object))
	for name, schema := range object {
		all[name] = r.mask(schema)
	}
	return all
}

// each are the masks of the schemas that stand under keywords: a schema, or an array of them.
func (r *schemaReader) each(s map[string]any, keywords ...string) (all []*mask) {
	for _, keyword := range keywords {
		switch v := s[keyword].(type) {
		case []any:
			for _, schema := range v {
				all = append(all, r.mask(schema))
			}
		case map[string]any:
			all = append(all, r.mask(v))
		}
	}
	return all
}

// reference is the mask of what a reference points to.
func (r *schemaReader) reference(to string) *mask {
	m, ok := r.known[to]
	if !ok {
		m = &mask{}
		r.known[to] = m // before it is read: it may refer to itself
		*m = *r.mask(r.at(to))
	}
	return m
}

// at is what a reference within the schema points to (RFC 6901), nil for any other.
func (r *schemaReader) at(ref string) any {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok || path != "" && path[0] != '/' {
		return nil
	}
	at, escapes := r.root, strings.NewReplacer("~1", "/", "~0", "~")
	for _, step := range strings.Split(path, "/")[1:] {
		step = escapes.Replace(step)
		switch in := at.(type) {
		case map[string]any:
			at = in[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			at = in[i]
		default:
			return nil
		}
	}
	return at
}

// masks are those of a tool's arguments and of its result.
type masks struct{ arguments, result *mask }

// maskCache remembers masks. It keeps no entry of a catalogue that is gone.
type maskCache = lru.Cache[weak.Pointer[catalog.Entry], masks]

// masksKept is how many tools' masks are remembered.
const masksKept = 1024

// masksOf are the masks of an entry, which may be nil; only tools have schemas.
func (r *Recorder) masksOf(e *catalog.Entry) (m masks) {
	if e == nil || e.Kind != catalog.Tool {
		return m
	}
	key := weak.Make(e)
	if known, ok := r.masks.Get(key); ok {
		return known
	}
	arguments, result := e.Schemas()
	if m.arguments = maskOf(arguments); m.arguments != nil && e.Hidden {
		// They stand among those of the tool that leads to it.
		m.arguments = &mask{members: map[string]*mask{"arguments": m.arguments}, also: []*mask{m.arguments}}
	}
	if out := maskOf(result); out != nil {
		text := &mask{elements: &mask{members: map[string]*mask{"text": out}}} // a copy of the structured content stands there as text
		m.result = &mask{members: map[string]*mask{"structuredContent": out, "content": text}}
	}
	r.masks.Add(key, m)
	return m
}
