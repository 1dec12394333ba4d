package openapi

import (
	"mime"
	"slices"
	"strings"

	"weir/translate"
	"weir/translate/schema"
)

// kind of a media type, in the order of preference for requests.
type mediaKind uint8

const (
	mediaJSON mediaKind = iota
	mediaForm
	mediaMultipart
	mediaText
	mediaXML
	mediaBinary
	mediaStream // text/event-stream
	mediaLines  // NDJSON
)

// essence is a media type without parameters, in lower case.
func essence(name string) string {
	if parsed, _, err := mime.ParseMediaType(name); err == nil {
		return parsed
	}
	head, _, _ := strings.Cut(name, ";")
	return strings.ToLower(strings.TrimSpace(head))
}

// kindOf sorts a media type.
func kindOf(name string) mediaKind {
	name = essence(name)
	switch {
	case name == "text/event-stream":
		return mediaStream
	case name == "application/x-ndjson", name == "application/jsonl", name == "application/x-jsonlines", name == "application/json-seq",
		name == "application/stream+json":
		return mediaLines
	case name == "application/json", name == "*/*", name == "application/*", name == "text/json", strings.HasSuffix(name, "+json"):
		return mediaJSON
	case name == "application/x-www-form-urlencoded":
		return mediaForm
	case isMultipart(name):
		return mediaMultipart
	case name == "application/xml", name == "text/xml", strings.HasSuffix(name, "+xml") && name != "image/svg+xml":
		return mediaXML
	case strings.HasPrefix(name, "text/"), name == "application/graphql", name == "application/yaml", name == "application/x-yaml":
		return mediaText
	default:
		return mediaBinary
	}
}

// choose picks the media type in which a body is sent: the one that configuration names, else by kind, else the first.
func choose(list []media, wanted string) media {
	for _, m := range list {
		if wanted != "" && (m.name == wanted || essence(m.name) == essence(wanted)) {
			return m
		}
	}
	rank := func(m media) int {
		r := 4 * int(kindOf(m.name))
		if strings.Contains(m.name, "*") {
			r++
		}
		if strings.Contains(m.name, "patch") { // of several JSON types the plainest: a merge patch is an object, a JSON patch a program
			r += 2
			if strings.Contains(m.name, "merge") {
				r--
			}
		}
		return r
	}
	return slices.MinFunc(list, func(a, b media) int { return rank(a) - rank(b) })
}

// body gives the arguments of the request body.
func (b *builder) body(o *operation, p *plan) []argument {
	if o.body == nil || len(o.body.media) == 0 {
		return nil
	}
	m := choose(o.body.media, o.change.Media)
	p.media = m.name
	if strings.Contains(p.media, "*") {
		p.media = "application/json"
		if kindOf(m.name) != mediaJSON {
			p.media = "application/octet-stream"
		}
	}
	kind := kindOf(m.name)
	var v *schema.Value
	if m.schema.value != nil {
		v = b.converter.convert(m.schema, request)
	}
	if m.items {
		v = schema.Map(schema.Member{Key: "type", Value: schema.Text("array")}, schema.Member{Key: "items", Value: v})
	}
	p.encoding = b.encodings(m)
	if kind == mediaXML && m.schema.value != nil {
		p.xml = b.description.xmlFormOf(m.schema)
	} else {
		p.xml = &xmlForm{}
	}
	switch kind {
	case mediaBinary, mediaStream:
		return b.wholeBody(o, p, translate.FileArgument(o.body.text), style{file: true})
	case mediaText:
		if v == nil || !b.converter.defs[request].Allows(v, "string") {
			v = schema.Map(schema.Member{Key: "type", Value: schema.Text("string")})
		}
		return b.wholeBody(o, p, translate.Described(v, o.body.text), style{})
	case mediaXML:
		return b.wholeBody(o, p, xmlArgument(v, o.body.text), style{})
	default:
	}
	if v == nil {
		v = schema.Map()
	}
	properties, required, ok := b.flat(v)
	if !ok && (kind == mediaForm || p.method == "GET") && b.isEmpty(v) {
		p.media = ""
		return nil
	}
	if !ok {
		if kind == mediaForm || kind == mediaMultipart {
			v = b.formObject(v)
		}
		return b.wholeBody(o, p, translate.Described(v, o.body.text), style{})
	}
	p.always = o.body.required
	return b.fields(o, p, kind, properties, required)
}

