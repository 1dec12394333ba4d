package openapi

import (
	"slices"
	"strings"

	"weir/translate/schema"
)

// direction says which side writes a value: properties that only the other may write are left out.
type direction uint8

const (
	request direction = iota
	reply
)

// converter turns the schemas of a description into JSON Schema 2020-12. Referenced schemas are converted once per direction and
// become definitions; they are queued rather than entered, so that a chain of references costs no stack.
type converter struct {
	d        *description
	defs     [2]*schema.Defs
	names    map[definition]string
	taken    [2]map[string]bool
	queue    []queued
	patterns map[string]bool // whether RE2 takes a pattern
	hidden   []string        // properties that the writer may not set, by any part of the allOf that is being converted
	written  int             // references of the schema that is being converted that were written out
}

// definition identifies a converted schema. base is set for the form without the alternatives that its discriminator names.
type definition struct {
	value     *schema.Value
	direction direction
	base      bool
}

type queued struct {
	definition
	name string
	at   site
}

func newConverter(d *description) *converter {
	return &converter{
		d:        d,
		defs:     [2]*schema.Defs{schema.NewDefs(), schema.NewDefs()},
		names:    make(map[definition]string),
		taken:    [2]map[string]bool{{}, {}},
		patterns: make(map[string]bool),
	}
}

// convert converts the schema at s and everything that it refers to.
func (c *converter) convert(s site, dir direction) *schema.Value {
	c.written = 0
	v := c.schema(s, dir, false)
	for len(c.queue) > 0 {
		next := c.queue[len(c.queue)-1]
		c.queue = c.queue[:len(c.queue)-1]
		c.hidden, c.written = nil, 0
		c.defs[dir].Add(next.name, c.schema(next.at, next.direction, next.base))
	}
	return v
}

// full makes the lossless schema of root.
func (c *converter) full(root *schema.Value, dir direction) schema.Full {
	return schema.Full{Root: root, Defs: c.defs[dir]}
}

// reference returns a reference to the definition of what s refers to; an open schema when that is nothing.
func (c *converter) reference(s site, dir direction, base bool) *schema.Value {
	to, err := c.d.follow(s)
	if err == nil && !to.is(schema.Object) && !to.is(schema.Bool) {
		c.d.warn(s, "$ref %q leads to no schema; any value is taken", schema.Shorten(s.value.GetText("$ref"), 120))
		return schema.Map()
	}
	if err != nil {
		c.d.warn(s, "%v; any value is taken", err)
		return schema.Map()
	}
	base = base && to.value.Get("discriminator") != nil
	key := definition{to.value, dir, base}
	name, ok := c.names[key]
	if !ok {
		name = c.name(to, dir)
		c.names[key] = name
		c.defs[dir].Add(name, schema.Map())
		c.queue = append(c.queue, queued{key, name, to})
	}
	return schema.Map(schema.Member{Key: "$ref", Value: schema.Ref(name)})
}

// name makes a name for a definition out of the end of its pointer.
func (c *converter) name(s site, dir direction) string {
	last := s.pointer[strings.LastIndexByte(s.pointer, '/')+1:]
	if last == "" {
		last = s.doc.name
	}
	name := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, last)
	unique := name
	for n := 2; c.taken[dir][unique]; n++ {
		unique = name + "_" + schema.Int(n).Text
	}
	c.taken[dir][unique] = true
	return unique
}

