package rawjson

// Edit replaces the bytes of Span by With. An Edit with Start==End inserts.
type Edit struct {
	Span
	With []byte
}

// Splice appends data[within] to dst with edits applied. Offsets are those of data; edits must lie inside within, sorted
// by Start, without overlap. Every other byte is kept. dst must not overlap data.
func Splice(dst, data []byte, within Span, edits ...Edit) []byte {
	from := within.Start
	for _, e := range edits {
		dst = append(dst, data[from:e.Start]...)
		dst = append(dst, e.With...)
		from = e.End
	}
	return append(dst, data[from:within.End]...)
}

// Member is one member to add to an object: a plain key, which AppendObject quotes and escapes, and its raw JSON value
// (none at all counts as null).
type Member struct {
	Key   string
	Value []byte
}

// AppendObject appends obj to dst without the members whose key drop names, then with extra at its end. Kept members
// keep their bytes and order. A member of obj whose key is one of extra is dropped as well, so that extra replaces it.
//
// obj is an object that was accepted before; nil, and anything that is not an object, means {}. drop may be nil; its
// argument is unescaped and valid only during the call. dst must not overlap obj.
func AppendObject(dst, obj []byte, drop func(key []byte) bool, extra ...Member) []byte {
	dst = append(dst, '{')
	base := len(dst)
	dst = appendKept(dst, obj, drop, extra)
	for _, m := range extra {
		if len(dst) > base {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, m.Key)
		dst = append(dst, ':')
		if len(m.Value) == 0 {
			dst = append(dst, "null"...)
		}
		dst = append(dst, m.Value...)
	}
	return append(dst, '}')
}

// appendKept appends the members of obj that stay, without the braces.
func appendKept(dst, obj []byte, drop func(key []byte) bool, extra []Member) []byte {
	if len(obj) == 0 {
		return dst
	}
	base := len(dst)
	var run Span // kept members that have not been copied yet
	err := Members(obj, func(key []byte, member, _ Span) bool {
		if drop != nil && drop(key) || replaced(key, extra) {
			dst = appendRun(dst, base, obj, run)
			run = Span{}
			return true
		}
		if run.Absent() {
			run.Start = member.Start
		}
		run.End = member.End
		return true
	})
	if err != nil {
		return dst[:base]
	}
	return appendRun(dst, base, obj, run)
}

func replaced(key []byte, extra []Member) bool {
	for i := range extra {
		if string(key) == extra[i].Key {
			return true
		}
	}
	return false
}

// appendRun appends the members in run, with a comma first when dst has members since base.
func appendRun(dst []byte, base int, obj []byte, run Span) []byte {
	if run.Absent() {
		return dst
	}
	if len(dst) > base {
		dst = append(dst, ',')
	}
	return append(dst, run.Of(obj)...)
}

// Compact appends src to dst without its insignificant white space. Strings keep their bytes, except that a raw control
// character, which no accepted value has, becomes an escape: what Compact appends has no line break, whatever src is. dst
// must not overlap src, except that it may be src[:0] when src is accepted: then nothing grows.
func Compact(dst, src []byte) []byte {
	from := 0
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case c == '"':
			dst, from, i = compactString(dst, src, from, i)
		case c <= ' ' && isSpace(c):
			dst = append(dst, src[from:i]...)
			for i < len(src) && isSpace(src[i]) {
				i++
			}
			from = i
		default:
			i++
		}
	}
	return append(dst, src[from:]...)
}

// compactString finds the end of the string whose quote is at i and returns it as next. src[from:i] is not copied yet.
func compactString(dst, src []byte, from, i int) (_ []byte, newFrom, next int) {
	for i++; ; {
		i, _ = run(src, i)
		if i >= len(src) {
			return dst, from, len(src)
		}
		switch c := src[i]; {
		case c == '"':
			return dst, from, i + 1
		case c == '\\' && i+1 < len(src) && src[i+1] >= ' ':
			i += 2
		case c < ' ':
			dst = append(dst, src[from:i]...)
			dst = appendEscape(dst, c)
			i++
			from = i
		default: // a backslash before a control character or the end
			i++
		}
	}
}
