package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"weir/catalog/rawjson"
)

// build is the state of one Build.
type build struct {
	options  Options
	origins  []*origin
	items    [kinds][]*item // what is left to become entries
	hidden   []*Entry
	problems []Problem
}

// origin is what a snapshot keeps of one upstream.
type origin struct {
	name      string
	source    *Source
	filter    filter
	alias     map[string]string
	authority string // name as it stands in public URIs
	resources bool   // whether it can be asked for resources
	// uris are the entries of its resources by its own URIs.
	uris      map[string]*Entry
	templates []templateEntry
	moves     bool // whether any of its URIs or templates is public under another
}

// templateEntry is a resource template of an origin as URIs are matched with it.
type templateEntry struct {
	*template
	entry *Entry
	moved bool
}

// Build makes the snapshot of sources. It never fails: what cannot be served is withheld and stands in Problems. It changes neither
// argument, and the snapshot shares the bytes of sources wherever they need no change.
func Build(sources []*Source, o Options) *Snapshot {
	b := &build{options: o}
	b.open(sources)
	for _, origin := range b.origins {
		b.readAll(origin)
		b.readHidden(origin)
	}
	b.assignNames(Tool)
	b.assignNames(Prompt)
	b.addUnlisted()
	separateURIs(b.items[Resource], func(it *item) string { return it.entry.Ref.Name })
	separateURIs(b.items[Template], func(it *item) string { return it.template.shape })
	b.render()
	return b.snapshot()
}

// open puts the sources in the order of the configuration, those it does not know last, by name.
func (b *build) open(sources []*Source) {
	rank := make(map[string]int, len(b.options.Order))
	for i, name := range b.options.Order {
		rank[name] = i - len(b.options.Order)
	}
	sorted := slices.DeleteFunc(slices.Clone(sources), func(s *Source) bool { return s == nil })
	slices.SortStableFunc(sorted, func(x, y *Source) int {
		return cmp.Or(cmp.Compare(rank[x.Upstream], rank[y.Upstream]), cmp.Compare(x.Upstream, y.Upstream))
	})
	for i, s := range sorted {
		if i > 0 && sorted[i-1].Upstream == s.Upstream || i+1 < len(sorted) && sorted[i+1].Upstream == s.Upstream {
			b.problem(Problem{
				Upstream: s.Upstream, Withheld: true,
				Reason: fmt.Sprintf("%s: withheld: two sources have this name", s.Upstream),
			})
			continue
		}
		rules := b.options.Rules[s.Upstream]
		b.origins = append(b.origins, &origin{
			name:      s.Upstream,
			source:    s,
			filter:    newFilter(s.Upstream, rules, b.options.offer),
			alias:     b.options.offer.alias(s.Upstream, rules.Alias),
			authority: authority(s.Upstream),
			resources: len(s.Resources)+len(s.Templates) > 0 || declaresResources(s.Capabilities),
		})
	}
}

func declaresResources(capabilities []byte) bool {
	fields, err := rawjson.Fields(capabilities, "resources")
	return err == nil && !fields[0].Absent() && capabilities[fields[0].Start] == '{'
}

func (b *build) problem(p Problem) { b.problems = append(b.problems, p) }

// readAll reads every item that o lists and keeps those that may stand in the namespace.
func (b *build) readAll(o *origin) {
	var listed [kinds][]string
	all, kept := 0, 0
	for kind, raws := range [kinds][][]byte{o.source.Tools, o.source.Prompts, o.source.Resources, o.source.Templates} {
		items, names := b.readKind(o, Kind(kind), raws)
		listed[kind] = names
		all, kept = all+len(raws), kept+len(items)
		b.items[kind] = append(b.items[kind], items...)
	}
	b.checkRules(o, listed)
	switch {
	case kept > 0 || o.source.Stale:
	case all == 0:
		b.problem(Problem{Upstream: o.name, Reason: o.name + ": connected, but lists 0 tools, 0 prompts and 0 resources"})
	default:
		b.problem(Problem{
			Upstream: o.name,
			Reason:   fmt.Sprintf("%s: connected, but all of the %d things it lists are withheld or left out by include and exclude", o.name, all),
		})
	}
}

