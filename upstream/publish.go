package upstream

import (
	"reflect"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"weir/catalog"
	"weir/catalog/fault"
)

// gather is how long further changes are awaited before a snapshot is built, while upstreams are starting.
const gather = 30 * time.Millisecond

// publishEvery is how often a snapshot is published while upstreams come, go and change without end: clients hear of each. publishBurst changes before are
// published at once.
const (
	publishEvery = time.Second
	publishBurst = 3
)

// mark notes that there may be something new to publish.
func (s *Set) mark() {
	s.mu.Lock()
	s.marks++
	s.mu.Unlock()
	give(s.dirty)
}

// publish builds and publishes snapshots, one at a time, until the Set is closed.
func (s *Set) publish() {
	var (
		last    []*catalog.Source
		options catalog.Options
		first   = true
		pace    = rate.NewLimiter(rate.Every(publishEvery), publishBurst)
		// withheld is what the last snapshot left out
		withheld map[catalog.Problem]bool
	)
	for {
		select {
		case <-s.soft.Done():
			return
		case <-s.dirty:
		}
		if !s.settled() && !sleep(s.soft, nil, gather) {
			return
		}
		drop(s.dirty)
		s.mu.Lock()
		marks, sources := s.marks, s.sources()
		now := optionsOf(&s.space, sources)
		s.mu.Unlock()
		if first || !slices.Equal(last, sources) || !reflect.DeepEqual(options, now) {
			if s.settled() && !pace.Allow() {
				if !sleep(s.soft, nil, publishEvery) {
					return
				}
				give(s.dirty)
				continue
			}
			if next := s.built(sources, now); next != nil {
				withheld = s.quarantined(withheld, next)
				_ = fault.Catch(s.o.Log, func() error { s.o.Catalog.Publish(next); return nil }) // who heard of it has it, and the others ask
			}
			last, options, first = sources, now, false
		}
		s.mu.Lock()
		s.shown = marks
		close(s.turned)
		s.turned = make(chan struct{})
		s.mu.Unlock()
	}
}

// built is the snapshot of sources. Should it panic, those that do so alone are left out, and their state says why; nil when that does not help: what was published stays.
func (s *Set) built(sources []*catalog.Source, o catalog.Options) *catalog.Snapshot {
	build := catalog.Build
	if s.o.build != nil {
		build = s.o.build
	}
	var next *catalog.Snapshot
	of := func(some []*catalog.Source, about ...any) error {
		return fault.Catch(s.o.Log, func() error { next = build(some, o); return nil }, about...)
	}
	if of(sources) == nil {
		return next
	}
	var sound []*catalog.Source
	for _, src := range sources {
		err := of([]*catalog.Source{src}, "upstream", src.Upstream)
		if m := (*s.members.Load())[src.Upstream]; err != nil && m != nil {
			m.note(&catalog.Error{Code: catalog.Internal, Msg: m.name + ": its lists cannot be shown: " + err.Error(), Err: err})
		}
		if err == nil {
			sound = append(sound, src)
		}
	}
	if of(sound) != nil {
		return nil
	}
	return next
}

// mostSaid bounds the log lines about one snapshot: lists may hold a hundred thousand broken things.
const mostSaid = 50

// quarantined logs what a snapshot withholds that the one before did not, known, and returns all that it withholds.
func (s *Set) quarantined(known map[catalog.Problem]bool, next *catalog.Snapshot) map[catalog.Problem]bool {
	all := map[catalog.Problem]bool{}
	fresh := 0
	for _, p := range next.Problems() {
		if !p.Withheld || all[p] {
			continue
		}
		all[p] = true
		if known[p] {
			continue
		}
		if fresh++; fresh <= mostSaid {
			s.o.Log.Warn("an entry is withheld", "upstream", p.Upstream, "kind", p.Kind.String(), "name", p.Name, "reason", p.Reason)
		}
	}
	if fresh > mostSaid {
		s.o.Log.Warn("more entries are withheld", "entries", fresh-mostSaid)
	}
	return all
}

// sources are what all upstreams offer now, in the order of the configuration. s.mu is held.
func (s *Set) sources() []*catalog.Source {
	members := *s.members.Load()
	var all []*catalog.Source
	for _, name := range s.space.Order {
		if m := members[name]; m != nil {
			if src := m.last(); src != nil {
				all = append(all, src)
			}
		}
	}
	for _, x := range s.space.Extra {
		all = append(all, x.Source)
	}
	return all
}

// optionsOf are the options of the snapshot of sources. It is partial when an upstream that is in use is not among them as it is now.
func optionsOf(n *Namespace, sources []*catalog.Source) catalog.Options {
	o := catalog.Options{Naming: n.Naming, PageSize: n.PageSize, Order: n.Order, Rules: map[string]catalog.Rules{}}
	if o.Naming == "" {
		o.Naming = catalog.Prefix
	}
	missing := 0
	for name, spec := range n.Specs {
		if !spec.Disabled {
			missing++
		}
		rules := catalog.Rules{Alias: spec.Alias}
		if !spec.translated() { // the translator applies them: they are about more than names
			rules.Include, rules.Exclude = spec.Include, spec.Exclude
		}
		o.Rules[name] = rules
	}
	for _, src := range sources {
		if !src.Stale {
			missing--
		}
	}
	for _, x := range n.Extra { // it is among the sources
		o.Rules[x.Source.Upstream] = x.Rules
		missing++
	}
	o.Partial = missing > 0
	return o
}