// schema converts one schema object.
func (c *converter) schema(s site, dir direction, base bool) *schema.Value {
	switch {
	case s.value == nil:
		return schema.Map()
	case s.is(schema.Bool):
		if s.value.Text == "true" {
			return schema.Map()
		}
		return schema.Map(schema.Member{Key: "not", Value: schema.Map()})
	case !s.is(schema.Object):
		c.d.warn(s, "the schema is no object; any value is taken")
		return schema.Map()
	}
	out := schema.Map()
	if s.value.Get("$ref").Is(schema.String) {
		out = c.reference(s, dir, base)
		if s.doc.dialect != openapi31 { // other members mean nothing there, but people write these
			c.describe(s, out)
			c.secret(s, out, dir)
			return c.nullable(s, out)
		}
	}
	if s.value.Get("allOf") != nil {
		hidden := c.hidden
		c.hidden = append(slices.Clip(hidden), c.hiddenIn(s, dir)...)
		defer func() { c.hidden = hidden }()
	}
	c.describe(s, out)
	c.secret(s, out, dir)
	c.types(s, out)
	for _, m := range s.value.Members {
		c.keyword(s, m.Key, out, dir)
	}
	c.discriminator(s, out, dir, base)
	c.required(s, out, dir)
	if len(s.value.Object("properties")) > maxProperties && out.False("additionalProperties") {
		*out = *out.Without("additionalProperties") // the rest may be given, unchecked
	}
	infer(out)
	return c.nullable(s, out)
}

// describe copies the words.
func (c *converter) describe(s site, out *schema.Value) {
	text := schema.Clean(s.value.GetText("description"))
	if title := s.value.GetText("title"); text == "" && strings.Contains(title, " ") {
		text = schema.Clean(title)
	}
	if s.value.True("deprecated") {
		text = strings.TrimSpace("Deprecated. " + text)
	}
	if text != "" {
		out.Put("description", schema.Text(text))
	}
}

// secret copies what says that a value is: what is recorded of calls leaves it out.
func (c *converter) secret(s site, out *schema.Value, dir direction) {
	if s.value.True("writeOnly") {
		out.Put("writeOnly", schema.Boolean(true))
		c.defs[dir].MarkSecret()
	}
	if s.value.GetText("format") == "password" {
		c.defs[dir].MarkSecret()
	}
}

// types copies the type as far as it is known.
func (c *converter) types(s site, out *schema.Value) {
	v := s.value.Get("type")
	if v == nil {
		return
	}
	var names []string
	for _, name := range typeNames(v) {
		known := knownType(name)
		switch {
		case known == "":
			if name != "any" {
				c.d.warn(s.member("type"), "type %q is unknown; any value is taken", name)
			}
			return
		case name == "file":
			out.Put("format", schema.Text("binary"))
		}
		if !slices.Contains(names, known) {
			names = append(names, known)
		}
	}
	switch len(names) {
	case 0:
		c.d.warn(s.member("type"), "the type is no text; any value is taken")
	case 1:
		out.Put("type", schema.Text(names[0]))
	default:
		out.Put("type", schema.Texts(names...))
	}
}

// knownType returns the JSON Schema type that name stands for, "" for none.
func knownType(name string) string {
	switch strings.ToLower(name) {
	case "string", "number", "integer", "boolean", "array", "object", "null":
		return strings.ToLower(name)
	case "file", "date", "datetime", "date-time", "uuid":
		return "string"
	case "int", "int32", "int64", "long":
		return "integer"
	case "float", "double":
		return "number"
	case "bool":
		return "boolean"
	case "map", "dict":
		return "object"
	case "list":
		return "array"
	}
	return ""
}

// keyword converts one member that needs no other.
func (c *converter) keyword(s site, key string, out *schema.Value, dir direction) {
	at := s.member(key)
	switch key {
	case "enum", "const", "default", "example", "examples":
		c.values(s, key, out)
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		c.number(s, key, out)
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		c.count(at, key, out)
	case "pattern":
		c.pattern(at, out)
	case "format", "contentEncoding", "contentMediaType":
		if at.is(schema.String) && out.Get(key) == nil {
			out.Put(key, at.value)
		}
	case "uniqueItems":
		if at.is(schema.Bool) && at.value.Text == "true" {
			out.Put(key, at.value)
		}
	case "properties", "patternProperties":
		c.properties(at, key, out, dir)
	case "additionalProperties":
		c.additional(at, out, dir)
	case "items":
		c.items(at, out, dir)
	case "allOf", "anyOf", "oneOf":
		c.combine(s, key, out, dir)
	case "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems":
		if dir == request {
			out.Put(key, c.schema(at, dir, false))
		}
	case "prefixItems":
		c.list(at, key, out, dir)
	case "dependentRequired":
		if at.is(schema.Object) && dir == request {
			out.Put(key, at.value)
		}
	case "dependentSchemas":
		c.properties(at, key, out, dir)
	}
}

