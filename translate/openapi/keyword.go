package openapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weir/translate/schema"
)

// maxText bounds values that are copied for their readers only.
const maxText = 200

// values copies enumerations, constants, defaults and examples.
func (c *converter) values(s site, key string, out *schema.Value) {
	at := s.member(key)
	switch key {
	case "const":
		out.Put(key, at.value)
	case "default":
		if len(at.value.Members) == 0 && len(at.value.Text) <= maxText {
			out.Put(key, at.value)
		}
	case "example":
		if len(at.value.Members) == 0 && at.value.Kind != schema.Null && len(at.value.Text) <= maxText && out.Get("examples") == nil {
			out.Put("examples", schema.List(at.value))
		}
	case "examples":
		if at.is(schema.Array) && len(at.value.Members) > 0 {
			if first := at.value.Members[0].Value; len(first.Members) == 0 && len(first.Text) <= maxText {
				out.Put(key, schema.List(first))
			}
		}
	case "enum":
		c.enum(at, out, isNullable(s))
	}
}

// enum copies an enumeration: each value once, in the type of the schema where it was only written in another. null says that null is let through
// by the side.
func (c *converter) enum(at site, out *schema.Value, null bool) {
	if !at.is(schema.Array) || len(at.value.Members) == 0 {
		c.d.warn(at, "the enumeration is empty or no list; any value is taken")
		return
	}
	kind := out.GetText("type")
	var kept []*schema.Value
	seen := make(map[string]bool, len(at.value.Members))
	for i, m := range at.value.Members {
		v := retype(m.Value, kind)
		switch {
		case v == nil && m.Value.Is(schema.Null) && null:
			continue // nullable adds it
		case v == nil:
			c.d.warn(at.element(i), "the value does not fit the type %s and is left out", kind)
			continue
		case v != m.Value:
			c.d.warn(at.element(i), "the value is written as %s where the type is %s; it is taken as that", m.Value.Kind, kind)
		}
		text := v.JSON()
		if seen[text] {
			c.d.warn(at.element(i), "the value stands there twice")
			continue
		}
		seen[text] = true
		kept = append(kept, v)
	}
	if len(kept) > 0 {
		out.Put("enum", schema.List(kept...))
	}
}

// retype returns v as kind, nil when it cannot be that.
func retype(v *schema.Value, kind string) *schema.Value {
	switch {
	case kind == "" || kind == v.Kind.String() || kind == "integer" && v.Kind == schema.Number:
		return v
	case v.Kind == schema.Null:
		return nil
	case kind == "string" && (v.Kind == schema.Number || v.Kind == schema.Bool):
		return schema.Text(v.Text)
	case (kind == "integer" || kind == "number" || kind == "boolean") && v.Kind == schema.String:
		parsed, err := schema.Parse([]byte(v.Text))
		if err == nil && retype(parsed, kind) == parsed {
			return parsed
		}
	}
	return nil
}

// number copies a limit; one that is written as text counts, one that is none does not.
func (c *converter) number(s site, key string, out *schema.Value) {
	at := s.member(key)
	v := at.value
	if v.Is(schema.Bool) && strings.HasPrefix(key, "exclusive") { // the form of drafts before 6
		plain := strings.ToLower(strings.TrimPrefix(key, "exclusive"))
		if limit := numeric(s.value.Get(plain)); v.Text == "true" && limit != nil {
			out.Put(key, limit)
		}
		return
	}
	if !strings.HasPrefix(key, "exclusive") && s.value.True("exclusive"+strings.ToUpper(key[:1])+key[1:]) {
		return
	}
	n := numeric(v)
	if n == nil || key == "multipleOf" && (strings.HasPrefix(n.Text, "-") || strings.Trim(n.Text, "0.eE+") == "") {
		c.d.warn(at, "%s is no number that can be checked and is not used", key)
		return
	}
	out.Put(key, n)
}

// numeric returns v as a number of bearable size, nil when it is none.
func numeric(v *schema.Value) *schema.Value {
	if v.Is(schema.String) {
		parsed, err := schema.Parse([]byte(v.Text))
		if err != nil {
			return nil
		}
		v = parsed
	}
	if !v.Is(schema.Number) || !schema.Bearable(v) {
		return nil
	}
	return v
}

// count copies a limit that is a natural number.
func (c *converter) count(at site, key string, out *schema.Value) {
	n := numeric(at.value)
	if n == nil || strings.Trim(n.Text, "0123456789") != "" || len(n.Text) > 15 {
		c.d.warn(at, "%s is no natural number and is not used", key)
		return
	}
	out.Put(key, n)
}

// maxPattern bounds a regular expression in bytes.
const maxPattern = 2000

func (c *converter) compiles(pattern string) bool {
	ok, known := c.patterns[pattern]
	if !known {
		if len(pattern) <= maxPattern {
			_, err := regexp.Compile(pattern)
			ok = err == nil
		}
		c.patterns[pattern] = ok
	}
	return ok
}

