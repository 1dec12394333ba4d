package upstream

import (
	"reflect"
	"slices"
	"time"

	"weir/catalog"
)

// gather is how long further changes are awaited before a snapshot is built, while upstreams are starting.
const gather = 30 * time.Millisecond

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
		marks, sources, now := s.marks, s.sources(), optionsOf(&s.space)
		s.mu.Unlock()
		if first || !slices.Equal(last, sources) || !reflect.DeepEqual(options, now) {
			s.o.Catalog.Publish(catalog.Build(sources, now))
			last, options, first = sources, now, false
		}
		s.mu.Lock()
		s.shown = marks
		close(s.turned)
		s.turned = make(chan struct{})
		s.mu.Unlock()
	}
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
	return all
}

func optionsOf(n *Namespace) catalog.Options {
	o := catalog.Options{Naming: n.Naming, PageSize: n.PageSize, Order: n.Order, Rules: map[string]catalog.Rules{}}
	if o.Naming == "" {
		o.Naming = catalog.Prefix
	}
	for name, spec := range n.Specs {
		o.Rules[name] = catalog.Rules{Alias: spec.Alias, Include: spec.Include, Exclude: spec.Exclude}
	}
	return o
}