// properties converts an object of schemas.
func (c *converter) properties(at site, key string, out *schema.Value, dir direction) {
	if !at.is(schema.Object) {
		c.d.warn(at, "%s is no object and is not used", key)
		return
	}
	converted := schema.Map()
	for i, m := range c.d.first(at, maxProperties) {
		p := at.nth(i)
		if key == "properties" && (c.hides(p, dir) || slices.Contains(c.hidden, m.Key) || strings.HasPrefix(m.Key, "x-") && !p.is(schema.Object)) {
			continue
		}
		if key == "patternProperties" && !c.compiles(m.Key) {
			c.d.warn(p, "the pattern is not one that RE2 takes; members that match it are not checked")
			converted.Members = append(converted.Members, schema.Member{Key: "", Value: schema.Map()}) // matches every name
			continue
		}
		hidden := c.hidden
		c.hidden = nil
		converted.Members = append(converted.Members, schema.Member{Key: m.Key, Value: c.schema(p, dir, false)})
		c.hidden = hidden
	}
	out.Put(key, converted)
}

// hides reports whether the writer of dir may not set the property: through a reference and the parts of an allOf too.
func (c *converter) hides(p site, dir direction) bool {
	keyword := "readOnly"
	if dir == reply {
		keyword = "writeOnly"
	}
	if p.value.True(keyword) {
		return true
	}
	if to, err := c.d.follow(p); err == nil && to.value.True(keyword) {
		return true
	}
	for i := range p.value.Array("allOf") {
		part := p.member("allOf").element(i)
		if part.value.True(keyword) {
			return true
		}
		if to, err := c.d.follow(part); err == nil && to.value.True(keyword) {
			return true
		}
	}
	return false
}

func (c *converter) additional(at site, out *schema.Value, dir direction) {
	switch {
	case at.is(schema.Bool):
		if at.value.Text == "false" {
			out.Put("additionalProperties", at.value)
		} else {
			out.Put("additionalProperties", schema.Map())
		}
	case at.is(schema.Object):
		hidden := c.hidden
		c.hidden = nil
		out.Put("additionalProperties", c.schema(at, dir, false))
		c.hidden = hidden
	default:
		c.d.warn(at, "additionalProperties is neither a schema nor true or false")
	}
}

// items converts the elements of an array; several schemas, as old drafts have them, are alternatives.
func (c *converter) items(at site, out *schema.Value, dir direction) {
	hidden := c.hidden
	c.hidden = nil
	defer func() { c.hidden = hidden }()
	if !at.is(schema.Array) {
		out.Put("items", c.schema(at, dir, false))
		return
	}
	c.d.warn(at, "items is a list; each element may be of any of its schemas")
	var branches []*schema.Value
	for i := range at.value.Members {
		branches = append(branches, c.schema(at.element(i), dir, false))
	}
	switch len(branches) {
	case 0:
	case 1:
		out.Put("items", branches[0])
	default:
		out.Put("items", schema.Map(schema.Member{Key: "anyOf", Value: schema.List(branches...)}))
	}
}

func (c *converter) list(at site, key string, out *schema.Value, dir direction) {
	if !at.is(schema.Array) {
		c.d.warn(at, "%s is no list and is not used", key)
		return
	}
	var all []*schema.Value
	for i := range at.value.Members {
		all = append(all, c.schema(at.element(i), dir, false))
	}
	out.Put(key, schema.List(all...))
}

func typeNames(v *schema.Value) []string {
	if v.Is(schema.String) {
		return []string{v.Text}
	}
	return v.Strings()
}
