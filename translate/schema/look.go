package schema

import "slices"

// look is what applies to one place of an instance, with references and allOf seen through.
type look struct {
	roots     []*Value // as they came
	facets    []*Value // every schema object that applies, outer ones first
	variants  [][]*Value
	types     types
	outer     int  // how much of the path was there before this place
	recursive bool // whether a definition is met again that is being written
}

// look gathers what applies; definitions that it goes through are put on the path.
func (p *publisher) look(facets []*Value) look {
	l := look{roots: facets, outer: len(p.path)}
	for _, f := range facets {
		p.gather(&l, f, 0)
	}
	return l
}

func (p *publisher) gather(l *look, v *Value, depth int) {
	if !v.Is(Object) || depth > maxTypeDepth {
		return
	}
	name, target := p.defs.Target(v)
	again := target != nil && slices.Contains(l.facets, target)
	if again && len(v.Members) == 1 {
		return
	}
	l.facets = append(l.facets, v)
	if target != nil && !again {
		if slices.Contains(p.path[:l.outer], name) {
			l.recursive = true
		}
		p.path = append(p.path, name)
		p.gather(l, target, depth+1)
	}
	for _, e := range v.Array("allOf") {
		p.gather(l, e.Value, depth+1)
	}
	for _, keyword := range [...]string{"anyOf", "oneOf"} {
		branches := v.Array(keyword)
		if len(branches) == 0 {
			continue
		}
		var typed []*Value
		for _, b := range branches {
			if b.Value.GetText("type") != "null" {
				typed = append(typed, b.Value)
			}
		}
		if len(typed) == 1 {
			from := len(l.variants)
			p.gather(l, typed[0], depth+1)
			for i := from; i < len(l.variants) && len(branches) > 1; i++ {
				l.variants[i] = append(slices.Clip(l.variants[i]), Map(Member{"type", Text("null")}))
			}
			continue
		}
		all := make([]*Value, len(branches))
		for i, b := range branches {
			all[i] = b.Value
		}
		l.variants = append(l.variants, all)
	}
}

// structured reports whether there is something inside that could be described.
func (l *look) structured() bool {
	if len(l.variants) > 0 {
		return true
	}
	return slices.ContainsFunc(l.facets, func(f *Value) bool {
		return f.Get("properties") != nil || f.Get("items") != nil || f.Get("additionalProperties").Is(Object) || f.Get("prefixItems") != nil
	})
}

// fields names the properties.
func (l *look) fields() []string {
	var names []string
	for _, f := range l.facets {
		for _, m := range f.Object("properties") {
			if !m.Value.Is(Bool) && (len(l.facets) == 1 || !slices.Contains(names, m.Key)) {
				names = append(names, m.Key)
			}
		}
	}
	return names
}

// first is the value of a keyword in the first facet that has it.
func (l *look) first(keyword string) *Value {
	for _, f := range l.facets {
		if v := f.Get(keyword); v != nil {
			return v
		}
	}
	return nil
}

func (l *look) many(keyword string) bool {
	n := 0
	for _, f := range l.facets {
		if f.Get(keyword) != nil {
			n++
		}
	}
	return n > 1
}

// enum is the enumeration of the first facet that has one, or its constant.
func (l *look) enum() []*Value {
	for _, f := range l.facets {
		if c := f.Get("const"); c != nil {
			return []*Value{c}
		}
		if e := f.Array("enum"); len(e) > 0 {
			values := make([]*Value, len(e))
			for i, m := range e {
				values[i] = m.Value
			}
			return values
		}
	}
	return nil
}

// properties returns the names in order and, for each, the schemas that apply to it.
func (l *look) properties() ([]string, map[string][]*Value) {
	var names []string
	facets := make(map[string][]*Value)
	for _, f := range l.facets {
		for _, m := range f.Object("properties") {
			if m.Value.Is(Bool) {
				continue
			}
			if _, ok := facets[m.Key]; !ok {
				names = append(names, m.Key)
			}
			facets[m.Key] = append(facets[m.Key], m.Value)
		}
	}
	return names, facets
}

// required returns the names that are required, in order and as a set.
func (l *look) required() (names []string, set map[string]bool) {
	set = make(map[string]bool)
	for _, f := range l.facets {
		for _, name := range f.Get("required").Strings() {
			if !set[name] {
				set[name] = true
				names = append(names, name)
			}
		}
	}
	return names, set
}

// closed returns the facet that closes the object when what is published can say so without refusing more than it does.
func (l *look) closed() *Value {
	var closing *Value
	shapes := 0
	for _, f := range l.facets {
		if f.Get("properties") != nil || f.Get("patternProperties") != nil || f.Get("additionalProperties") != nil {
			shapes++
		}
		if f.False("additionalProperties") && f.Get("patternProperties") == nil {
			closing = f
		}
	}
	if shapes != 1 {
		return nil
	}
	if closing != nil && slices.ContainsFunc(closing.Object("properties"), func(m Member) bool { return m.Value.Is(Bool) }) {
		return nil
	}
	return closing
}
