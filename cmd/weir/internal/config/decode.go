package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/server/authn"
	"weir/translate"
	"weir/upstream/process"
)

// reader is one pass over one file. It collects what is wrong and goes on.
type reader struct {
	src      *source
	expand   *Expander
	lacks    func(process.Sandbox) string
	client   bool // a client's own file: what weir does not know there is the client's business
	section  *Section
	problems Problems
	warnings Problems
}

func (r *reader) problem(at span, format string, args ...any) {
	r.problems = append(r.problems, r.src.problem(at, fmt.Sprintf(format, args...)))
}

func (r *reader) warn(at span, format string, args ...any) {
	r.warnings = append(r.warnings, r.src.problem(at, fmt.Sprintf(format, args...)))
}

// field is a struct field that a key of the file fills.
type field struct {
	key   string
	owner reflect.Type
	index []int
}

// fieldsOf lists the fields of t that carry a yaml tag, inlined structs included.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, sub := range fieldsOf(f.Type) {
				sub.index = append([]int{i}, sub.index...)
				fields = append(fields, sub)
			}
		case key != "" && key != "-":
			fields = append(fields, field{key: key, owner: t, index: []int{i}})
		}
	}
	return fields
}

// keysOf lists the keys that fill a struct of type t.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// structure fills the struct v from n. path names n in messages, "" at the top.
func (r *reader) structure(n *node, v reflect.Value, path string) {
	if n.kind != object {
		r.mismatch(n, path, "a mapping")
		return
	}
	fields := fieldsOf(v.Type())
	r.duplicates(n, path)
	for i, m := range n.members {
		at := slices.IndexFunc(fields, func(f field) bool { return f.key == m.key.text })
		switch {
		case path == "" && m.key.text == "$schema": // for editors
		case at < 0:
			r.unknown(m.key, keysOf(v.Type()), path)
		case n.member(m.key.text) != &n.members[i] || m.value.kind == null:
			// A repeated key is reported already; a key without value leaves the default.
		default:
			r.section.note(join(path, m.key.text), m)
			r.value(m.value, v.FieldByIndex(fields[at].index), join(path, m.key.text), fields[at])
		}
	}
}

// duplicates reports keys that stand twice in n.
func (r *reader) duplicates(n *node, path string) {
	first := make(map[string]*node, len(n.members))
	for _, m := range n.members {
		if before, ok := first[m.key.text]; ok {
			line, _ := r.src.place(before.at.start)
			r.problem(m.key.at, "%q stands twice%s; the first is in line %d", m.key.text, in(path), line)
			continue
		}
		first[m.key.text] = m.key
	}
}

// unknown reports a key that nothing takes.
func (r *reader) unknown(key *node, known []string, path string) {
	if r.client {
		r.warn(key.at, "%q%s means nothing to weir; left to its client", key.text, in(path))
		return
	}
	hint := ""
	if near := Nearest(key.text, known); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	r.problem(key.at, "unknown field %q%s%s", key.text, in(path), hint)
}

// mismatch reports a value of the wrong kind. The value is quoted only where it cannot be a secret.
func (r *reader) mismatch(n *node, path, want string) {
	got := string(n.kind)
	key := path[strings.LastIndexByte(path, '.')+1:]
	if n.scalar() && n.kind != null && isShown(key) && len(n.text) <= 40 {
		got = strconv.Quote(n.text)
		if n.kind != text {
			got = n.text
		}
	}
	if path == "" {
		path = "the file"
	}
	r.problem(n.at, "%s: want %s, got %s", path, want, got)
}

// value fills v, one field or one element of it.
func (r *reader) value(n *node, v reflect.Value, path string, f field) {
	switch {
	case v.Type() == reflect.TypeFor[Upstreams]():
		r.upstreams(n, v.Addr().Interface().(*Upstreams), path) //nolint:errcheck // the type was compared in the line above
	case v.Type() == reflect.TypeFor[time.Duration]():
		r.duration(n, v, path, f)
	case v.Type() == reflect.TypeFor[translate.Literal]():
		v.Set(reflect.ValueOf(translate.Literal{Value: r.literal(n)}))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, v.Elem(), path, f)
	case v.Kind() == reflect.Struct:
		r.structure(n, v, path)
	case v.Kind() == reflect.String:
		r.str(n, v, path, f)
	case v.Kind() == reflect.Bool:
		if n.kind != boolean {
			r.mismatch(n, path, "true or false")
			return
		}
		v.SetBool(strings.EqualFold(n.text, "true"))
	case v.Kind() == reflect.Int64:
		r.size(n, v, path)
	case v.Kind() == reflect.Int:
		i, err := strconv.Atoi(n.text)
		if n.kind != number || err != nil || i < 0 {
			r.mismatch(n, path, "a whole number")
			return
		}
		v.SetInt(int64(i))
	case v.Kind() == reflect.Float64: // a share of something
		x, err := strconv.ParseFloat(n.text, 64)
		if n.kind != number || err != nil || x < 0 || x > 1 {
			r.mismatch(n, path, "a number from 0 to 1")
			return
		}
		v.SetFloat(x)
	case v.Kind() == reflect.Slice:
		r.slice(n, v, path, f)
	case v.Kind() == reflect.Map:
		r.mapping(n, v, path, f)
	}
}

