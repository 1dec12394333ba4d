package schema

import (
	"slices"
	"strconv"
	"strings"

	"weir/catalog/rawjson"
)

// cut says how much of a schema is published.
type cut struct {
	depth    int // steps into the instance that are described
	top      int // bytes of the description of an argument
	nested   int // bytes of a description below arguments
	enum     int // values of an enumeration
	variants int // branches of a combinator
	optional int // optional arguments that are kept; -1 for all
	rules    bool
}

// levels are the cuts in the order in which they are tried. Required arguments stay in all of them.
func levels() [11]cut {
	return [...]cut{
		{depth: 8, top: 600, nested: 300, enum: 64, variants: 10, optional: -1, rules: true},
		{depth: 6, top: 400, nested: 120, enum: 40, variants: 8, optional: -1, rules: true},
		{depth: 4, top: 300, nested: 80, enum: 24, variants: 6, optional: -1, rules: true},
		{depth: 3, top: 240, nested: 60, enum: 16, variants: 5, optional: -1},
		{depth: 2, top: 200, nested: 40, enum: 12, variants: 4, optional: -1},
		{depth: 1, top: 160, enum: 10, variants: 3, optional: -1},
		{depth: 1, top: 80, enum: 8, optional: -1},
		{depth: 1, top: 40, enum: 4, optional: -1},
		{depth: 1, top: 24, optional: 24},
		{depth: 1, optional: 8},
		{depth: 1},
	}
}

// Publish writes f, whose root is an object schema with properties, in the portable profile and in at most budget bytes: type object at the root
// and no combinator there, no reference, a type or typed combinator on every property, only keywords that every model provider takes.
// Whatever f accepts, the published schema accepts. Only the names and types of required arguments may take more than the budget. whole says that nothing but
// annotations was cut.
func Publish(f Full, budget int) (published []byte, whole bool) {
	p := publisher{defs: f.Defs, limit: budget}
	all := levels()
	for i, c := range all {
		p.cut, p.out, p.lost = c, p.out[:0], false
		if i == len(all)-1 {
			p.limit = 1 << 30
		}
		p.place([]*Value{f.Root}, 0)
		if len(p.out) <= p.limit {
			break
		}
	}
	return slices.Clone(p.out), !p.lost
}

// PublishResult writes the schema of a result, relaxed: types alone, null always among them, nothing required and nothing closed, because
// APIs break their own descriptions and clients refuse a whole result for it. It returns nil when even its shortest form exceeds budget.
func PublishResult(f Full, budget int) []byte {
	p := publisher{defs: f.Defs, limit: budget, relaxed: true}
	for _, c := range [...]cut{
		{depth: 6, top: 80, nested: 60, optional: -1},
		{depth: 4, top: 60, optional: -1},
		{depth: 3, optional: -1},
		{depth: 2, optional: -1},
		{depth: 1, optional: -1},
	} {
		p.cut, p.out = c, p.out[:0]
		p.place([]*Value{f.Root}, 0)
		if len(p.out) <= budget {
			return slices.Clone(p.out)
		}
	}
	return nil
}

// publisher writes one schema.
type publisher struct {
	defs    *Defs
	cut     cut
	limit   int // where writing stops
	out     []byte
	path    []string // definitions that are being written
	relaxed bool
	lost    bool // whether rules were left out
}

func (p *publisher) full() bool { return len(p.out) > p.limit }

func (p *publisher) raw(s string) { p.out = append(p.out, s...) }

func (p *publisher) key(name string) {
	if c := p.out[len(p.out)-1]; c != '{' && c != '[' {
		p.out = append(p.out, ',')
	}
	p.out = rawjson.AppendString(p.out, name)
	p.out = append(p.out, ':')
}

