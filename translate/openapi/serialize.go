package openapi

import (
	"strings"

	"weir/translate/schema"
)

// escaper appends a value in the form of its place.
type escaper func(dst []byte, s string) []byte

func verbatim(dst []byte, s string) []byte { return append(dst, s...) }

// scalarText is the text of a single value; arrays and objects inside others become JSON, since no style says how to write them.
func scalarText(v *schema.Value) string {
	switch {
	case v == nil || v.Kind == schema.Null:
		return ""
	case v.Kind == schema.Array || v.Kind == schema.Object:
		return v.JSON()
	case v.Kind == schema.Number:
		return plainNumber(v.Text)
	default:
		return v.Text
	}
}

// plainNumber writes 3.0 as 3: both are the same number, and a path or query knows no types.
func plainNumber(literal string) string {
	if whole, fraction, ok := strings.Cut(literal, "."); ok && strings.Trim(fraction, "0") == "" {
		return whole
	}
	return literal
}

// flatten lists what an array or object contributes: values, or names and values alternating.
func flatten(v *schema.Value) []string {
	var parts []string
	for _, m := range v.Members {
		if m.Value.Is(schema.Null) {
			continue
		}
		if v.Kind == schema.Object {
			parts = append(parts, m.Key)
		}
		parts = append(parts, scalarText(m.Value))
	}
	return parts
}

func join(dst []byte, parts []string, separator string, escape escaper) []byte {
	for i, p := range parts {
		if i > 0 {
			dst = append(dst, separator...)
		}
		dst = escape(dst, p)
	}
	return dst
}

// pairs appends name=value for each member of an object.
func pairs(dst []byte, v *schema.Value, prefix, separator string, escape escaper) []byte {
	first := true
	for _, m := range v.Members {
		if m.Value.Is(schema.Null) {
			continue
		}
		if !first {
			dst = append(dst, separator...)
		}
		first = false
		dst = append(dst, prefix...)
		dst = append(escape(dst, m.Key), '=')
		dst = escape(dst, scalarText(m.Value))
	}
	return dst
}

// appendSimple writes style simple: of paths and headers.
func appendSimple(dst []byte, v *schema.Value, explode bool, escape escaper) []byte {
	switch {
	case v.Kind == schema.Object && explode:
		return pairs(dst, v, "", ",", escape)
	case v.Kind == schema.Object || v.Kind == schema.Array:
		return join(dst, flatten(v), ",", escape)
	default:
		return escape(dst, scalarText(v))
	}
}

// appendLabel writes style label: .a.b
func appendLabel(dst []byte, v *schema.Value, explode bool) []byte {
	dst = append(dst, '.')
	switch {
	case v.Kind == schema.Object && explode:
		return pairs(dst, v, "", ".", appendEscaped)
	case v.Kind == schema.Array && explode:
		return join(dst, flatten(v), ".", appendEscaped)
	default:
		return appendSimple(dst, v, false, appendEscaped)
	}
}

// appendMatrix writes style matrix: ;name=a
func appendMatrix(dst []byte, name string, v *schema.Value, explode bool) []byte {
	switch {
	case v.Kind == schema.Object && explode:
		return pairs(dst, v, ";", "", appendEscaped)
	case v.Kind == schema.Array && explode:
		for _, part := range flatten(v) {
			dst = appendMatrix(dst, name, schema.Text(part), false)
		}
		return dst
	}
	dst = appendEscaped(append(dst, ';'), name)
	if text := scalarText(v); text == "" && v.Kind != schema.Array && v.Kind != schema.Object {
		return dst
	}
	return appendSimple(append(dst, '='), v, false, appendEscaped)
}

// pathValue writes a path parameter.
func pathValue(name string, s style, v *schema.Value) string {
	switch {
	case s.media != "":
		return string(appendEscaped(nil, v.JSON()))
	case s.name == "label":
		return string(appendLabel(nil, v, s.explode))
	case s.name == "matrix":
		return string(appendMatrix(nil, name, v, s.explode))
	default:
		return string(appendSimple(nil, v, s.explode, appendEscaped))
	}
}

