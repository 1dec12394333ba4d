package openapi

import (
	"slices"
	"strings"

	"weir/translate"
	"weir/translate/schema"
)

// place is where an argument goes in the request.
type place uint8

const (
	inPath place = iota
	inQuery
	inHeader
	inCookie
	inQueryString // the whole query
	inField       // a member of the body
	inBody        // the whole body
)

// suffix tells arguments of one name apart.
func (p place) suffix() string {
	return [...]string{"__path", "__query", "__header", "__cookie", "__querystring", "__body", "__body"}[p]
}

// argument is one argument of a tool and its way into the request.
type argument struct {
	name     string // as models see it
	wire     string // as the API sees it; "" for a whole body
	place    place
	style    style
	schema   *schema.Value // full
	required bool
	// group says that the argument is required only when any member of the optional body is given.
	group bool
	// fixed is sent always and hides the argument; fallback is sent when the argument is absent.
	fixed, fallback *schema.Value
	hidden          bool
}

// style is how a value is written (OpenAPI 3.1, section 4.8.12).
type style struct {
	name     string
	explode  bool
	reserved bool
	media    string // of a parameter with content, or of a part of a multipart body
	file     bool   // the value is a file argument
}

// plan is how a call of one operation becomes a request.
type plan struct {
	method    string
	template  template
	arguments []argument
	media     string // of the body, "" for none
	whole     bool   // the body is one argument
	always    bool   // a body is sent though no member is given
	server    *server
	security  []alternative
	accept    string
	encoding  map[string]style // of the members of a form
	xml       *xmlForm         // of an XML body
}

// arguments gives the tool its arguments in the order path, query, header, cookie, body.
func (b *builder) arguments(o *operation, p *plan) []argument {
	var all []argument
	for _, in := range [...]string{"path", "query", "querystring", "header", "cookie"} {
		for i := range o.parameters {
			if o.parameters[i].in == in {
				all = append(all, b.parameter(&o.parameters[i]))
			}
		}
	}
	all = append(all, b.body(o, p)...)
	nameArguments(all)
	return all
}

func (b *builder) parameter(p *parameter) argument {
	a := argument{wire: p.name, required: p.required, style: style{name: p.style, explode: p.explode, reserved: p.reserved, media: p.media}}
	switch p.in {
	case "path":
		a.place = inPath
	case "header":
		a.place = inHeader
	case "cookie":
		a.place = inCookie
	case "querystring":
		a.place = inQueryString
	default:
		a.place = inQuery
	}
	if p.schema.value == nil {
		a.schema = schema.Map(schema.Member{Key: "type", Value: schema.Text("string")})
	} else {
		a.schema = b.converter.convert(p.schema, request)
	}
	text := p.text
	if p.outdated {
		text = strings.TrimSpace("Deprecated. " + text)
	}
	a.schema = translate.Described(a.schema, text)
	if e := p.at.value.Get("example"); e != nil && len(e.Members) == 0 && len(e.Text) <= maxText && a.schema.Get("examples") == nil {
		a.schema.Put("examples", schema.List(e))
	}
	defs := b.converter.defs[request]
	if types := defs.Types(a.schema); a.place == inPath && len(types) == 1 { // an empty list or object would leave nothing in the path
		least := map[string]string{"array": "minItems", "object": "minProperties"}[types[0]]
		if least != "" && defs.First(a.schema, least) == nil {
			a.schema = schema.Map(append(slices.Clip(a.schema.Members), schema.Member{Key: least, Value: schema.Int(1)})...)
		}
	}
	if a.required {
		a.fallback = b.converter.defs[request].First(a.schema, "default")
	}
	return a
}

// nameArguments makes names that are portable and unique: those of the body first, then in order.
func nameArguments(all []argument) {
	taken := make(map[string]bool, len(all))
	order := make([]int, 0, len(all))
	for i := range all {
		if all[i].place >= inField {
			order = append(order, i)
		}
	}
	for i := range all {
		if all[i].place < inField {
			order = append(order, i)
		}
	}
	for _, i := range order {
		a := &all[i]
		a.name = translate.PortableArgument(a.wire)
		if a.place == inBody {
			a.name = "body"
		}
		if taken[a.name] && a.place < inField {
			a.name = translate.PortableArgument(a.name + a.place.suffix())
		}
		if taken[a.name] {
			a.name = translate.Marked(a.name, a.wire+a.place.suffix(), translate.MaxArgument)
		}
		taken[a.name] = true
	}
}

// input makes the full schema of the arguments that models may set.
func (b *builder) input(arguments []argument) schema.Full {
	properties := schema.Map()
	var required, group, grouped []string
	for i := range arguments {
		a := &arguments[i]
		if a.hidden {
			continue
		}
		properties.Members = append(properties.Members, schema.Member{Key: a.name, Value: a.schema})
		if a.place == inField {
			grouped = append(grouped, a.name)
		}
		switch {
		case a.group && a.fallback == nil:
			group = append(group, a.name)
		case a.required && a.fallback == nil:
			required = append(required, a.name)
		}
	}
	root := schema.Map(
		schema.Member{Key: "type", Value: schema.Text("object")},
		schema.Member{Key: "properties", Value: properties},
	)
	if len(required) > 0 {
		root.Put("required", schema.Texts(required...))
	}
	if len(group) > 0 {
		depends := schema.Map()
		for _, name := range grouped {
			if others := without(group, name); len(others) > 0 {
				depends.Put(name, schema.Texts(others...))
			}
		}
		root.Put("dependentRequired", depends)
	}
	root.Put("additionalProperties", schema.Boolean(false))
	return b.converter.full(root, request)
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
}

// flat reports whether the members of a body can stand as arguments of their own, and returns them.
func (b *builder) flat(v *schema.Value) (properties []schema.Member, required []string, ok bool) {
	defs := b.converter.defs[request]
	index := make(map[string]int)
	closed, shapes, object := false, 0, false
	for _, f := range defs.Facets(v) {
		for _, m := range f.Members {
			switch m.Key {
			case "$ref", "$comment", "allOf", "description", "examples", "default", "title", "format", "required":
			case "properties":
				shapes++
			case "type":
				if !m.Value.Is(schema.String) || m.Value.Text != "object" {
					return nil, nil, false
				}
				object = true
			case "additionalProperties":
				if !f.False("additionalProperties") {
					return nil, nil, false
				}
				closed = true
			default:
				return nil, nil, false
			}
		}
		for _, m := range f.Object("properties") {
			if i, twice := index[m.Key]; twice {
				properties[i].Value = schema.Map(schema.Member{Key: "allOf", Value: schema.List(properties[i].Value, m.Value)})
				continue
			}
			index[m.Key] = len(properties)
			properties = append(properties, m)
		}
		for _, name := range f.Get("required").Strings() {
			if !slices.Contains(required, name) {
				required = append(required, name)
			}
		}
	}
	for _, name := range required {
		if _, there := index[name]; !there {
			properties = append(properties, schema.Member{Key: name, Value: schema.Map()})
		}
	}
	return properties, required, (object || shapes > 0) && len(properties) > 0 && (!closed || shapes <= 1)
}

// defaults are the arguments that are sent when a caller leaves them out.
func (p *plan) defaults() []schema.Member {
	var all []schema.Member
	for i := range p.arguments {
		if a := &p.arguments[i]; a.fallback != nil && !a.hidden {
			all = append(all, schema.Member{Key: a.name, Value: a.fallback})
		}
	}
	return all
}
