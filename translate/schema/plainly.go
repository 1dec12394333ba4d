package schema

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// mostPlain bounds how many pairs of a value and a schema are looked at before a validator does the work.
const mostPlain = 500

// Plainly reports that the schema takes v without any doubt. false says nothing: only keywords whose meaning needs no computing are understood, and
// a validator has to look. Most calls of tools have a few arguments of plain types, and a validator costs several times as much.
func (f Full) Plainly(v *Value) bool {
	p := plainCheck{f.Defs, mostPlain}
	return p.takes(f.Root, v)
}

type plainCheck struct {
	defs *Defs
	left int
}

func (p *plainCheck) takes(s, v *Value) bool {
	if p.left--; p.left < 0 || !s.Is(Object) {
		return s.Is(Bool) && s.Text == "true"
	}
	for i := range s.Members {
		if !p.keyword(s, s.Members[i].Key, s.Members[i].Value, v) {
			return false
		}
	}
	return true
}

// keyword reports that v holds to one keyword of s.
func (p *plainCheck) keyword(s *Value, key string, rule, v *Value) bool {
	switch key {
	case "description", "title", "default", "examples", "format", "deprecated", "readOnly", "writeOnly", "$comment", "contentEncoding", "contentMediaType":
		return true
	case "type":
		return ofType(rule, v)
	case "enum":
		return rule.Is(Array) && v.Is(String) && slices.ContainsFunc(rule.Members, func(m Member) bool { return m.Value.Is(String) && m.Value.Text == v.Text })
	case "properties":
		return !v.Is(Object) || p.members(rule, s.Get("additionalProperties"), v)
	case "additionalProperties":
		return !v.Is(Object) || s.Get("properties") != nil || p.members(nil, rule, v)
	case "required":
		return !v.Is(Object) || has(v, rule)
	case "items":
		return !v.Is(Array) || !slices.ContainsFunc(v.Members, func(m Member) bool { return !p.takes(rule, m.Value) })
	case "minimum", "maximum":
		limit, ok := small(rule)
		n, plain := small(v)
		return !v.Is(Number) || ok && plain && (key == "minimum" && n >= limit || key == "maximum" && n <= limit)
	case "minLength", "maxLength":
		limit, ok := small(rule)
		n := int64(utf8.RuneCountInString(v.Text))
		return !v.Is(String) || ok && (key == "minLength" && n >= limit || key == "maxLength" && n <= limit)
	case "$ref":
		_, target := p.defs.Target(s)
		return target != nil && p.takes(target, v)
	case "allOf":
		return rule.Is(Array) && !slices.ContainsFunc(rule.Members, func(m Member) bool { return !p.takes(m.Value, v) })
	case "anyOf":
		return rule.Is(Array) && slices.ContainsFunc(rule.Members, func(m Member) bool { return p.takes(m.Value, v) })
	}
	return false
}

// members reports that each member of an object holds to its property, or to what holds for others.
func (p *plainCheck) members(properties, others, v *Value) bool {
	for _, m := range v.Members {
		rule := properties.Get(m.Key)
		if rule == nil {
			rule = others
		}
		if rule != nil && !p.takes(rule, m.Value) {
			return false
		}
	}
	return true
}

// ofType compares with the name of a type, or several. A number with a fraction or an exponent may be an integer all the same.
func ofType(rule, v *Value) bool {
	if rule.Is(Array) {
		return slices.ContainsFunc(rule.Members, func(m Member) bool { return ofType(m.Value, v) })
	}
	if !rule.Is(String) {
		return false
	}
	if v.Kind == Number {
		_, plain := small(v)
		return rule.Text == "number" || rule.Text == "integer" && plain
	}
	return rule.Text == v.Kind.String()
}

// has reports whether an object has all members of a list.
func has(v, names *Value) bool {
	return names.Is(Array) && !slices.ContainsFunc(names.Members, func(m Member) bool { return !m.Value.Is(String) || v.Get(m.Value.Text) == nil })
}

// small is an integer that is written as one.
func small(v *Value) (int64, bool) {
	if !v.Is(Number) {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	return n, err == nil
}