// readKind reads one list of o. It returns what may become entries and the names of everything that has one.
func (b *build) readKind(o *origin, kind Kind, raws [][]byte) (items []*item, names []string) {
	first := make(map[string]int, len(raws)) // positions
	items = make([]*item, 0, len(raws))
	names = make([]string, 0, len(raws))
	for i, raw := range raws {
		it, name, fault := read(o, kind, i+1, b.options.offer.overlay(o.name, kind, raw))
		if name != "" {
			names = append(names, name)
		}
		if name != "" && !o.filter.keeps(kind, name) {
			continue
		}
		if fault != "" {
			b.problem(withheld(o, kind, i+1, name, fault))
			continue
		}
		if at := first[name]; at > 0 {
			b.problem(withheld(o, kind, i+1, name, fmt.Sprintf("position %d lists again what position %d does, which counts", i+1, at)))
			continue
		}
		first[name] = i + 1
		items = append(items, it)
	}
	for _, it := range items {
		for _, member := range it.dropped {
			b.problem(Problem{
				Upstream: o.name, Kind: kind, Name: it.entry.Ref.Name,
				Reason: fmt.Sprintf("%s: %s %s is listed without its %s, which clients could not read", o.name, kind, quote(it.entry.Ref.Name), member),
			})
		}
		if e := it.entry; e.HeadersFault != "" {
			b.problem(Problem{
				Upstream: o.name, Kind: kind, Name: e.Ref.Name,
				Reason: fmt.Sprintf("%s: %s %s left out of modern lists: %s", o.name, kind, quote(e.Ref.Name), e.HeadersFault),
			})
		}
	}
	return items, names
}

// render writes the items as lists show them.
func (b *build) render() {
	moved := make(map[Ref]string)
	for _, it := range b.items[Resource] {
		if it.moved {
			moved[it.entry.Ref] = it.entry.Name
		}
	}
	for _, items := range b.items {
		for _, it := range items {
			if it.raw != nil {
				it.render(moved)
			}
		}
	}
}

// render splices the public name and the public URIs into the listed item. Where nothing changes, the bytes are shared.
func (it *item) render(moved map[Ref]string) {
	e := it.entry
	var room [4]rawjson.Edit
	edits := append(room[:0], it.repairs...)
	if e.Name != e.Ref.Name {
		edits = append(edits, rawjson.Edit{Span: it.name, With: rawjson.AppendString(nil, e.Name)})
	}
	for _, l := range it.links {
		if uri, ok := moved[Ref{e.Ref.Upstream, l.uri}]; ok {
			edits = append(edits, rawjson.Edit{Span: l.span, With: rawjson.AppendString(nil, uri)})
		}
	}
	raw := it.raw
	if len(edits) > 0 {
		slices.SortFunc(edits, func(x, y rawjson.Edit) int { return cmp.Compare(x.Start, y.Start) })
		size := len(raw)
		for _, ed := range edits {
			size += len(ed.With) - (ed.End - ed.Start)
		}
		raw = rawjson.Splice(make([]byte, 0, size), raw, rawjson.Span{End: len(raw)}, edits...)
	}
	if len(it.dropped) > 0 {
		raw = slices.Clip(rawjson.AppendObject(nil, raw, func(key []byte) bool { return slices.Contains(it.dropped, string(key)) }))
	}
	e.raw = [eras][]byte{raw, raw}
	if it.untyped {
		legacy := rawjson.AppendObject(nil, raw, func(key []byte) bool { return string(key) == "outputSchema" })
		e.raw[Legacy] = slices.Clip(legacy)
	}
}

// snapshot orders the entries and builds the tables.
func (b *build) snapshot() *Snapshot {
	s := &Snapshot{problems: b.problems, origins: b.origins, pageSize: b.options.PageSize, partial: b.options.Partial, options: b.options}
	if s.pageSize <= 0 {
		s.pageSize = DefaultPageSize
	}
	for _, o := range b.origins {
		s.sources = append(s.sources, o.source)
	}
	for kind, items := range b.items {
		slices.SortFunc(items, func(x, y *item) int { return cmp.Compare(x.entry.Name, y.entry.Name) })
		s.names[kind] = make(map[string]*Entry, len(items))
		s.bare[kind] = make(map[string][]*Entry)
		for _, it := range items {
			s.add(it)
		}
	}
	s.addHidden(b.hidden)
	return s
}

// add puts an item in the tables of s.
func (s *Snapshot) add(it *item) {
	e := it.entry
	e.index = len(s.entries)
	s.entries = append(s.entries, e)
	s.names[e.Kind][e.Name] = e
	if e.Name != e.Ref.Name && e.Kind != Template {
		s.bare[e.Kind][e.Ref.Name] = append(s.bare[e.Kind][e.Ref.Name], e)
	}
	o := it.origin
	o.moves = o.moves || it.moved
	if e.Kind == Resource {
		if o.uris == nil {
			o.uris = make(map[string]*Entry)
		}
		o.uris[e.Ref.Name] = e
	}
	if e.Kind == Template {
		o.templates = append(o.templates, templateEntry{it.template, e, it.moved})
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
