package catalog

import "strings"

const (
	uiScheme    = "ui://"
	movedScheme = "weir://"
)

// authority returns upstream as the authority of a URI (RFC 3986 section 3.2.2): everything but unreserved characters is percent-encoded,
// so that no two upstreams share one and none contains a slash.
func authority(upstream string) string {
	const digits = "0123456789ABCDEF"
	var s strings.Builder
	for i := range len(upstream) {
		switch c := upstream[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			s.WriteByte(c)
		default:
			s.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return s.String()
}

// movedURI is the public form of a URI or URI template of o that others have as well. The part behind the inserted text keeps its
// bytes, and what o is told to read is cut back out of it.
func (o *origin) movedURI(uri string) string {
	if rest, ok := strings.CutPrefix(uri, uiScheme); ok {
		return uiScheme + o.authority + "/" + rest
	}
	return movedScheme + o.authority + "/" + uri
}

// ownURI undoes movedURI. It reports false for a URI that is not of that form.
func (o *origin) ownURI(public string) (uri string, ok bool) {
	if rest, ok := strings.CutPrefix(public, uiScheme); ok {
		if rest, ok = strings.CutPrefix(rest, o.authority); ok && strings.HasPrefix(rest, "/") {
			return uiScheme + rest[1:], true
		}
		return "", false
	}
	if rest, ok := strings.CutPrefix(public, movedScheme); ok {
		if rest, ok = strings.CutPrefix(rest, o.authority); ok && strings.HasPrefix(rest, "/") {
			return rest[1:], true
		}
	}
	return "", false
}

// addUnlisted makes entries of the user interface URIs that tools name and their upstreams do not list.
func (b *build) addUnlisted() {
	type place struct {
		o   *origin
		uri string
	}
	known := make(map[place]bool)
	for _, it := range b.items[Resource] {
		known[place{it.origin, it.entry.Ref.Name}] = true
	}
	for _, tool := range b.items[Tool] {
		for _, l := range tool.links {
			at := place{tool.origin, l.uri}
			if known[at] || tool.origin.filter.excludes(l.uri) {
				continue
			}
			known[at] = true
			b.items[Resource] = append(b.items[Resource], &item{
				entry:  &Entry{Kind: Resource, Ref: Ref{tool.origin.name, l.uri}, Name: l.uri, Unlisted: true},
				origin: tool.origin,
			})
		}
	}
}

// separateURIs gives public URIs to the items of which several upstreams have one with an equal key: all of them move, so that none takes
// the other's place. An item whose own URI is what another was moved to moves as well. Moved URIs are unique by
// construction.
func separateURIs(items []*item, key func(*item) string) {
	byKey := make(map[string][]*item, len(items))
	for _, it := range items {
		k := key(it)
		byKey[k] = append(byKey[k], it)
	}
	var queue []*item
	for _, same := range byKey {
		for _, it := range same[1:] {
			if it.origin != same[0].origin {
				queue = append(queue, same...)
				break
			}
		}
	}
	for len(queue) > 0 {
		it := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if it.moved {
			continue
		}
		it.moved = true
		it.entry.Name = it.origin.movedURI(it.entry.Ref.Name)
		queue = append(queue, byKey[it.origin.movedURI(key(it))]...)
	}
}
