package openapi

import (
	"slices"
	"strings"

	"weir/translate/schema"
)

// requestBody reads a 3.x request body, nil when there is none.
func (d *description) requestBody(at site) *body {
	if at.value == nil {
		return nil
	}
	followed, err := d.follow(at)
	if err != nil || !followed.is(schema.Object) {
		d.warn(at, "the body can be anything: %s", reason(err, "its description is no object"))
		return &body{at: at, media: []media{{name: "application/json"}}}
	}
	b := &body{at: followed, required: followed.value.True("required"), text: schema.Clean(followed.value.GetText("description"))}
	b.media = d.content(followed.member("content"))
	if len(b.media) == 0 {
		d.warn(followed, "the body has no media type; JSON is sent")
		b.media = []media{{name: "application/json"}}
	}
	return b
}

// content reads the media types of a body or response.
func (d *description) content(at site) []media {
	var list []media
	if at.value != nil && !at.is(schema.Object) {
		d.warn(at, "content is no object and is not used")
	}
	if !at.is(schema.Object) {
		return nil
	}
	for i, m := range d.first(at, maxMedia) {
		entry, err := d.follow(at.nth(i))
		if err != nil {
			d.warn(entry, "the media type can be anything: %v", err)
		}
		name := strings.ToLower(strings.TrimSpace(m.Key))
		if strings.ContainsFunc(name, isControl) {
			d.warn(entry, "the media type is left out: its name has control characters")
			continue
		}
		c := media{name: name, schema: entry.member("schema"), encoding: entry.member("encoding")}
		if items := entry.member("itemSchema"); items.value != nil && c.schema.value == nil {
			c.schema, c.items = items, true
		}
		list = append(list, c)
	}
	return list
}

// responses reads what the statuses mean.
func (d *description) responses(op site) []response {
	at := op.member("responses")
	if at.value != nil && !at.is(schema.Object) {
		d.warn(at, "responses is no object and is not used")
		return nil
	}
	var list []response
	if at.value == nil {
		return nil
	}
	for i, m := range d.first(at, maxResponses) {
		if strings.HasPrefix(m.Key, "x-") {
			continue
		}
		listed := at.nth(i)
		s, err := d.follow(listed)
		if err != nil || !s.is(schema.Object) {
			d.warn(listed, "the response is left out: %s", reason(err, "it is no object"))
			continue
		}
		r := response{status: strings.ToUpper(m.Key), text: schema.Clean(s.value.GetText("description"))}
		for _, h := range s.value.Object("headers") {
			r.links = r.links || strings.EqualFold(h.Key, "Link")
		}
		d.links += len(s.value.Object("links"))
		if d.main.dialect == swagger2 {
			r.media = d.produced(s, op)
		} else {
			r.media = d.content(s.member("content"))
		}
		list = append(list, r)
	}
	return list
}

// produced gives the schema of a 2.0 response the media types that the operation produces.
func (d *description) produced(at, op site) []media {
	s := at.member("schema")
	if s.value == nil {
		return nil
	}
	var list []media
	for _, name := range d.nearest("produces", op).value.Strings() {
		list = append(list, media{name: strings.ToLower(name), schema: s})
	}
	if len(list) == 0 {
		list = []media{{name: "application/json", schema: s}}
	}
	return list
}

// consumed returns the media types of 2.0 bodies that satisfy wanted.
func (d *description) consumed(op site, wanted func(string) bool) []string {
	var names []string
	for _, name := range d.nearest("consumes", op).value.Strings() {
		if name = strings.ToLower(name); wanted(name) && !strings.ContainsFunc(name, isControl) {
			names = append(names, name)
		}
	}
	return names
}

// bodyParameter reads a 2.0 body.
func (d *description) bodyParameter(p, op site) *body {
	b := &body{at: p, required: p.value.True("required"), text: schema.Clean(p.value.GetText("description"))}
	s := p.member("schema")
	for _, name := range d.consumed(op, func(name string) bool { return !isForm(name) }) {
		b.media = append(b.media, media{name: name, schema: s})
	}
	if len(b.media) == 0 {
		b.media = []media{{name: "application/json", schema: s}}
	}
	return b
}

func isForm(name string) bool {
	return strings.HasPrefix(name, "application/x-www-form-urlencoded") || strings.HasPrefix(name, "multipart/")
}

// formBody makes one body of the formData parameters of a 2.0 operation.
func (d *description) formBody(fields []site, op site) *body {
	properties, encoding := schema.Map(), schema.Map()
	var required []string
	files := false
	for _, f := range fields {
		name := f.value.GetText("name")
		if name == "" {
			d.warn(f, "the parameter is left out: it has no name")
			continue
		}
		property := parameterSchema(f).value
		if property.GetText("type") == "file" {
			files = true
		}
		if text := f.value.Get("description"); text != nil {
			property.Put("description", text)
		}
		properties.Put(name, property)
		if f.value.True("required") {
			required = append(required, name)
		}
		style, explode := collectionStyle(f.value.GetText("collectionFormat"), "form")
		encoding.Put(name, schema.Map(schema.Member{Key: "style", Value: schema.Text(style)}, schema.Member{Key: "explode", Value: schema.Boolean(explode)}))
	}
	names := d.consumed(op, isForm)
	switch {
	case files && !slices.ContainsFunc(names, isMultipart):
		names = []string{"multipart/form-data"}
	case files:
		names = slices.DeleteFunc(names, func(n string) bool { return !isMultipart(n) })
	case len(names) == 0:
		names = []string{"application/x-www-form-urlencoded"}
	}
	root := schema.Map(schema.Member{Key: "type", Value: schema.Text("object")}, schema.Member{Key: "properties", Value: properties})
	if len(required) > 0 {
		root.Put("required", schema.Texts(required...))
	}
	b := &body{at: op, required: len(required) > 0}
	for _, name := range names {
		b.media = append(b.media, media{
			name: name, schema: site{op.doc, root, op.pointer + "/parameters"}, encoding: site{op.doc, encoding, op.pointer + "/parameters"},
		})
	}
	return b
}

func isMultipart(name string) bool { return strings.HasPrefix(name, "multipart/") }

// parameterSchema is the schema that a 2.0 parameter is itself.
func parameterSchema(p site) site {
	v := p.value.Without("name", "in", "description", "required", "collectionFormat", "allowEmptyValue", "style", "explode", "x-example")
	return site{p.doc, v, p.pointer}
}

// collection turns the collectionFormat of a 2.0 parameter into a style.
func (d *description) collection(p *parameter) {
	p.schema = parameterSchema(p.at)
	if s := p.at.member("schema"); s.value != nil { // a 3.x parameter in a 2.0 description
		p.schema = s
	}
	style := "form"
	if p.in == "path" || p.in == "header" {
		style = "simple"
	}
	p.style, p.explode = collectionStyle(p.at.value.GetText("collectionFormat"), style)
}

// collectionStyle maps csv, ssv, tsv, pipes and multi; plain is the style of csv where the parameter stands.
func collectionStyle(format, plain string) (style string, explode bool) {
	switch format {
	case "ssv":
		return "spaceDelimited", false
	case "tsv":
		return "tabDelimited", false
	case "pipes":
		return "pipeDelimited", false
	case "multi":
		return "form", true
	default:
		return plain, false
	}
}

func members(v *schema.Value) []schema.Member {
	if v.Is(schema.Object) {
		return v.Members
	}
	return nil
}
