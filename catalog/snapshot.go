package catalog

// Snapshot is the immutable namespace: every entry, and the tables that find them. Safe for concurrent use.
type Snapshot struct {
	entries  []*Entry
	problems []Problem
	sources  []*Source
	origins  []*origin
	pageSize int
	partial  bool
	options  Options
	// names are the entries by public name, URI or template. bare are those whose public name is another than the upstream's own, by the
	// latter.
	names  [kinds]map[string]*Entry
	hidden map[Ref]*Entry
	bare   [kinds]map[string][]*Entry
}

// Len is the number of entries, unlisted ones included.
func (s *Snapshot) Len() int { return len(s.entries) }

// Entries returns all entries, ordered by kind and public name (bytewise), hidden tools last. Callers must not change the slice.
func (s *Snapshot) Entries() []*Entry { return s.entries }

// Problems lists what was withheld and what else there is to know about the sources, in an order that depends on the sources alone.
// Callers must not change the slice.
func (s *Snapshot) Problems() []Problem { return s.problems }

// Sources returns the sources it was built from, in the order of the configuration. Callers must not change the slice.
func (s *Snapshot) Sources() []*Source { return s.sources }

// Partial reports whether upstreams that belong here are missing or show what they last listed. Nobody should keep a list of it: a
// client that asks while upstreams start would go without them for as long as it keeps the answer.
func (s *Snapshot) Partial() bool { return s.partial }

// Moves reports whether any resource of upstream is public under another URI than its own. If not, PublicURI changes nothing.
func (s *Snapshot) Moves(upstream string) bool {
	o := s.origin(upstream)
	return o != nil && o.moves
}

// PublicURI returns the URI by which callers know what upstream calls uri. Most URIs are the same on both sides.
func (s *Snapshot) PublicURI(upstream, uri string) string {
	o := s.origin(upstream)
	if o == nil || !o.moves {
		return uri
	}
	if e := o.uris[uri]; e != nil {
		return e.Name
	}
	if best := o.bestTemplates(uri, false); len(best) > 0 && best[0].moved {
		return o.movedURI(uri)
	}
	return uri
}

func (s *Snapshot) origin(upstream string) *origin {
	for _, o := range s.origins {
		if o.name == upstream {
			return o
		}
	}
	return nil
}
