package schema

// Fit returns v as far as it fits output, a schema that [PublishResult] wrote: members and elements of other types than it names are left
// out. whole says that nothing was.
func Fit(v, output *Value) (fitted *Value, whole bool) {
	if fits(v, output) {
		return v, true
	}
	f := fitter{}
	fitted = f.fit(v, output)
	if fitted == nil {
		return Map(), false
	}
	return fitted, !f.lost
}

type fitter struct{ lost bool }

// fit returns nil when v is of no type that s takes.
func (f *fitter) fit(v, s *Value) *Value {
	if kind := s.Get("type"); kind != nil && declared(kind)&typeOf(v) == 0 && !wholeNumber(v, declared(kind)) {
		f.lost = true
		return nil
	}
	switch v.Kind {
	case Object:
		return f.object(v, s)
	case Array:
		items := s.Get("items")
		if !items.Is(Object) || len(items.Members) == 0 {
			return v
		}
		out := &Value{Kind: Array, Members: make([]Member, 0, len(v.Members))}
		for _, m := range v.Members {
			if e := f.fit(m.Value, items); e != nil {
				out.Members = append(out.Members, Member{Value: e})
			}
		}
		return out
	default:
		return v
	}
}

// wholeNumber reports whether v is an integer that is written with a fraction or exponent.
func wholeNumber(v *Value, t types) bool {
	return v.Kind == Number && t.has(typeInteger|typeNumber) && (t.has(typeNumber) || isWhole(v.Text))
}

func isWhole(literal string) bool {
	for i := range len(literal) {
		if c := literal[i]; c == '.' {
			for _, d := range literal[i+1:] {
				if d != '0' {
					return false
				}
			}
			return true
		} else if c == 'e' || c == 'E' {
			return false
		}
	}
	return true
}

func (f *fitter) object(v, s *Value) *Value {
	properties, others := s.Get("properties"), s.Get("additionalProperties")
	if properties == nil && !others.Is(Object) {
		return v
	}
	out := &Value{Kind: Object, Members: make([]Member, 0, len(v.Members))}
	for _, m := range v.Members {
		rule := properties.Get(m.Key)
		if rule == nil {
			rule = others
		}
		if rule.Is(Object) {
			if m.Value = f.fit(m.Value, rule); m.Value == nil {
				continue
			}
		}
		out.Members = append(out.Members, m)
	}
	return out
}

// fits reports whether fit would leave nothing out.
func fits(v, s *Value) bool {
	if kind := s.Get("type"); kind != nil && declared(kind)&typeOf(v) == 0 && !wholeNumber(v, declared(kind)) {
		return false
	}
	switch v.Kind {
	case Object:
		properties, others := s.Get("properties"), s.Get("additionalProperties")
		for _, m := range v.Members {
			rule := properties.Get(m.Key)
			if rule == nil {
				rule = others
			}
			if rule.Is(Object) && !fits(m.Value, rule) {
				return false
			}
		}
	case Array:
		items := s.Get("items")
		if !items.Is(Object) || len(items.Members) == 0 {
			return true
		}
		for _, m := range v.Members {
			if !fits(m.Value, items) {
				return false
			}
		}
	default:
	}
	return true
}
