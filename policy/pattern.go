package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"weir/catalog"
)

// pattern is what a rule says about Refs, the one matcher of policy: UPSTREAM/NAME, cut at the first slash.
//
//   - UPSTREAM is a [catalog.Glob] over the upstream's whole name. Names of upstreams have no slash, so * never leaves this part.
//   - NAME * alone (or **) is everything of the upstream: tools, prompts, resources.
//   - For the name of a tool or prompt, NAME is a [catalog.Glob] over all of it.
//   - For a URI (a resource or template: a name with a scheme), * and ? stay within one segment, they never match a slash; ** matches any
//     run of characters. So "*/get_*" matches no resource, whatever its path, and "files/file:///docs/*" no file deeper down.
//   - The pattern * alone is */*.
type pattern struct {
	text     string
	upstream string // glob
	name     string // glob
	// What is known beforehand, so that entries are found by search.
	plainUpstream bool   // upstream has no wildcard
	plainName     bool   // name has no wildcard
	all           bool   // name is everything
	prefix        string // of name, up to its first wildcard
}

// parsePattern reads a pattern.
func parsePattern(text string) (pattern, error) {
	if text == "*" {
		p := newPattern("*", "*")
		p.text = text
		return p, nil
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, hidden) || strings.TrimSpace(text) != text {
		return pattern{}, fmt.Errorf("pattern %q holds a character that does not show", text)
	}
	upstream, name, ok := strings.Cut(text, "/")
	switch {
	case !ok && strings.Contains(text, "__"):
		return pattern{}, fmt.Errorf("pattern %q is a public name; rules match upstream/name: write %q", text, strings.Replace(text, "__", "/", 1))
	case !ok:
		return pattern{}, fmt.Errorf("pattern %q names no upstream; write upstream/name, such as %q", text, text+"/*")
	case upstream == "" || name == "":
		return pattern{}, fmt.Errorf("pattern %q: write upstream/name", text)
	}
	return newPattern(upstream, name), nil
}

func newPattern(upstream, name string) pattern {
	p := pattern{text: upstream + "/" + name, upstream: upstream, name: name}
	p.plainUpstream = !strings.ContainsAny(upstream, "*?")
	p.all = strings.Trim(name, "*") == "" && len(name) <= 2
	p.prefix = name
	if i := strings.IndexAny(name, "*?"); i >= 0 {
		p.prefix = name[:i]
	} else {
		p.plainName = true
	}
	return p
}

// exact is the pattern that matches ref alone, wildcards in it taken literally.
func exact(ref catalog.Ref) pattern {
	return pattern{
		text: ref.String(), upstream: ref.Upstream, name: ref.Name, plainUpstream: true, plainName: true, prefix: ref.Name,
	}
}

func (p *pattern) match(ref catalog.Ref) bool {
	return p.matchUpstream(ref.Upstream) && p.matchName(ref.Name)
}

func (p *pattern) matchUpstream(upstream string) bool {
	if p.plainUpstream {
		return p.upstream == upstream
	}
	return catalog.Glob(p.upstream).Match(upstream)
}

func (p *pattern) matchName(name string) bool {
	switch {
	case p.all:
		return true
	case p.plainName:
		return p.name == name
	case !strings.HasPrefix(name, p.prefix):
		return false
	case isURI(name):
		return matchURI(p.name, name)
	default:
		return catalog.Glob(p.name).Match(name)
	}
}

// isURI reports whether name begins with a scheme (RFC 3986, 3.1). Names of tools and prompts have no colon.
func isURI(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return c == ':' && i > 0
		}
	}
	return false
}

// matchURI matches a URI as pattern says. Two places to go back to are enough: a later * in the same segment can do whatever an earlier one
// could, and a later ** whatever any earlier wildcard could.
func matchURI(glob, name string) bool {
	g, n := 0, 0
	star, starFrom := -1, 0
	deep, deepFrom := -1, 0
	for n < len(name) {
		switch {
		case strings.HasPrefix(glob[g:], "**"):
			g += 2
			deep, deepFrom = g, n
			star = -1
			continue
		case g < len(glob) && glob[g] == '*':
			g++
			star, starFrom = g, n
			continue
		}
		if size := step(glob[g:], name[n:]); size > 0 {
			if glob[g] == '?' {
				g++
			} else {
				g += size
			}
			n += size
			continue
		}
		switch {
		case star >= 0 && name[starFrom] != '/':
			starFrom += width(name[starFrom:])
			g, n = star, starFrom
		case deep >= 0:
			deepFrom += width(name[deepFrom:])
			g, n, star = deep, deepFrom, -1
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}

// step returns the size of the first character of name when glob begins with it or with a ? that stands for it, else 0.
func step(glob, name string) int {
	if glob == "" {
		return 0
	}
	size := width(name)
	if glob[0] == '?' {
		if name[0] == '/' {
			return 0
		}
		return size
	}
	if strings.HasPrefix(glob, name[:size]) {
		return size
	}
	return 0
}

func width(s string) int {
	_, size := utf8.DecodeRuneInString(s)
	return size
}

// matchRef is pattern.match over texts, for Casbin. A pattern that cannot be read matches nothing.
func matchRef(ref, text string) bool {
	p, err := parsePattern(text)
	if err != nil {
		return false
	}
	upstream, name, _ := strings.Cut(ref, "/")
	return p.match(catalog.Ref{Upstream: upstream, Name: name})
}