// place writes the schema of one place in the instance to which all of facets apply.
func (p *publisher) place(facets []*Value, depth int) {
	if p.full() {
		return
	}
	from := len(p.path)
	l := p.look(facets)
	p.raw("{")
	p.typesOf(&l, depth)
	structured := l.structured()
	cutHere := structured && depth > 0 && (depth >= p.cut.depth || l.recursive)
	description := p.description(&l, depth)
	if cutHere {
		p.lost = true
		description = p.hint(description, l.fields(), depth)
	}
	values := l.enum()
	if len(values) > p.cut.enum && !p.relaxed {
		p.lost = true
		description = p.examples(description, values, depth)
		values = nil
	}
	if !cutHere && len(l.variants) > 0 && len(l.variants[0]) > p.cut.variants && !p.relaxed {
		description = strings.Replace(p.hint(description, p.variantNames(l.variants[0]), depth), hasWord, "Variants: ", 1)
		if tag := p.tag(l.variants[0]); tag != nil {
			l.facets = append(l.facets, tag)
		}
	}
	if description != "" {
		p.key("description")
		p.out = rawjson.AppendString(p.out, description)
	}
	if !p.relaxed {
		p.values(values, &l)
		p.rules(&l)
	}
	if cutHere {
		p.elements(&l)
	} else {
		p.structure(&l, depth)
	}
	p.raw("}")
	p.path = p.path[:from]
}

// typesOf writes the type, unless a combinator that is written says more.
func (p *publisher) typesOf(l *look, depth int) {
	t := anyType
	for _, f := range l.roots {
		t &= p.defs.typesOf(f)
	}
	if t == 0 {
		t = anyType
	}
	if depth == 0 {
		t = typeObject
	} else if p.relaxed {
		t |= typeNull
	}
	l.types = t
	p.key("type")
	names := t.names()
	if len(names) == 1 {
		p.out = rawjson.AppendString(p.out, names[0])
		return
	}
	p.out = Texts(names...).Append(p.out)
}

// description is the first one that the facets have and the first comment, which says what no keyword can, cut to size.
func (p *publisher) description(l *look, depth int) string {
	limit := p.cut.nested
	if depth <= 1 {
		limit = p.cut.top
	}
	words := make([]string, 0, 2)
	for _, keyword := range [...]string{"description", "$comment"} {
		for _, f := range l.facets {
			if s := f.GetText(keyword); s != "" {
				words = append(words, s)
				break
			}
		}
	}
	return Shorten(strings.Join(words, " "), limit)
}

// hasWord stands in front of the names of what is left out.
const hasWord = "Has: "

