package openapi

import (
	"strings"

	"weir/translate"
	"weir/translate/schema"
)

// alternative is a set of schemes that together let a request in. The empty set means that none is needed.
type alternative []translate.SecurityScheme

// alternatives are those of an operation, in the order of the description.
func (b *builder) alternatives(o *operation) []alternative {
	var all []alternative
	for i := range b.description.first(o.security, maxChoices) {
		at := o.security.element(i)
		if !at.is(schema.Object) {
			b.description.warn(at, "the security requirement is no object and is not used")
			continue
		}
		a := alternative{}
		for _, m := range at.value.Members {
			s, ok := b.scheme(at.member(m.Key), m.Key)
			if !ok {
				a = nil
				break
			}
			s.Scopes = m.Value.Strings()
			a = append(a, s)
		}
		if a != nil {
			all = append(all, a)
		}
	}
	return all
}

// schemes is where a description defines its security schemes.
func (b *builder) schemes() site {
	root := site{doc: b.description.main, value: b.description.main.root}
	if b.description.main.dialect == swagger2 {
		return root.member("securityDefinitions")
	}
	return root.member("components").member("securitySchemes")
}

// scheme reads one security scheme.
func (b *builder) scheme(at site, name string) (translate.SecurityScheme, bool) {
	to, err := b.description.follow(b.schemes().member(name))
	if err != nil || !to.is(schema.Object) {
		b.description.warn(at, "security scheme %q is not defined", name)
		return translate.SecurityScheme{}, false
	}
	v := to.value
	s := translate.SecurityScheme{Name: name, Type: v.GetText("type"), In: v.GetText("in"), Param: v.GetText("name")}
	switch s.Type {
	case "basic": // 2.0
		s.Type, s.HTTP = "http", "basic"
	case "http":
		s.HTTP = strings.ToLower(v.GetText("scheme"))
	case "openIdConnect":
		s.Discovery = v.GetText("openIdConnectUrl")
	case "oauth2":
		s.TokenURL = tokenURL(v)
	case "apiKey":
		if s.In == "header" && !token(s.Param) || strings.ContainsFunc(s.Param, isControl) || s.Param == "" {
			b.description.warn(to, "the name of the key is not one that can be sent")
			return s, false
		}
	case "mutualTLS":
	default:
		b.description.warn(to, "security type %q is unknown", s.Type)
		return s, false
	}
	return s, true
}

// tokenURL is that of the client credentials flow, or of any other that has one.
func tokenURL(v *schema.Value) string {
	flows := v.Get("flows")
	for _, name := range [...]string{"clientCredentials", "password", "authorizationCode"} {
		if u := flows.Get(name).GetText("tokenUrl"); u != "" {
			return u
		}
	}
	return v.GetText("tokenUrl")
}

// isCredential reports whether an argument stands where a configured credential goes.
func (b *builder) isCredential(a argument) bool {
	if a.place != inHeader && a.place != inQuery && a.place != inCookie {
		return false
	}
	for _, m := range members(b.schemes().value) {
		if m.Value.GetText("type") != "apiKey" || !b.configured(m.Key) {
			continue
		}
		in, name := m.Value.GetText("in"), m.Value.GetText("name")
		if in == "header" && a.place == inHeader && strings.EqualFold(name, a.wire) ||
			in == "query" && a.place == inQuery && name == a.wire || in == "cookie" && a.place == inCookie && name == a.wire {
			return true
		}
	}
	return false
}

// usableAlternative picks the first alternative all of whose schemes are configured; nil when requests go without.
func usableAlternative(all []alternative, configured func(string) bool) alternative {
	for _, a := range all {
		ready := true
		for _, s := range a {
			ready = ready && configured(s.Name)
		}
		if ready {
			return a
		}
	}
	return nil
}
