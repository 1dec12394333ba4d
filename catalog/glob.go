package catalog

import "unicode/utf8"

// Glob is a pattern over names: * stands for any run of characters, also none and also slashes; ? for exactly one character; everything
// else for itself. It matches whole names, case counts, and there is no escape. Configuration and policy use the same one.
type Glob string

// Match reports whether g matches all of name. It takes at most len(g) × len(name) steps.
func (g Glob) Match(name string) bool {
	p, n := 0, 0
	star, from := -1, 0 // the last * and where the text behind it is tried next
	for n < len(name) {
		r, size := utf8.DecodeRuneInString(name[n:])
		if p < len(g) && g[p] == '*' {
			star, from = p, n
			p++
			continue
		}
		if p < len(g) {
			want, width := utf8.DecodeRuneInString(string(g[p:]))
			if want == '?' || want == r && string(g[p:p+width]) == name[n:n+size] {
				p += width
				n += size
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, skip := utf8.DecodeRuneInString(name[from:])
		from += skip
		p, n = star+1, from
	}
	for p < len(g) && g[p] == '*' {
		p++
	}
	return p == len(g)
}