// hint adds the names of what is left out to a description.
func (p *publisher) hint(description string, names []string, depth int) string {
	limit := p.cut.nested
	if depth <= 1 {
		limit = p.cut.top
	}
	if len(names) == 0 || limit < 40 {
		return description
	}
	room := max(limit-len(description), 40)
	var b strings.Builder
	if description != "" {
		b.WriteString(description + " ")
	}
	b.WriteString(hasWord)
	start := b.Len()
	for i, n := range names {
		if b.Len()-start+len(n) > room {
			b.WriteString(", and " + strconv.Itoa(len(names)-i) + " more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(n)
	}
	return b.String()
}

// examples adds the first values of an enumeration that is left out.
func (p *publisher) examples(description string, values []*Value, depth int) string {
	names := make([]string, 0, 12)
	for _, v := range values {
		if len(names) == cap(names) {
			break
		}
		names = append(names, v.Text)
	}
	if len(names) == 0 || p.cut.enum == 0 {
		return description
	}
	return strings.Replace(p.hint(description, names, depth), hasWord, "One of "+strconv.Itoa(len(values))+", e.g. ", 1)
}

// values writes an enumeration.
func (p *publisher) values(values []*Value, l *look) {
	if len(values) == 0 {
		return
	}
	if l.types.has(typeNull) && !slices.ContainsFunc(values, func(v *Value) bool { return v.Is(Null) }) {
		values = append(slices.Clip(values), &Value{})
	}
	p.key("enum")
	p.out = List(values...).Append(p.out)
}

// rules writes what limits single values.
func (p *publisher) rules(l *look) {
	for _, keyword := range [...]string{
		"default", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
		"minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems",
	} {
		v := l.first(keyword)
		if v == nil {
			continue
		}
		switch keyword {
		case "default":
			if v.Is(Object) || v.Is(Array) || len(v.Text) > 80 || !p.cut.rules {
				continue
			}
		case "format":
			if !wellKnownFormat(v.Text) {
				continue
			}
		case "minItems", "maxItems", "minimum", "maximum":
		default:
			if !p.cut.rules || len(v.Text) > 120 {
				p.lost = true
				continue
			}
		}
		p.key(keyword)
		p.out = v.Append(p.out)
	}
}

func wellKnownFormat(s string) bool {
	switch s {
	case "date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid":
		return true
	}
	return false
}

// structure writes what is inside: properties, elements, alternatives.
func (p *publisher) structure(l *look, depth int) {
	if l.types.has(typeObject) {
		p.properties(l, depth)
	}
	if l.types.has(typeArray) {
		p.items(l, depth)
	}
	if len(l.variants) == 0 || p.relaxed || plainBranches(l.variants[0]) {
		return
	}
	if len(l.variants) > 1 || len(l.variants[0]) > p.cut.variants {
		p.lost = true
	}
	if len(l.variants[0]) > p.cut.variants || depth == 0 {
		return
	}
	p.key("anyOf")
	p.raw("[")
	for i, branch := range l.variants[0] {
		if i > 0 {
			p.raw(",")
		}
		p.place([]*Value{branch}, depth)
	}
	p.raw("]")
}

// elements writes the types of the elements of an array of which nothing else is told: providers refuse arrays without.
func (p *publisher) elements(l *look) {
	if !l.types.has(typeArray) {
		return
	}
	t := anyType
	for _, f := range l.facets {
		if items := f.Get("items"); items.Is(Object) {
			t &= p.defs.typesOf(items)
		}
	}
	p.key("items")
	p.raw("{")
	if t != 0 && t != anyType {
		if p.relaxed {
			t |= typeNull
		}
		p.key("type")
		names := t.names()
		if len(names) == 1 {
			p.out = rawjson.AppendString(p.out, names[0])
		} else {
			p.out = Texts(names...).Append(p.out)
		}
	}
	p.raw("}")
}

// plainBranches reports whether alternatives differ in nothing but what the types say that stand beside them.
func plainBranches(branches []*Value) bool {
	for _, b := range branches {
		for _, m := range b.Members {
			switch m.Key {
			case "type", "description", "examples", "default", "maxLength", "format":
			default:
				return false
			}
		}
		if b.GetText("type") == "object" || b.GetText("type") == "array" {
			return false
		}
	}
	return true
}

func (p *publisher) items(l *look, depth int) {
	if l.first("prefixItems") != nil {
		p.lost = true
		p.key("items")
		p.raw("{}")
		return
	}
	var facets []*Value
	for _, f := range l.facets {
		if items := f.Get("items"); items.Is(Object) {
			facets = append(facets, items)
		}
	}
	p.key("items")
	if len(facets) == 0 {
		p.raw("{}")
		return
	}
	p.place(facets, depth+1)
}

// properties writes the members of an object and which of them are required.
func (p *publisher) properties(l *look, depth int) {
	names, facets := l.properties()
	required, must := l.required()
	closed := l.closed()
	if len(names) == 0 && (depth > 0 || closed == nil) {
		if values := l.first("additionalProperties"); values.Is(Object) && len(values.Members) > 0 && l.first("patternProperties") == nil && !l.many("additionalProperties") {
			p.key("additionalProperties")
			p.place([]*Value{values}, depth+1)
		}
		if depth > 0 {
			return
		}
	}
	p.key("properties")
	p.raw("{")
	left := p.cut.optional
	for _, name := range names {
		if left == 0 && depth == 0 && !must[name] {
			p.lost, closed = true, nil
			continue
		}
		if depth == 0 && !must[name] {
			left--
		}
		p.key(name)
		p.place(facets[name], depth+1)
	}
	if !p.relaxed {
		for _, name := range required {
			if _, ok := facets[name]; !ok {
				p.key(name)
				p.place([]*Value{Map()}, depth+1)
			}
		}
	}
	p.raw("}")
	if p.relaxed {
		return
	}
	if len(required) > 0 {
		p.key("required")
		p.out = Texts(required...).Append(p.out)
	}
	if closed != nil {
		p.key("additionalProperties")
		p.raw("false")
	}
}