// pattern copies a pattern that RE2 takes; another becomes a comment, which is published with the description.
func (c *converter) pattern(at site, out *schema.Value) {
	switch {
	case !at.is(schema.String):
		c.d.warn(at, "the pattern is no text and is not used")
	case c.compiles(at.value.Text):
		out.Put("pattern", at.value)
	default:
		c.d.warn(at, "the pattern is not one that RE2 takes; it is told but not checked")
		out.Put("$comment", schema.Text("Pattern: "+schema.Clean(schema.Shorten(at.value.Text, maxText))))
	}
}

// required copies the names that the writer must give.
func (c *converter) required(s site, out *schema.Value, dir direction) {
	at := s.member("required")
	if at.value == nil || at.is(schema.Bool) { // true and false are a habit from drafts before 4
		return
	}
	if !at.is(schema.Array) {
		c.d.warn(at, "required is no list and is not used")
		return
	}
	if dir == reply {
		return
	}
	source, converted := s.value.Get("properties"), out.Get("properties")
	var names []string
	for _, m := range c.d.first(at, maxProperties) {
		name := m.Value.Text
		if !m.Value.Is(schema.String) {
			continue
		}
		gone := source.Get(name) != nil && converted.Get(name) == nil || slices.Contains(c.hidden, name)
		if gone || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		if out.False("additionalProperties") && converted.Get(name) == nil {
			c.d.warn(at, "%q is required but not described; any value is taken", name)
			if converted == nil {
				converted = schema.Map()
				out.Put("properties", converted)
			}
			converted.Put(name, schema.Map())
		}
	}
	if len(names) > 0 {
		out.Put("required", schema.Texts(names...))
	}
}

// combine converts allOf, anyOf and oneOf.
func (c *converter) combine(s site, key string, out *schema.Value, dir direction) {
	at := s.member(key)
	if at.is(schema.Object) {
		c.d.warn(at, "%s is no list; its one schema is taken", key)
		at = site{at.doc, schema.List(at.value), at.pointer}
	}
	if !at.is(schema.Array) || len(at.value.Members) == 0 {
		c.d.warn(at, "%s is empty or no list and is not used", key)
		return
	}
	branches := make([]*schema.Value, len(at.value.Members))
	for i := range at.value.Members {
		if key == "allOf" {
			branches[i] = c.part(at.element(i), dir)
		} else {
			branches[i] = c.schema(at.element(i), dir, false)
		}
	}
	if key == "oneOf" {
		key = "anyOf"
	}
	if key == "anyOf" && out.Get(key) != nil { // anyOf beside oneOf
		key, branches = "allOf", []*schema.Value{schema.Map(schema.Member{Key: "anyOf", Value: schema.List(branches...)})}
	}
	if old := out.Get(key); old != nil {
		branches = append(elements(old), branches...)
	}
	out.Put(key, schema.List(branches...))
}

func elements(v *schema.Value) []*schema.Value {
	all := make([]*schema.Value, len(v.Members))
	for i, m := range v.Members {
		all[i] = m.Value
	}
	return all
}

// part converts one part of an allOf. A reference is written out where what it leads to has a property that another part hides: its definition is
// shared with places where nothing does.
func (c *converter) part(s site, dir direction) *schema.Value {
	if len(c.hidden) > 0 && c.written < maxWritten && s.value.Get("$ref").Is(schema.String) && (s.doc.dialect != openapi31 || len(s.value.Members) == 1) {
		if to, err := c.d.follow(s); err == nil && c.shows(to, c.hidden, c.hiddenIn(to, dir)) {
			c.written++
			return c.schema(to, dir, true)
		}
	}
	return c.schema(s, dir, true)
}

// shows reports whether s or a part of its allOf has or requires one of the properties in names that are not among those it hides itself.
func (c *converter) shows(s site, names, hides []string) bool {
	found := false
	c.parts(s, func(part site) {
		for _, name := range names {
			there := part.value.Get("properties").Get(name) != nil || slices.Contains(part.value.Get("required").Strings(), name)
			found = found || there && !slices.Contains(hides, name)
		}
	})
	return found
}

// hiddenIn returns the properties of s and of the parts of its allOf that the writer may not set.
func (c *converter) hiddenIn(s site, dir direction) []string {
	var names []string
	c.parts(s, func(part site) {
		properties := part.member("properties")
		for i, m := range members(properties.value) {
			if i < maxProperties && c.hides(properties.nth(i), dir) {
				names = append(names, m.Key)
			}
		}
	})
	return names
}

const (
	// maxParts bounds how many parts of an allOf are looked at, maxWritten how many references of one schema are written out.
	maxParts   = 256
	maxWritten = 64
)

// parts calls visit for what s stands for and for each part of its allOf, once.
func (c *converter) parts(s site, visit func(site)) {
	seen := make(map[*schema.Value]bool)
	var walk func(s site)
	walk = func(s site) {
		to, err := c.d.follow(s)
		if err != nil || seen[to.value] || len(seen) == maxParts {
			return
		}
		seen[to.value] = true
		visit(to)
		for i := range to.value.Array("allOf") {
			walk(to.member("allOf").element(i))
		}
	}
	walk(s)
}