// isEmpty reports whether an object has no members at all.
func (b *builder) isEmpty(v *schema.Value) bool {
	for _, f := range b.converter.defs[request].Facets(v) {
		for _, m := range f.Members {
			switch m.Key {
			case "$ref", "allOf", "description", "type", "required":
			case "properties":
				if len(m.Value.Members) > 0 {
					return false
				}
			case "additionalProperties":
				if !f.False("additionalProperties") {
					return false
				}
			default:
				return false
			}
		}
	}
	return !b.converter.defs[request].Allows(v, "string")
}

// wholeBody is a body that is one argument.
func (b *builder) wholeBody(o *operation, p *plan, v *schema.Value, s style) []argument {
	p.whole = true
	return []argument{{Argument: translate.Argument{Schema: v, Required: o.body.required}, place: inBody, style: s}}
}

// formObject makes sure that what is sent as a form is an object.
func (b *builder) formObject(v *schema.Value) *schema.Value {
	if types := b.converter.defs[request].Types(v); len(types) == 1 && types[0] == "object" {
		return v
	}
	return schema.Map(schema.Member{Key: "type", Value: schema.Text("object")}, schema.Member{Key: "allOf", Value: schema.List(v)})
}

// fields are the members of a body as arguments.
func (b *builder) fields(o *operation, p *plan, kind mediaKind, properties []schema.Member, required []string) []argument {
	var all []argument
	for _, m := range properties {
		a := argument{Argument: translate.Argument{Schema: m.Value}, wire: m.Key, place: inField, style: p.encoding[m.Key]}
		if slices.Contains(required, m.Key) {
			a.Required, a.group = o.body.required, !o.body.required
		}
		if kind == mediaMultipart {
			b.part(&a)
		}
		all = append(all, a)
	}
	return all
}

// part makes the argument of a binary member of a multipart body one that a model can give.
func (b *builder) part(a *argument) {
	defs := b.converter.defs[request]
	text, _ := describedAs(defs, a.Schema)
	if isBinary(defs, a.Schema) {
		a.Schema, a.style.file = translate.FileArgument(text), true
		return
	}
	if items := defs.First(a.Schema, "items"); items != nil && isBinary(defs, items) {
		a.Schema = translate.Described(schema.Map(
			schema.Member{Key: "type", Value: schema.Text("array")}, schema.Member{Key: "items", Value: translate.FileArgument("")},
		), text)
		a.style.file = true
	}
}

func describedAs(defs *schema.Defs, v *schema.Value) (string, bool) {
	text := defs.First(v, "description")
	if text.Is(schema.String) {
		return text.Text, true
	}
	return "", false
}

// isBinary reports whether a string is the content of a file: format binary before 3.1, a content type without an encoding since.
func isBinary(defs *schema.Defs, v *schema.Value) bool {
	if f := defs.First(v, "format"); f.Is(schema.String) {
		return f.Text == "binary" && defs.Allows(v, "string")
	}
	return defs.First(v, "contentMediaType") != nil && defs.First(v, "contentEncoding") == nil && defs.Allows(v, "string")
}

// xmlArgument takes a document as text, or as the object that the description has.
func xmlArgument(v *schema.Value, text string) *schema.Value {
	document := schema.Map(schema.Member{Key: "type", Value: schema.Text("string")}, schema.Member{Key: "description", Value: schema.Text("an XML document")})
	if v == nil || len(v.Members) == 0 {
		return translate.Described(document, text)
	}
	return translate.Described(schema.Map(schema.Member{Key: "anyOf", Value: schema.List(v, document)}), text)
}

// encodings reads how the members of a form are written.
func (b *builder) encodings(m media) map[string]style {
	all := make(map[string]style)
	for _, e := range members(m.encoding.value) {
		s := style{name: e.Value.GetText("style"), media: e.Value.GetText("contentType"), reserved: e.Value.True("allowReserved")}
		s.explode = s.name == "form" || s.name == ""
		if x := e.Value.Get("explode"); x.Is(schema.Bool) {
			s.explode = x.Text == "true"
			if s.name == "" {
				s.name = "form"
			}
		}
		if strings.ContainsFunc(s.media, isControl) {
			s.media = ""
		}
		all[e.Key] = s
	}
	return all
}