// query writes the pairs of a query or form.
type query struct {
	out       []byte
	separator string // between pairs: & or, in cookies, "; "
	arrays    string // how nested arrays are written: index, brackets or repeat
	escape    escaper
}

func newQuery(arrays string) query {
	return query{separator: "&", arrays: arrays, escape: appendEscaped}
}

func (q *query) name(name string) {
	if len(q.out) > 0 {
		q.out = append(q.out, q.separator...)
	}
	q.out = appendEscaped(q.out, name)
	q.out = append(q.out, '=')
}

func (q *query) pair(name, value string) {
	q.name(name)
	q.out = q.escape(q.out, value)
}

// add writes one parameter. Null means that it is absent.
func (q *query) add(name string, s style, v *schema.Value) {
	if v.Is(schema.Null) {
		return
	}
	if s.reserved {
		q.escape = appendReserved
		defer func() { q.escape = appendEscaped }()
	}
	container := v.Kind == schema.Array || v.Kind == schema.Object
	switch {
	case s.media != "":
		q.content(name, s.media, v)
	case !container:
		q.pair(name, scalarText(v))
	case s.name == "deepObject":
		q.deep(name, v)
	case v.Kind == schema.Array && s.explode:
		for _, part := range flatten(v) {
			q.pair(name, part)
		}
	case v.Kind == schema.Object && s.explode:
		for _, m := range v.Members {
			q.member(m.Key, m.Value)
		}
	default:
		if parts := flatten(v); len(parts) > 0 {
			q.name(name)
			q.out = join(q.out, parts, delimiter(s.name), q.escape)
		}
	}
}

// member writes a member of an exploded object. An array in it has no style of its own; it is written like one.
func (q *query) member(name string, v *schema.Value) {
	switch {
	case v.Is(schema.Null):
	case v.Kind == schema.Array:
		for _, part := range flatten(v) {
			q.pair(name, part)
		}
	default:
		q.pair(name, scalarText(v))
	}
}

func delimiter(style string) string {
	switch style {
	case "spaceDelimited":
		return "%20"
	case "pipeDelimited":
		return "%7C"
	case "tabDelimited":
		return "%09"
	default:
		return ","
	}
}

// deep writes name[a][b]=c. The specification leaves arrays open: they are written by q.arrays.
func (q *query) deep(name string, v *schema.Value) {
	switch v.Kind {
	case schema.Object:
		for _, m := range v.Members {
			q.deep(name+"["+m.Key+"]", m.Value)
		}
	case schema.Array:
		for i, m := range v.Members {
			switch q.arrays {
			case "repeat":
				q.deep(name, m.Value)
			case "brackets":
				q.deep(name+"[]", m.Value)
			default:
				q.deep(name+"["+schema.Int(i).Text+"]", m.Value)
			}
		}
	case schema.Null:
		q.pair(name, "")
	default:
		q.pair(name, scalarText(v))
	}
}

// content writes a value in a media type.
func (q *query) content(name, media string, v *schema.Value) {
	text := v.JSON()
	if v.Kind == schema.String && kindOf(media) != mediaJSON {
		text = v.Text
	}
	q.pair(name, text)
}

// formField writes a member of an urlencoded body: by its encoding, else arrays repeat and objects are JSON (OpenAPI 3.1, section 4.8.15).
func (q *query) formField(name string, s style, v *schema.Value) {
	switch {
	case s.name != "":
		q.emptyContainer(name, s, v)
	case s.media != "" && kindOf(s.media) == mediaJSON:
		q.pair(name, v.JSON())
	case v.Kind == schema.Array:
		q.emptyContainer(name, style{name: "form", explode: true}, v)
	case v.Kind == schema.Null:
		q.pair(name, "")
	default:
		q.pair(name, scalarText(v))
	}
}

// emptyContainer writes v; an empty list or object becomes an empty text, which is how forms unset things.
func (q *query) emptyContainer(name string, s style, v *schema.Value) {
	if (v.Kind == schema.Array || v.Kind == schema.Object) && len(v.Members) == 0 || v.Kind == schema.Null {
		q.pair(name, "")
		return
	}
	s.media = ""
	q.add(name, s, v)
}
