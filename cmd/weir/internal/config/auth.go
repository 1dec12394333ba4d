package config

import (
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// checkAuth reports what is wrong with how callers sign in.
func (r *reader) checkAuth(root *node, file *File) {
	m := root.member("auth")
	spec, err := Resolved(r.expand, file.Auth)
	if m == nil || m.value.kind != object || err != nil { // a reference that does not resolve is reported where it stands
		return
	}
	switch {
	case !spec.Asked():
		r.problem(m.key.at, "auth: names no way to sign in; write oidc, apiKeys or certificates, or remove it")
	case file.Server.InsecureNoAuth:
		r.problem(root.member("insecureNoAuth").key.at, "insecureNoAuth: does nothing beside auth; remove one")
	}
	if file.Policy.IsZero() {
		r.warn(m.key.at, "auth: without policy, who signs in may use nothing; write policy (weir help config)")
	}
	for _, f := range spec.Faults() {
		at := m.value.place(f.Path, m.key.at)
		line, column := r.src.place(at.start)
		if !slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Line == line && p.Column == column }) { // it has a reason already
			r.problem(at, "auth.%s: %s", f.Path, f.Msg)
		}
	}
	cert, ca := spec.Certificates.Name != "", file.Server.TLS.ClientCA != ""
	if cert && !ca {
		r.problem(m.value.place("certificates", m.key.at), "auth.certificates: needs tls.clientCA, which says whose certificates are good")
	}
	if host, _, err := net.SplitHostPort(file.Server.Listen); err == nil && spec.Resource == "" && len(spec.OIDC) > 0 && anyAddress(host) {
		r.problem(m.key.at, "auth.resource: is missing; listen names no address that clients could know")
	}
}

// checkTLS reports what is missing for HTTPS.
func (r *reader) checkTLS(root *node, file *File) {
	m := root.member("tls")
	if m == nil || m.value.kind != object {
		return
	}
	if t := file.Server.TLS; t.Cert == "" || t.Key == "" {
		r.problem(m.key.at, "tls: needs cert and key")
	}
	if file.Server.TLS.ClientCA != "" && file.Auth.Certificates.Name == "" {
		r.problem(m.value.member("clientCA").key.at, "tls.clientCA: does nothing without auth.certificates, which says who the certificates' owners are")
	}
}

// anyAddress reports whether a listen host stands for every address of this machine.
func anyAddress(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// place is where the value at a path such as oidc[0].issuer stands, or what it is a part of; fallback when nothing of it does.
func (n *node) place(path string, fallback span) span {
	at := fallback
	for _, step := range strings.FieldsFunc(path, func(c rune) bool { return c == '.' || c == '[' || c == ']' }) {
		index, err := strconv.Atoi(step)
		switch {
		case n == nil:
			return at
		case err == nil && n.kind == list && index < len(n.items):
			n = n.items[index]
			at = n.at
		case err == nil && index == 0 && n.kind == object: // one that stands without its list
		default:
			m := n.member(step)
			if m == nil {
				return at
			}
			n, at = m.value, m.key.at
			if n.scalar() {
				at = n.at
			}
		}
	}
	return at
}

// Resolved returns a copy of a section with the references in its texts resolved.
func Resolved[T any](e *Expander, section T) (T, error) {
	v := reflect.New(reflect.TypeFor[T]()).Elem()
	err := e.resolveInto(v, reflect.ValueOf(section))
	return v.Interface().(T), err //nolint:errcheck,forcetypeassert // it was made with this type
}

// resolveInto makes to what from is, resolved. Nothing of from is shared but what has no texts.
func (e *Expander) resolveInto(to, from reflect.Value) error {
	switch from.Kind() {
	case reflect.String:
		text, err := e.Expand(from.String())
		to.SetString(text)
		return err
	case reflect.Struct:
		to.Set(from)
		for i := range from.NumField() {
			if err := e.resolveInto(to.Field(i), from.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			if err := e.resolveInto(to.Index(i), from.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
		for _, key := range from.MapKeys() {
			value := reflect.New(from.Type().Elem()).Elem()
			if err := e.resolveInto(value, from.MapIndex(key)); err != nil {
				return err
			}
			to.SetMapIndex(key, value)
		}
	default:
		to.Set(from)
	}
	return nil
}
