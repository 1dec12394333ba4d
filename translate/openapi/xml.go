package openapi

import (
	"bytes"
	"encoding/xml"
	"maps"
	"strings"

	"weir/translate/schema"
)

// document writes an object as XML by the xml hints of its schema (OpenAPI 3.1, section 4.8.26).
func (p *plan) document(v *schema.Value) []byte {
	out := []byte(xml.Header)
	name := p.xml.name
	if name == "" {
		name = "root"
	}
	return p.xml.append(out, name, v)
}

// xmlForm is what a schema says about XML, read once when the tool is made.
type xmlForm struct {
	name      string
	attribute bool
	wrapped   bool
	namespace string
	prefix    string
	items     *xmlForm
	members   map[string]*xmlForm
}

const (
	maxXMLDepth = 12
	maxXMLForms = 10_000
)

// xmlFormOf reads the hints of a schema and of what is inside it.
func (d *description) xmlFormOf(s site) *xmlForm {
	r := xmlReader{d: d, left: maxXMLForms}
	return r.form(s, 0)
}

// xmlReader reads hints until it has read enough: further inside elements are called like their members.
type xmlReader struct {
	d    *description
	left int
}

func (r *xmlReader) form(s site, depth int) *xmlForm {
	f := &xmlForm{members: make(map[string]*xmlForm)}
	to, err := r.d.follow(s)
	if err != nil || depth > maxXMLDepth || r.left == 0 {
		return f
	}
	r.left--
	if s.value != to.value {
		f.name = to.pointer[strings.LastIndexByte(to.pointer, '/')+1:]
	}
	hint := to.value.Get("xml")
	if name := hint.GetText("name"); name != "" {
		f.name = name
	}
	f.attribute, f.wrapped = hint.True("attribute"), hint.True("wrapped")
	f.namespace, f.prefix = hint.GetText("namespace"), hint.GetText("prefix")
	if items := to.member("items"); items.value != nil {
		f.items = r.form(items, depth+1)
	}
	for i := range listed(to.value.Get("allOf")) {
		maps.Copy(f.members, r.form(to.member("allOf").element(i), depth+1).members)
	}
	properties := to.member("properties")
	for i, m := range members(properties.value) {
		inner := r.form(properties.nth(i), depth+1)
		if hinted := m.Value.Get("xml").GetText("name"); hinted == "" && inner.items == nil {
			inner.name = m.Key // the name of a referenced schema counts at the root only
		}
		f.members[m.Key] = inner
	}
	return f
}

// append writes v as the element name.
func (f *xmlForm) append(dst []byte, name string, v *schema.Value) []byte {
	if f == nil {
		f = &xmlForm{}
	}
	name = elementName(f.prefix, name)
	dst = append(append(dst, '<'), name...)
	if f.namespace != "" {
		attribute := "xmlns"
		if f.prefix != "" {
			attribute += ":" + elementName("", f.prefix)
		}
		dst = appendAttribute(dst, attribute, f.namespace)
	}
	for _, m := range members(v) {
		if inner := f.members[m.Key]; inner != nil && inner.attribute {
			dst = appendAttribute(dst, elementName(inner.prefix, orElse(inner.name, m.Key)), scalarText(m.Value))
		}
	}
	dst = append(dst, '>')
	switch v.Kind {
	case schema.Object:
		for _, m := range v.Members {
			if inner := f.members[m.Key]; inner == nil || !inner.attribute {
				dst = inner.member(dst, m.Key, m.Value)
			}
		}
	case schema.Array:
		for _, m := range v.Members {
			dst = f.items.append(dst, orElse(f.itemName(), "item"), m.Value)
		}
	default:
		dst = appendXMLText(dst, scalarText(v))
	}
	return append(append(append(dst, "</"...), name...), '>')
}

func (f *xmlForm) itemName() string {
	if f.items == nil {
		return ""
	}
	return f.items.name
}

// member writes a member of an object; a list that is not wrapped repeats its element.
func (f *xmlForm) member(dst []byte, key string, v *schema.Value) []byte {
	if f == nil {
		f = &xmlForm{}
	}
	name := orElse(f.name, key)
	if v.Kind != schema.Array {
		return f.append(dst, name, v)
	}
	if f.wrapped {
		inner := *f
		if inner.items == nil {
			inner.items = &xmlForm{}
		}
		if inner.items.name == "" {
			items := *inner.items
			items.name = name
			inner.items = &items
		}
		return inner.append(dst, name, v)
	}
	for _, m := range v.Members {
		dst = f.items.append(dst, orElse(f.itemName(), name), m.Value)
	}
	return dst
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// elementName keeps the characters that an XML name may have.
func elementName(prefix, name string) string {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r > 0x7f {
				return r
			}
			return '_'
		}, s)
	}
	name = clean(name)
	if name == "" || strings.IndexByte("-.0123456789", name[0]) >= 0 {
		name = "_" + name
	}
	if prefix != "" {
		return clean(prefix) + ":" + name
	}
	return name
}

func appendAttribute(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ' '), name...), `="`...)
	return append(appendXMLText(dst, value), '"')
}

func appendXMLText(dst []byte, s string) []byte {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer takes everything
	return append(dst, b.Bytes()...)
}
