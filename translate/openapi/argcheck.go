package openapi

import (
	"slices"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// maxArguments bounds the arguments of one call in bytes.
const maxArguments = 8 << 20

// accept reads the arguments of a call, fills in what is absent and checks them. A nil result means that they are valid.
func (t *tool) accept(raw []byte) (*schema.Value, *translate.Result) {
	if raw == nil {
		raw = []byte("{}")
	}
	if len(raw) > maxArguments {
		return nil, translate.Failure(t.name + ": the arguments are too large; nothing was sent.")
	}
	if err := rawjson.UniqueKeys(raw); err != nil {
		return nil, translate.Failure(t.name + ": an argument stands there twice; nothing was sent.")
	}
	v, err := schema.Parse(raw)
	if err != nil || v.Kind != schema.Object {
		return nil, translate.Failure(t.name + ": the arguments are no JSON object; nothing was sent.")
	}
	if !bearableNumbers(v) {
		return nil, translate.Failure(t.name + ": a number is too large to be checked; nothing was sent.")
	}
	v = t.fill(v)
	check, err := t.check.get(t.full)
	if err != nil {
		return nil, translate.Failure(t.name + ": the tool cannot be called: its schema cannot be checked; nothing was sent.")
	}
	faults := check.Check(v.Plain())
	if len(faults) == 0 {
		return v, nil
	}
	healed := healer{t.full.Defs}.heal(v, t.full.Root, 0)
	if faults := check.Check(healed.Plain()); len(faults) == 0 {
		return healed, nil
	}
	return nil, translate.Failure(t.explain(v, faults))
}

func bearableNumbers(v *schema.Value) bool {
	if v.Kind == schema.Number {
		return bearable(v.Text)
	}
	for _, m := range v.Members {
		if !bearableNumbers(m.Value) {
			return false
		}
	}
	return true
}

// fill adds the defaults of arguments that are absent.
func (t *tool) fill(v *schema.Value) *schema.Value {
	for i := range t.plan.arguments {
		a := &t.plan.arguments[i]
		if a.fallback != nil && !a.hidden && v.Get(a.name) == nil {
			v.Members = append(v.Members, schema.Member{Key: a.name, Value: a.fallback})
		}
	}
	return v
}

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
	v = retyped(v, types)
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
		for _, f := range facets {
			if p := f.Get("properties").Get(m.Key); p != nil {
				value = h.heal(value, p, depth+1)
				if value.Is(schema.Null) && !h.defs.Allows(p, "null") && !slices.Contains(required, m.Key) {
					value = nil
				}
				break
			}
		}
		if value != nil {
			out.Members = append(out.Members, schema.Member{Key: m.Key, Value: value})
		}
	}
	return out
}

// retyped reads a text as JSON when types take what it says and no text, and writes a number or boolean as text when types take only that.
func retyped(v *schema.Value, types []string) *schema.Value {
	switch v.Kind {
	case schema.String:
		if slices.Contains(types, "string") {
			return v
		}
		parsed, err := schema.Parse([]byte(v.Text))
		if err != nil || !takes(types, parsed) || !bearableNumbers(parsed) {
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
