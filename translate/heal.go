package translate

import (
	"slices"

	"weir/translate/schema"
)

// healer puts right what models often get wrong and what can be meant in one way only.
type healer struct{ defs *schema.Defs }

const maxHealing = 32

// heal returns v in the types that s lets through: JSON in a text where the schema takes no text, a single value where it takes a list, and
// no null where it takes none.
func (h healer) heal(v, s *schema.Value, depth int) *schema.Value {
	if depth > maxHealing {
		return v
	}
	types := h.defs.Types(s)
	if v.Is(schema.String) || h.defs.First(s, "contentEncoding") == nil { // digits and truth are no encoded bytes
		v = retyped(v, types)
	}
	switch v.Kind {
	case schema.Object:
		return h.healObject(v, s, depth)
	case schema.Array:
		items := h.defs.First(s, "items")
		if items == nil {
			return v
		}
		out := &schema.Value{Kind: schema.Array, Members: slices.Clone(v.Members)}
		for i := range out.Members {
			out.Members[i].Value = h.heal(out.Members[i].Value, items, depth+1)
		}
		return out
	case schema.Null:
		return v
	default:
		if len(types) > 0 && types[0] == "array" && !slices.Contains(types, v.Kind.String()) {
			return h.heal(schema.List(v), s, depth+1)
		}
		return v
	}
}

func (h healer) healObject(v, s *schema.Value, depth int) *schema.Value {
	out := schema.Map()
	facets := h.defs.Facets(s)
	var required []string
	for _, f := range facets {
		required = append(required, f.Get("required").Strings()...)
	}
	for _, m := range v.Members {
		value := m.Value
		if p := first(facets, "properties", m.Key); p != nil {
			value = h.heal(value, p, depth+1)
			if value.Is(schema.Null) && !h.defs.Allows(p, "null") && !slices.Contains(required, m.Key) {
				value = nil
			}
		} else if p := first(facets, "additionalProperties", ""); p.Is(schema.Object) {
			value = h.heal(value, p, depth+1)
		}
		if value != nil {
			out.Members = append(out.Members, schema.Member{Key: m.Key, Value: value})
		}
	}
	return out
}

// first is what the first of some schemas has under a keyword, or of that under a key.
func first(facets []*schema.Value, keyword, key string) *schema.Value {
	for _, f := range facets {
		v := f.Get(keyword)
		if key != "" {
			v = v.Get(key)
		}
		if v != nil {
			return v
		}
	}
	return nil
}

// retyped reads a text as JSON when types take what it says and no text, and writes a number or boolean as text when types take only that.
func retyped(v *schema.Value, types []string) *schema.Value {
	switch v.Kind {
	case schema.String:
		if slices.Contains(types, "string") {
			return v
		}
		parsed, err := schema.Parse([]byte(v.Text))
		if err != nil || !takes(types, parsed) || !schema.Bearable(parsed) {
			return v
		}
		return parsed
	case schema.Number, schema.Bool:
		if slices.Contains(types, "string") && !takes(types, v) {
			return schema.Text(v.Text)
		}
	default:
	}
	return v
}

func takes(types []string, v *schema.Value) bool {
	return slices.Contains(types, v.Kind.String()) || v.Kind == schema.Number && slices.Contains(types, "integer")
}
