package catalog

// door is what is known of a tool that leads to hidden ones.
type door struct {
	target func(arguments []byte) (name string, inner []byte, ok bool)
}

// IsDoor reports whether e is a listed tool through which hidden ones of its upstream are found or called.
func (e *Entry) IsDoor() bool { return e.door != nil }

// Hidden returns the hidden tool of upstream that it calls name, nil when there is none.
func (s *Snapshot) Hidden(upstream, name string) *Entry { return s.hidden[Ref{upstream, name}] }

// Behind returns the hidden tool that a call of e with these raw arguments is about, and its own raw arguments; nil when it is about none that
// exists. Policy decides on that one.
func (s *Snapshot) Behind(e *Entry, arguments []byte) (hidden *Entry, inner []byte) {
	if e.door == nil || e.door.target == nil || arguments == nil {
		return nil, nil
	}
	name, inner, ok := e.door.target(arguments)
	if !ok {
		return nil, nil
	}
	return s.hidden[Ref{e.Ref.Upstream, name}], inner
}

// readHidden reads the hidden tools of o and marks its doors.
func (b *build) readHidden(o *origin) {
	for _, it := range b.items[Tool] {
		if it.origin != o {
			continue
		}
		if target, ok := o.source.Doors[it.entry.Ref.Name]; ok {
			it.entry.door = &door{target: target}
		}
	}
	seen := make(map[string]bool, len(o.source.Hidden))
	for i, raw := range o.source.Hidden {
		it, name, fault := read(o, Tool, i+1, raw)
		if fault == "" && seen[name] {
			fault = "there are two of this name"
		}
		if fault != "" {
			b.problem(withheld(o, Tool, i+1, name, fault))
			continue
		}
		seen[name] = true
		if !o.filter.keeps(Tool, name) {
			continue
		}
		e := it.entry
		e.Hidden, e.Unlisted, e.Headers, e.HeadersFault = true, true, nil, ""
		e.raw = [eras][]byte{raw, raw}
		b.hidden = append(b.hidden, e)
	}
}

// addHidden puts the hidden tools behind all other entries.
func (s *Snapshot) addHidden(all []*Entry) {
	if len(all) == 0 {
		return
	}
	s.hidden = make(map[Ref]*Entry, len(all))
	for _, e := range all {
		e.index = len(s.entries)
		s.entries = append(s.entries, e)
		s.hidden[e.Ref] = e
	}
}
