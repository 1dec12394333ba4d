package catalog

import (
	"bytes"
	"sort"
	"sync"
	"sync/atomic"
)

// View is the part of a snapshot that one set of permissions may see, with its lists. It is immutable to its users and safe for
// concurrent use; a list is rendered when it is first asked for and kept as long as the view.
type View struct {
	snap    *Snapshot
	allowed func(*Entry) bool
	bits    []uint64
	// lists has the same list for both eras where they do not differ.
	lists [kinds][eras]*list
}

// View returns the part of the snapshot that allowed entries make up; nil allows all. allowed is called once for each entry of the
// snapshot, and later, perhaps concurrently, for entries that are not in it (see ResolveURI).
func (s *Snapshot) View(allowed func(*Entry) bool) *View {
	v := &View{snap: s, allowed: allowed, bits: make([]uint64, (len(s.entries)+63)/64)}
	for kind := range v.lists {
		v.lists[kind] = [eras]*list{{}, {}}
	}
	var differs [kinds]bool
	for i, e := range s.entries {
		if !sees(allowed, e) {
			continue
		}
		v.bits[i/64] |= 1 << (i % 64)
		if e.Unlisted {
			continue
		}
		both := &v.lists[e.Kind]
		both[Legacy].entries = append(both[Legacy].entries, e)
		if e.HeadersFault == "" {
			both[Modern].entries = append(both[Modern].entries, e)
		}
		differs[e.Kind] = differs[e.Kind] || e.HeadersFault != "" || &e.raw[Legacy][0] != &e.raw[Modern][0]
	}
	for kind := range v.lists {
		v.lists[kind][Modern].era = Modern
		if !differs[kind] {
			v.lists[kind][Legacy] = v.lists[kind][Modern]
		}
	}
	return v
}

// Snapshot returns the snapshot that v is a part of.
func (v *View) Snapshot() *Snapshot { return v.snap }

// Visible reports whether e is allowed. For an entry that is not of this snapshot (one that ResolveURI made, or one of an older snapshot)
// the func that the view was made with decides anew.
func (v *View) Visible(e *Entry) bool {
	if i := e.index; i >= 0 && i < len(v.snap.entries) && v.snap.entries[i] == e {
		return v.bits[i/64]&(1<<(i%64)) != 0
	}
	return sees(v.allowed, e)
}

// Page is one page of a list, rendered.
type Page struct {
	// Items are the raw items joined by commas, without brackets. They are shared and read-only. White space inside items is the
	// upstream's, line breaks included.
	Items []byte
	Next  string // cursor of the next page, "" at the end
	Count int
}

// List returns the page of kind that begins at cursor ("" is the start). An entry that is listed all the while a caller turns pages is in
// exactly one of them, whatever snapshots they come from. A cursor that weir did not make, or made for another
// kind, is a *Error with code Invalid.
func (v *View) List(kind Kind, era Era, cursor string) (Page, error) {
	l := v.lists[kind][era]
	start := 0
	if cursor != "" {
		last, err := parseCursor(kind, cursor)
		if err != nil {
			return Page{}, err
		}
		start = sort.Search(len(l.entries), func(i int) bool { return l.entries[i].Name > string(last) })
	}
	end := min(start+v.snap.pageSize, len(l.entries))
	page := Page{Items: l.items(start, end), Count: end - start}
	if end < len(l.entries) {
		page.Next = newCursor(kind, l.entries[end-1].Name)
	}
	return page, nil
}

// Has reports whether the view lists any entry of kind, in either era.
func (v *View) Has(kind Kind) bool { return len(v.lists[kind][Legacy].entries) > 0 }

// Same reports whether kind lists equally in both views: nothing to notify.
func (v *View) Same(kind Kind, other *View) bool {
	mine, theirs := v.lists[kind], other.lists[kind]
	for era := range mine {
		if !mine[era].same(theirs[era]) {
			return false
		}
	}
	return true
}

// list is the visible entries of one kind, and their rendering for one era.
type list struct {
	era      Era
	entries  []*Entry
	mu       sync.Mutex // held while rendering
	rendered atomic.Pointer[rendering]
}

// rendering is all items of a list in one buffer: a page is a part of it, wherever it begins.
type rendering struct {
	text []byte
	ends []int // where each item ends, the comma behind it not included
}

// items returns the items start ≤ i < end, joined by commas.
func (l *list) items(start, end int) []byte {
	if start >= end {
		return nil
	}
	r := l.rendered.Load()
	if r == nil {
		r = l.render()
	}
	from, to := 0, r.ends[end-1]
	if start > 0 {
		from = r.ends[start-1] + 1
	}
	return r.text[from:to:to]
}

func (l *list) render() *rendering {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.rendered.Load(); r != nil {
		return r
	}
	size := 0
	for _, e := range l.entries {
		size += len(e.raw[l.era]) + 1
	}
	r := &rendering{text: make([]byte, 0, size), ends: make([]int, 0, len(l.entries))}
	for i, e := range l.entries {
		if i > 0 {
			r.text = append(r.text, ',')
		}
		r.text = append(r.text, e.raw[l.era]...)
		r.ends = append(r.ends, len(r.text))
	}
	l.rendered.Store(r)
	return r
}

// same compares what two lists show.
func (l *list) same(other *list) bool {
	if l == other {
		return true
	}
	if len(l.entries) != len(other.entries) {
		return false
	}
	for i, e := range l.entries {
		if o := other.entries[i]; e != o && !bytes.Equal(e.raw[l.era], o.raw[other.era]) {
			return false
		}
	}
	return true
}
