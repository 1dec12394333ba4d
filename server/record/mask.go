package record

import (
	"encoding/json"
	"strconv"
	"strings"
	"weak"

	lru "github.com/hashicorp/golang-lru/v2"

	"weir/catalog"
)

// mask is what of a value its schema says is secret: what has the format password (OpenAPI, "Data Type Format") or is writeOnly (JSON Schema 2020-12,
// validation, 9.4). Nil hides nothing. Which part of an anyOf a value is of is not asked: what one of them hides is hidden.
type mask struct {
	all      bool // nothing of it may be seen
	members  map[string]*mask
	others   *mask // of members that are not among these
	elements *mask
}

func (m *mask) hides() bool { return m != nil && m.all }

func (m *mask) member(key string) *mask {
	if m == nil {
		return nil
	}
	if named, ok := m.members[key]; ok {
		return named
	}
	return m.others
}

func (m *mask) element() *mask {
	if m == nil {
		return nil
	}
	return m.elements
}

// both hides what either hides.
func both(a, b *mask) *mask {
	switch {
	case a == nil || b.hides():
		return b
	case b == nil || a.hides():
		return a
	}
	m := &mask{members: map[string]*mask{}, others: both(a.others, b.others), elements: both(a.elements, b.elements)}
	for _, from := range [...]*mask{a, b} {
		for name := range from.members {
			m.members[name] = both(a.member(name), b.member(name))
		}
	}
	return m
}

const (
	// schemaSteps and schemaDepth bound what is read of one schema, which may be endless by its references. What lies beyond hides nothing.
	schemaSteps, schemaDepth = 20_000, 32
	// masksKept is how many tools' masks are remembered.
	masksKept = 1024
)

// maskOf reads a raw JSON Schema.
func maskOf(raw []byte) *mask {
	r := schemaReader{left: schemaSteps}
	if json.Unmarshal(raw, &r.root) != nil {
		return nil
	}
	return r.mask(r.root, schemaDepth)
}

type schemaReader struct {
	root any
	left int // steps
}

// mask is that of a schema within the root, nil for one that hides nothing.
func (r *schemaReader) mask(schema any, depth int) *mask {
	s, ok := schema.(map[string]any)
	if r.left--; !ok || depth == 0 || r.left < 0 {
		return nil
	}
	if s["format"] == "password" || s["writeOnly"] == true {
		return &mask{all: true}
	}
	m := &mask{members: map[string]*mask{}}
	properties, _ := s["properties"].(map[string]any)
	for name, property := range properties {
		if hidden := r.mask(property, depth-1); hidden != nil {
			m.members[name] = hidden
		}
	}
	m.others = r.mask(s["additionalProperties"], depth-1)
	patterns, _ := s["patternProperties"].(map[string]any)
	for _, property := range patterns {
		m.others = both(m.others, r.mask(property, depth-1))
	}
	m.elements = both(r.mask(s["items"], depth-1), both(r.each(s["items"], depth), r.each(s["prefixItems"], depth))) // items was an array before 2020-12
	if len(m.members) == 0 && m.others == nil && m.elements == nil {
		m = nil
	}
	for _, parts := range [...]string{"allOf", "anyOf", "oneOf"} {
		m = both(m, r.each(s[parts], depth))
	}
	for _, part := range [...]string{"then", "else"} {
		m = both(m, r.mask(s[part], depth-1))
	}
	if to, ok := s["$ref"].(string); ok {
		m = both(m, r.mask(r.at(to), depth-1))
	}
	return m
}

// each is what any of an array of schemas hides.
func (r *schemaReader) each(schemas any, depth int) (m *mask) {
	all, _ := schemas.([]any)
	for _, s := range all {
		m = both(m, r.mask(s, depth-1))
	}
	return m
}

// at is what a reference within the schema points to (RFC 6901), nil for any other.
func (r *schemaReader) at(ref string) any {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok || path != "" && path[0] != '/' {
		return nil
	}
	at := r.root
	for _, step := range strings.Split(path, "/")[1:] {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
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

// masksOf are the masks of an entry; only tools have schemas.
func (r *Recorder) masksOf(e *catalog.Entry) (m masks) {
	if e.Kind != catalog.Tool {
		return m
	}
	key := weak.Make(e)
	if known, ok := r.masks.Get(key); ok {
		return known
	}
	arguments, result := e.Schemas()
	if m.arguments = maskOf(arguments); m.arguments != nil && e.Hidden { // its arguments stand among those of the tool that leads to it
		m.arguments = both(m.arguments, &mask{members: map[string]*mask{"arguments": m.arguments}})
	}
	if out := maskOf(result); out != nil {
		text := &mask{elements: &mask{members: map[string]*mask{"text": out}}} // a copy of the structured content stands there as text
		m.result = &mask{members: map[string]*mask{"structuredContent": out, "content": text}}
	}
	r.masks.Add(key, m)
	return m
}
