package schema

import (
	"slices"
	"strings"
)

// refPrefix is how a [Full] schema refers to its definitions.
const refPrefix = "#/$defs/"

// Ref returns the reference to the definition name. Names are made of letters, digits, _, - and the dot, so that they need no escapes.
func Ref(name string) *Value { return Text(refPrefix + name) }

// Defs are named schemas that may refer to each other. They are filled while a description is read and only read afterwards.
type Defs struct {
	byName map[string]*Value
	secret bool
}

// MarkSecret notes that a definition, or a schema beside them, says of something that it is secret: by the format password, or by writeOnly.
func (d *Defs) MarkSecret() { d.secret = true }

// Secret reports whether any said so until now.
func (d *Defs) Secret() bool { return d != nil && d.secret }

// NewDefs returns an empty set.
func NewDefs() *Defs { return &Defs{byName: make(map[string]*Value)} }

// Add puts a definition under name, in place of one that is there.
func (d *Defs) Add(name string, v *Value) { d.byName[name] = v }

// Get returns the definition name, nil when there is none.
func (d *Defs) Get(name string) *Value {
	if d == nil {
		return nil
	}
	return d.byName[name]
}

// Names returns the names in order.
func (d *Defs) Names() []string {
	names := make([]string, 0, len(d.byName))
	for name := range d.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Target returns the name and the definition that v refers to, "" and nil when v has no reference or it leads nowhere.
func (d *Defs) Target(v *Value) (string, *Value) {
	ref := v.GetText("$ref")
	if ref == "" {
		return "", nil
	}
	name := strings.TrimPrefix(ref, refPrefix)
	return name, d.Get(name)
}

// Full is a lossless schema in JSON Schema 2020-12: whatever may stand in the root, with references into Defs.
type Full struct {
	Root *Value
	Defs *Defs
}

// Value returns the schema as one document: the root with those definitions under $defs that it reaches, in order of name.
func (f Full) Value() *Value { return f.document(f.reach()) }

func (f Full) document(reached []Member) *Value {
	if len(reached) == 0 {
		return f.Root
	}
	return Map(append(slices.Clip(f.Root.Members), Member{"$defs", Map(reached...)})...)
}

// reach returns the definitions that the root reaches, in order of name.
func (f Full) reach() []Member {
	var reached []Member
	seen := make(map[string]bool)
	pending := []*Value{f.Root}
	for len(pending) > 0 {
		v := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if name, target := f.Defs.Target(v); target != nil && !seen[name] {
			seen[name] = true
			reached = append(reached, Member{name, target})
			pending = append(pending, target)
		}
		subschemas(v, func(_ string, _ bool, sub *Value) { pending = append(pending, sub) })
	}
	slices.SortFunc(reached, func(a, b Member) int { return strings.Compare(a.Key, b.Key) })
	return reached
}

// near is the schema as a document of at most so many subschemas beside those of the root: a definition that is further away takes any value.
func (f Full) near(most int) *Value {
	reached := []Member{}
	seen := make(map[string]bool)
	pending := []*Value{f.Root}
	for ; len(pending) > 0; pending = pending[1:] {
		if name, target := f.Defs.Target(pending[0]); target != nil && !seen[name] {
			seen[name] = true
			if n := count(target, most); n <= most {
				most -= n
				pending = append(pending, target)
			} else {
				target = Map()
			}
			reached = append(reached, Member{name, target})
		}
		subschemas(pending[0], func(_ string, _ bool, sub *Value) { pending = append(pending, sub) })
	}
	slices.SortFunc(reached, func(a, b Member) int { return strings.Compare(a.Key, b.Key) })
	return f.document(reached)
}

// count is how many schemas v consists of, references not followed; it stops behind most.
func count(v *Value, most int) int {
	n := 1
	subschemas(v, func(_ string, _ bool, sub *Value) {
		if n <= most {
			n += count(sub, most-n)
		}
	})
	return n
}

// subschemas calls f for each schema that stands directly in v, and says whether it applies to the same place of the instance.
func subschemas(v *Value, f func(keyword string, inPlace bool, sub *Value)) {
	if !v.Is(Object) {
		return
	}
	for _, m := range v.Members {
		switch m.Key {
		case "not", "if", "then", "else":
			f(m.Key, true, m.Value)
		case "allOf", "anyOf", "oneOf", "dependentSchemas":
			for _, e := range m.Value.Members {
				f(m.Key, true, e.Value)
			}
		case "items", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "propertyNames", "contentSchema":
			f(m.Key, false, m.Value)
		case "properties", "patternProperties", "prefixItems":
			for _, e := range m.Value.Members {
				f(m.Key, false, e.Value)
			}
		}
	}
}

// OpenCycles finds references that lead back to where they stand without a step into the instance, which no validator can follow, and takes
// them out. It returns the names of the definitions that it changed; they must not be shared yet.
func (d *Defs) OpenCycles() []string {
	w := cycles{defs: d, state: make(map[string]int)}
	for _, name := range d.Names() {
		w.visit(name)
	}
	return w.opened
}

// cycles is a depth-first walk along the references that apply in place.
type cycles struct {
	defs   *Defs
	state  map[string]int // 1 on the path, 2 done
	opened []string
}

func (w *cycles) visit(name string) {
	w.state[name] = 1
	w.inPlace(name, w.defs.byName[name], 0)
	w.state[name] = 2
}

func (w *cycles) inPlace(owner string, v *Value, depth int) {
	if depth > maxLintDepth {
		return
	}
	if name, target := w.defs.Target(v); target != nil {
		switch w.state[name] {
		case 0:
			w.visit(name)
		case 1:
			w.opened = append(w.opened, owner)
			*v = *v.Without("$ref")
		}
	}
	subschemas(v, func(_ string, inPlace bool, sub *Value) {
		if inPlace {
			w.inPlace(owner, sub, depth+1)
		}
	})
}

// types is a set of JSON types.
type types uint8

const (
	typeNull types = 1 << iota
	typeBoolean
	typeInteger
	typeNumber // every number, integers too
	typeString
	typeArray
	typeObject
	anyType types = 1<<iota - 1
)

func (t types) has(u types) bool { return t&u != 0 }

// names returns the names in the order in which models read them best.
func (t types) names() []string {
	var names []string
	for _, n := range [...]struct {
		bit  types
		name string
	}{
		{typeString, "string"},
		{typeNumber, "number"},
		{typeInteger, "integer"},
		{typeBoolean, "boolean"},
		{typeObject, "object"},
		{typeArray, "array"},
		{typeNull, "null"},
	} {
		if t.has(n.bit) && (n.bit != typeInteger || !t.has(typeNumber)) {
			names = append(names, n.name)
		}
	}
	return names
}

func typeNamed(name string) types {
	switch name {
	case "null":
		return typeNull
	case "boolean":
		return typeBoolean
	case "integer":
		return typeInteger
	case "number":
		return typeInteger | typeNumber
	case "string":
		return typeString
	case "array":
		return typeArray
	case "object":
		return typeObject
	default:
		return 0
	}
}

// typeOf is the type of a value; a number that is written as an integer is one.
func typeOf(v *Value) types {
	if v.Is(Number) {
		if strings.ContainsAny(v.Text, ".eE") {
			return typeInteger | typeNumber
		}
		return typeInteger
	}
	return typeNamed(v.Kind.String())
}

const (
	// maxTypeDepth bounds how far types are looked for through references and combinators, maxTypeSteps how many schemas are looked at on the way.
	maxTypeDepth = 16
	maxTypeSteps = 4096
)

// typesOf returns the types that v lets through, as far as that can be told; more may be in the set than v takes, never fewer.
func (d *Defs) typesOf(v *Value) types {
	w := typeWalk{defs: d, left: maxTypeSteps}
	return w.of(v, 0)
}

// typeWalk looks for types until it has seen enough.
type typeWalk struct {
	defs *Defs
	left int
}

func (w *typeWalk) of(v *Value, depth int) types {
	if !v.Is(Object) || depth > maxTypeDepth || w.left == 0 {
		return anyType
	}
	w.left--
	t := anyType
	for _, m := range v.Members {
		switch m.Key {
		case "$ref":
			if _, target := w.defs.Target(v); target != nil {
				t &= w.of(target, depth+1)
			}
		case "type":
			t &= declared(m.Value)
		case "const":
			t &= typeOf(m.Value)
		case "enum":
			u := types(0)
			for _, e := range m.Value.Members {
				u |= typeOf(e.Value)
			}
			t &= u
		case "allOf":
			for _, e := range m.Value.Members {
				t &= w.of(e.Value, depth+1)
			}
		case "anyOf", "oneOf":
			u := types(0)
			for _, e := range m.Value.Members {
				u |= w.of(e.Value, depth+1)
			}
			t &= u
		}
	}
	if t == 0 {
		return anyType // a schema that nothing satisfies; what is published may be wider
	}
	return t
}

func declared(v *Value) types {
	if v.Is(String) {
		return typeNamed(v.Text)
	}
	t := types(0)
	for _, m := range v.Members {
		t |= typeNamed(m.Value.Text)
	}
	if t == 0 {
		return anyType
	}
	return t
}

// Types returns the names of the JSON types that v lets through, as far as that can be told; perhaps more, never fewer.
func (d *Defs) Types(v *Value) []string { return d.typesOf(v).names() }

// Allows reports whether v may let a value of the JSON type name through.
func (d *Defs) Allows(v *Value, name string) bool { return d.typesOf(v).has(typeNamed(name)) }

// Facets returns the schema objects that all apply where v does: v itself, what it refers to, and the parts of its allOf.
// Each is there once, however many ways lead to it.
func (d *Defs) Facets(v *Value) []*Value { return d.facets(nil, v, 0) }

func (d *Defs) facets(found []*Value, v *Value, depth int) []*Value {
	if !v.Is(Object) || depth > maxTypeDepth {
		return found
	}
	found = append(found, v)
	if _, target := d.Target(v); target != nil && !slices.Contains(found, target) {
		found = d.facets(found, target, depth+1)
	}
	for _, e := range v.Array("allOf") {
		if _, target := d.Target(e.Value); target != nil && len(e.Value.Members) == 1 && slices.Contains(found, target) {
			continue
		}
		found = d.facets(found, e.Value, depth+1)
	}
	return found
}

// First returns the value of a keyword in the first facet of v that has it.
func (d *Defs) First(v *Value, keyword string) *Value {
	for _, f := range d.Facets(v) {
		if k := f.Get(keyword); k != nil {
			return k
		}
	}
	return nil
}
