package server

import "sync"

// maxPending bounds what waits for one slow stream; notifications that say the same are kept once, so only a flood of different ones gets there.
const maxPending = 1024

// maxPendingBytes bounds the same in bytes: what is said of a resource is as long as its upstream wants.
const maxPendingBytes = 1 << 20

// Outlet holds notifications until the stream's own goroutine writes them: who sends never waits for who reads.
type Outlet struct {
	wake chan struct{}

	mu      sync.Mutex
	pending [][]byte
	bytes   int // of pending
	queued  map[string]struct{}
	next    *Outlet // where everything goes from now on, nil for here
}

// NewOutlet returns an empty outlet.
func NewOutlet() *Outlet {
	return &Outlet{wake: make(chan struct{}, 1), queued: make(map[string]struct{})}
}

// Put queues a message; false when too much waits already. A message equal to one that waits is not queued twice.
func (o *Outlet) Put(message []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if next := o.next; next != nil {
		return next.Put(message)
	}
	if _, ok := o.queued[string(message)]; ok {
		return true
	}
	if len(o.pending) >= maxPending || o.bytes+len(message) > maxPendingBytes {
		return false
	}
	o.pending = append(o.pending, message)
	o.bytes += len(message)
	o.queued[string(message)] = struct{}{}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return true
}

// Wake is ready when something may wait.
func (o *Outlet) Wake() <-chan struct{} { return o.wake }

// Take returns what waits, in order.
func (o *Outlet) Take() [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.pending
	o.pending, o.bytes = nil, 0
	clear(o.queued)
	return out
}

// Forward passes what waits, and everything that will be put here, to next.
func (o *Outlet) Forward(next *Outlet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.pending {
		next.Put(m)
	}
	o.pending, o.bytes, o.next = nil, 0, next
	clear(o.queued)
}

// SendOn is Send for what the keepers of all the session's outlets hear at the same time: only that of the outlet where notifications go sends it.
func (s *Session) SendOn(o *Outlet, message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.outlets); n > 0 && s.outlets[n-1] == o {
		o.Put(message)
	}
}
