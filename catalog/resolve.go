package catalog

import (
	"slices"
	"strings"
)

// Resolve finds the entry of a public name (of a resource or template: the public URI or template itself), or of a tool's or
// prompt's bare name, the upstream's own, that exactly one visible entry has. visible may be nil: all.
//
// The error is a *Error with code NotFound. A name that is hidden from the caller and one that does not exist get the same words; a
// bare name that several visible entries have gets words of its own.
func (s *Snapshot) Resolve(kind Kind, name string, visible func(*Entry) bool) (*Entry, error) {
	if e := s.names[kind][name]; e != nil && sees(visible, e) {
		return e, nil
	}
	var found []*Entry
	for _, e := range s.bare[kind][name] {
		if sees(visible, e) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return nil, NoSuch(kind, name)
	case 1:
		return found[0], nil
	default:
		return nil, ambiguous(kind, name, found)
	}
}

// NoSuch is the one error for an entry that does not exist or that the caller may not know of: its words are the same, to the letter.
func NoSuch(kind Kind, name string) *Error {
	return Errorf(NotFound, "unknown %s %s", kind, quote(name))
}

func sees(visible func(*Entry) bool, e *Entry) bool { return visible == nil || visible(e) }

// ambiguous is the error for a name or URI that several entries, all visible to the caller, have in their upstreams.
func ambiguous(kind Kind, name string, found []*Entry) *Error {
	const most = 5
	var names []string
	for _, e := range found {
		if len(names) < most {
			names = append(names, quote(e.Name))
		}
	}
	return Errorf(NotFound, "ambiguous %s %s: %d upstreams have one; use %s", kind, quote(name), len(found), strings.Join(names, " or "))
}

// ResolveURI finds what a resources/read of uri reads: the entry that decides about it and target, the URI by which its upstream knows it.
//
// In this order: the resource of that public URI, listed or not; the resource whose own URI it is, when it is public under another; the
// template that it matches with the most literal text; when only one upstream offers resources, an entry made for this URI, since
// servers may read what they never list. Such an entry is unlisted and has no place in the snapshot (Index is -1).
//
// visible may be nil: all. An upstream whose best answer is hidden from the caller has no other: a broad template never
// opens what a narrow one hides. The error is a *Error with code NotFound, with words of its own when several upstreams answer equally well.
func (s *Snapshot) ResolveURI(uri string, visible func(*Entry) bool) (e *Entry, target string, err error) {
	e = s.names[Resource][uri]
	if e != nil && sees(visible, e) {
		return e, e.Ref.Name, nil
	}
	q := uriQuery{s: s, uri: uri, visible: visible}
	if e != nil {
		q.close(e)
	}
	for _, step := range [...]func(){q.own, q.templates, q.unlisted} {
		step()
		switch {
		case q.clash != nil:
			return nil, "", q.clash
		case q.entry != nil:
			return q.entry, q.target, nil
		}
	}
	return nil, "", NoSuch(Resource, uri)
}

// uriQuery is one ResolveURI past the first lookup. Each step sets entry and target, or clash, or nothing.
type uriQuery struct {
	s       *Snapshot
	uri     string
	visible func(*Entry) bool
	closed  []string // upstreams that know the URI but not for this caller

	entry  *Entry
	target string
	clash  *Error
}

func (q *uriQuery) close(e *Entry) { q.closed = append(q.closed, e.Ref.Upstream) }

// own looks among the resources that are public under another URI.
func (q *uriQuery) own() {
	var found []*Entry
	for _, e := range q.s.bare[Resource][q.uri] {
		if sees(q.visible, e) {
			found = append(found, e)
		} else {
			q.close(e)
		}
	}
	switch len(found) {
	case 0:
	case 1:
		q.entry, q.target = found[0], found[0].Ref.Name
	default:
		q.clash = ambiguous(Resource, q.uri, found)
	}
}

// templates looks for the template with the most literal text among the best of each upstream.
func (q *uriQuery) templates() {
	var found []templateMatch
	for _, o := range q.s.origins {
		if slices.Contains(q.closed, o.name) {
			continue
		}
		best := o.bestTemplates(q.uri, true)
		if len(best) == 0 {
			continue
		}
		hidden := func(m templateMatch) bool { return !sees(q.visible, m.entry) || o.filter.excludes(m.target) }
		if slices.ContainsFunc(best, hidden) {
			q.close(best[0].entry)
			continue
		}
		m := best[0]
		if len(found) > 0 && m.literal > found[0].literal {
			found = found[:0]
		}
		if len(found) == 0 || m.literal == found[0].literal {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
	case 1:
		q.entry, q.target = found[0].entry, found[0].target
	default:
		var templates []string
		for _, m := range found {
			templates = append(templates, quote(m.entry.Name)+" of "+m.entry.Ref.Upstream)
		}
		q.clash = Errorf(NotFound, "ambiguous resource %s: it matches %s equally well", quote(q.uri), strings.Join(templates, " and "))
	}
}

// unlisted makes an entry for a URI that nobody listed, if only one upstream can be meant.
func (q *uriQuery) unlisted() {
	for _, o := range q.s.origins {
		if !o.resources || slices.Contains(q.closed, o.name) || !o.filter.keeps(Resource, q.uri) {
			continue
		}
		e := &Entry{Kind: Resource, Ref: Ref{o.name, q.uri}, Name: q.uri, Unlisted: true, index: -1}
		if !sees(q.visible, e) {
			continue
		}
		if q.entry != nil {
			q.entry, q.target = nil, ""
			return
		}
		q.entry, q.target = e, q.uri
	}
}

// templateMatch is a template that a URI is an expansion of.
type templateMatch struct {
	entry   *Entry
	target  string // the URI by which the upstream knows it
	literal int    // bytes of literal text
	moved   bool
}

// bestTemplates returns the templates of o that uri matches with the most literal text. With public, uri may be the public form of what a
// moved template expands to; that form counts as more literal.
func (o *origin) bestTemplates(uri string, public bool) []templateMatch {
	var best []templateMatch
	inner, moved := "", false
	if public && o.moves {
		inner, moved = o.ownURI(uri)
	}
	for _, t := range o.templates {
		m := templateMatch{entry: t.entry, target: uri, literal: t.literal, moved: t.moved}
		if t.moved && moved && t.matches(inner) {
			m.target = inner
			m.literal += len(uri) - len(inner)
		} else if !t.matches(uri) {
			continue
		}
		if len(best) > 0 && m.literal > best[0].literal {
			best = best[:0]
		}
		if len(best) == 0 || m.literal == best[0].literal {
			best = append(best, m)
		}
	}
	return best
}
