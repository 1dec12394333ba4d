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
	translate.Argument
	wire  string // as the API sees it; "" for a whole body
	place place
	style style
	// group says that the argument is required only when any member of the optional body is given.
	group bool
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
	a := argument{Argument: translate.Argument{Required: p.required}, wire: p.name, style: style{name: p.style, explode: p.explode, reserved: p.reserved, media: p.media}}
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
		a.Schema = schema.Map(schema.Member{Key: "type", Value: schema.Text("string")})
	} else {
		a.Schema = b.converter.convert(p.schema, request)
	}
	text := p.text
	if p.outdated {
		text = strings.TrimSpace("Deprecated. " + text)
	}
	a.Schema = translate.Described(a.Schema, text)
	if e := p.at.value.Get("example"); e != nil && len(e.Members) == 0 && len(e.Text) <= maxText && a.Schema.Get("examples") == nil {
		a.Schema.Put("examples", schema.List(e))
	}
	defs := b.converter.defs[request]
	if types := defs.Types(a.Schema); a.place == inPath && len(types) == 1 { // an empty list or object would leave nothing in the path
		least := map[string]string{"array": "minItems", "object": "minProperties"}[types[0]]
		if least != "" && defs.First(a.Schema, least) == nil {
			a.Schema = schema.Map(append(slices.Clip(a.Schema.Members), schema.Member{Key: least, Value: schema.Int(1)})...)
		}
	}
	if a.Required {
		a.Fallback = b.converter.defs[request].First(a.Schema, "default")
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
		a.Name = translate.PortableArgument(a.wire)
		if a.place == inBody {
			a.Name = "body"
		}
		if taken[a.Name] && a.place < inField {
			a.Name = translate.PortableArgument(a.Name + a.place.suffix())
		}
		if taken[a.Name] {
			a.Name = translate.Marked(a.Name, a.wire+a.place.suffix(), translate.MaxArgument)
		}
		taken[a.Name] = true
	}
}

// curate applies what configuration says about arguments, and makes the input of the tool of what models may set.
func (b *builder) curate(o *operation, p *plan, name string) *translate.Input {
	all := p.shared()
	translate.Curate(all, o.change.Args, func(format string, args ...any) { b.description.warn(o.at, format, args...) })
	full, defaults := translate.Arguments(all, b.converter.defs[request])
	if group, grouped := p.group(); len(group) > 0 && len(group)*len(grouped) <= maxTogether {
		depends := schema.Map()
		for _, name := range grouped {
			if others := without(group, name); len(others) > 0 {
				depends.Put(name, schema.Texts(others...))
			}
		}
		full.Root.Put("dependentRequired", depends)
	}
	return &translate.Input{Tool: name, Full: full, Defaults: defaults}
}

// maxTogether bounds the rule of arguments that must be given together, which has as many names as the product of both numbers; without it the API judges.
const maxTogether = 10_000

// shared are the arguments as those of any tool.
func (p *plan) shared() []*translate.Argument {
	all := make([]*translate.Argument, len(p.arguments))
	for i := range p.arguments {
		all[i] = &p.arguments[i].Argument
	}
	return all
}

// group are the arguments without which an optional body must not be sent; all are those that it consists of.
func (p *plan) group() (group, all []string) {
	for i := range p.arguments {
		a := &p.arguments[i]
		if a.Hidden || a.place != inField {
			continue
		}
		all = append(all, a.Name)
		if a.group && a.Fallback == nil {
			group = append(group, a.Name)
		}
	}
	return group, all
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