// infer adds the type that a schema without one plainly has.
func infer(out *schema.Value) {
	for _, key := range [...]string{"type", "$ref", "anyOf", "allOf", "enum", "const", "not"} {
		if out.Get(key) != nil {
			return
		}
	}
	switch {
	case out.Get("properties") != nil || out.Get("additionalProperties") != nil:
		out.Put("type", schema.Text("object"))
	case out.Get("items") != nil:
		out.Put("type", schema.Text("array"))
	}
}

// isNullable reports whether a schema lets null through in the way of descriptions before 3.1.
func isNullable(s site) bool {
	return s.doc.dialect != openapi31 && (s.value.True("nullable") || s.value.True("x-nullable"))
}

// nullable lets null through where a description before 3.1 says so.
func (c *converter) nullable(s site, out *schema.Value) *schema.Value {
	if !isNullable(s) {
		return out
	}
	null := schema.Map(schema.Member{Key: "type", Value: schema.Text("null")})
	if out.Get("$ref") != nil || out.Get("allOf") != nil || out.Get("anyOf") != nil {
		wrapped := schema.Map()
		if text := out.Get("description"); text != nil {
			wrapped.Put("description", text)
		}
		wrapped.Put("anyOf", schema.List(out.Without("description"), null))
		return wrapped
	}
	if kind := out.Get("type"); kind != nil {
		names := typeNames(kind)
		if !slices.Contains(names, "null") {
			out.Put("type", schema.Texts(append(slices.Clip(names), "null")...))
		}
	}
	if list := out.Array("enum"); len(list) > 0 && !slices.ContainsFunc(list, func(m schema.Member) bool { return m.Value.Is(schema.Null) }) {
		out.Put("enum", schema.List(append(elements(out.Get("enum")), &schema.Value{})...))
	}
	return out
}

// discriminator turns the values of a tag into rules: each branch gets the value that stands for it, and a mapping without branches
// becomes alternatives.
func (c *converter) discriminator(s site, out *schema.Value, dir direction, base bool) {
	at := s.member("discriminator")
	if at.value == nil || base || dir == reply {
		return
	}
	tag := at.value.GetText("propertyName")
	if at.is(schema.String) { // 2.0: the subtypes are not named
		return
	}
	if tag == "" {
		c.d.warn(at, "the discriminator has no propertyName and is not used")
		return
	}
	mapping := at.member("mapping")
	for _, key := range [...]string{"oneOf", "anyOf"} {
		if s.value.Get(key) != nil {
			c.tagBranches(s.member(key), mapping, tag, out)
			return
		}
	}
	if !mapping.is(schema.Object) {
		return
	}
	var branches, tags []*schema.Value
	for _, m := range mapping.value.Members {
		to := site{mapping.doc, schema.Map(schema.Member{Key: "$ref", Value: schema.Text(mappedRef(m.Value.Text))}), mapping.pointer + "/" + schema.Token(m.Key)}
		branch := c.reference(to, dir, true)
		branches = append(branches, tagged(branch, tag, schema.Text(m.Key)))
		tags = append(tags, schema.Text(m.Key))
	}
	if len(branches) == 0 || out.Get("anyOf") != nil {
		return
	}
	other := schema.Map(schema.Member{Key: "not", Value: schema.Map(schema.Member{Key: "enum", Value: schema.List(tags...)})})
	branches = append(branches, schema.Map(schema.Member{Key: "properties", Value: schema.Map(schema.Member{Key: tag, Value: other})}))
	out.Put("anyOf", schema.List(branches...))
}

// tagBranches adds to each branch the values of the tag that the mapping has for it.
func (c *converter) tagBranches(branches, mapping site, tag string, out *schema.Value) {
	converted := out.Array("anyOf")
	if !branches.is(schema.Array) || len(converted) != len(branches.value.Members) {
		return
	}
	for i := range branches.value.Members {
		ref := branches.element(i).value.GetText("$ref")
		to, err := c.d.follow(branches.element(i))
		if ref == "" || err != nil || to.value.Get("properties").Get(tag).Get("enum") != nil || to.value.Get("properties").Get(tag).Get("const") != nil {
			continue
		}
		var values []*schema.Value
		for _, m := range members(mapping.value) {
			if mappedRef(m.Value.Text) == ref {
				values = append(values, schema.Text(m.Key))
			}
		}
		if len(values) > 0 {
			converted[i].Value = tagged(converted[i].Value, tag, values...)
		}
	}
}

// tagged returns branch with the values that its tag may have.
func tagged(branch *schema.Value, tag string, values ...*schema.Value) *schema.Value {
	rule := schema.Map(schema.Member{Key: "enum", Value: schema.List(values...)})
	only := schema.Map(schema.Member{Key: "properties", Value: schema.Map(schema.Member{Key: tag, Value: rule})})
	return schema.Map(schema.Member{Key: "allOf", Value: schema.List(branch, only)})
}

// mappedRef is the reference that a mapping value means: names of schemas may stand alone.
func mappedRef(text string) string {
	if strings.ContainsAny(text, "#/.") {
		return text
	}
	return fmt.Sprintf("#/components/schemas/%s", text)
}