func (r *reader) str(n *node, v reflect.Value, path string, f field) {
	if values := enum(f); values != nil {
		if n.kind != text || !slices.Contains(values, n.text) {
			r.choice(n, path, values)
			return
		}
		v.SetString(n.text)
		return
	}
	switch n.kind {
	case text:
		if isPolicy(path) && strings.Contains(n.text, "${") {
			r.problem(n.at, "%s: ${...} does not work in the policy: it must say the same wherever it is read", path)
		} else if !isPolicy(path) {
			r.references(n)
		}
		v.SetString(n.text)
	case number, boolean:
		r.problem(n.at, "%s: want text, got %s; put it in quotes", path, n.kind)
	default:
		r.mismatch(n, path, "text")
	}
}

// choice reports a value that is none of those that are allowed.
func (r *reader) choice(n *node, path string, values []string) {
	want := "one of " + strings.Join(values, ", ")
	if near := Nearest(n.text, values); n.kind == text && near != "" {
		r.problem(n.at, "%s: want %s, got %q; did you mean %q?", path, want, n.text, near)
		return
	}
	r.mismatch(n, path, want)
}

func (r *reader) slice(n *node, v reflect.Value, path string, f field) {
	if n.kind == object && v.Type() == reflect.TypeFor[[]authn.Issuer]() { // the usual one needs no list
		n = &node{kind: list, items: []*node{n}, at: n.at}
	}
	if n.kind != list {
		r.mismatch(n, path, "a list")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, e := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.section.noteAt(at, e.at)
		r.value(e, out.Index(i), at, f)
	}
	v.Set(out)
}

func (r *reader) mapping(n *node, v reflect.Value, path string, f field) {
	if n.kind != object {
		r.mismatch(n, path, "a mapping")
		return
	}
	r.duplicates(n, path)
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.members)))
	for _, m := range n.members {
		e := reflect.New(v.Type().Elem()).Elem()
		r.section.note(join(path, m.key.text), m)
		r.value(m.value, e, join(path, m.key.text), f)
		v.SetMapIndex(reflect.ValueOf(m.key.text).Convert(v.Type().Key()), e)
	}
}

// never is the value of a duration that stands for one that does not end; see [orNever].
const never = "never"

// orNever reports whether a duration may be never, which is negative then.
func orNever(f field) bool { return f.owner == reflect.TypeFor[translate.Spec]() && f.key == "refresh" }

func (r *reader) duration(n *node, v reflect.Value, path string, f field) {
	d, err := time.ParseDuration(n.text)
	switch {
	case n.kind == text && n.text == never && orNever(f):
		v.SetInt(-1)
	case n.kind == text && err == nil && d >= 0:
		v.SetInt(int64(d))
	case n.kind == number:
		r.problem(n.at, "%s: want a duration with its unit, got %s; did you mean %ss?", path, n.text, n.text)
	case orNever(f):
		r.mismatch(n, path, `a duration such as 30s, 5m or 1h30m, or never`)
	default:
		r.mismatch(n, path, `a duration such as 30s, 5m or 1h30m`)
	}
}

func (r *reader) size(n *node, v reflect.Value, path string) {
	i, ok := parseSize(n.text)
	if (n.kind != text && n.kind != number) || !ok {
		r.mismatch(n, path, "a size such as 64MiB, or a number of bytes")
		return
	}
	v.SetInt(i)
}

// parseSize reads a number of bytes, with an optional unit: kB, MB, GB count in thousands, KiB, MiB, GiB in 1024s.
func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ")
	i, err := strconv.ParseInt(digits, 10, 64)
	unit, ok := int64(0), true
	switch strings.TrimLeft(s[len(digits):], " ") {
	case "", "B":
		unit = 1
	case "kB", "KB":
		unit = 1e3
	case "MB":
		unit = 1e6
	case "GB":
		unit = 1e9
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	default:
		ok = false
	}
	if err != nil || !ok || i < 0 || i > (1<<62)/unit {
		return 0, false
	}
	return i * unit, true
}

// join extends a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// in says where a key stands, for messages.
func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}
