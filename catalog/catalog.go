package catalog

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Catalog holds the current snapshot. Safe for concurrent use.
type Catalog struct {
	current atomic.Pointer[Snapshot]

	publishing sync.Mutex // one Publish at a time, listeners included
	mu         sync.Mutex // guards listeners
	listeners  []*func(old, next *Snapshot)
}

// New returns a catalogue with an empty snapshot, which is partial.
func New() *Catalog {
	c := &Catalog{}
	c.current.Store(Build(nil, Options{Partial: true}))
	return c
}

// Snapshot returns the current snapshot, never nil. One atomic load.
func (c *Catalog) Snapshot() *Snapshot { return c.current.Load() }

// Publish swaps in the next snapshot and then tells every listener, in the order in which they were registered. It returns when all of
// them have. Calls never wait for it; another Publish does, so a listener must not publish.
func (c *Catalog) Publish(s *Snapshot) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	old := c.current.Swap(s)
	c.mu.Lock()
	listeners := slices.Clone(c.listeners)
	c.mu.Unlock()
	for _, f := range listeners {
		(*f)(old, s)
	}
}

// OnPublish registers f, which runs after each Publish with the old and the new snapshot. The returned func unregisters it; a Publish
// that is under way may still run f.
func (c *Catalog) OnPublish(f func(old, next *Snapshot)) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	listener := &f
	c.listeners = append(c.listeners, listener)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.listeners = slices.DeleteFunc(c.listeners, func(l *func(old, next *Snapshot)) bool { return l == listener })
	}
}
