package server

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// shortAt is the part of the memory limit, in percent, from which on nothing new is begun.
	shortAt = 85
	// looked is how long a look at the memory is good for: it costs some microseconds.
	looked = 5 * time.Millisecond
	// shortRetry is when callers who were refused may come back.
	shortRetry = time.Second
	// collectEvery is how often garbage is collected to make room.
	collectEvery = time.Second
	// LargeMessage is the size from which on a message is worth to be counted on its own, before the collector has seen it.
	LargeMessage = 256 << 10
	// copies is how often a large request may be in memory at the same time: as it came, and on its way to the upstream.
	copies = 2
)

// shortOfMemory is what callers are told while a Memory is short.
const shortOfMemory = "weir is short of memory; try again in a moment (not executed)"

// ShortReply refuses a request, nil when its id is not known, while a Memory is short.
func ShortReply(id []byte) *Reply {
	reply := ErrorReply(statusUnavailable, id, codeLimited, shortOfMemory, nil)
	reply.Retry = shortRetry
	return reply
}

// Memory tells when there is too little left of what the process may use, so that new calls are refused before the kernel ends all of them. Nil is a Memory
// without a limit. It is safe for concurrent use.
//
// What counts is what the collector found to be in use, and what is known to have come since. What is garbage does not: with a limit the collector lets
// that grow up to it.
type Memory struct {
	short   int64 // bytes
	measure func() int64

	used      atomic.Int64 // at the last look
	at        atomic.Int64 // of the last look, Unix nanoseconds
	collected atomic.Int64 // when garbage was collected for the sake of room
	base      atomic.Int64 // of that, when no large messages were under way
	held      atomic.Int64 // large messages under way
	look      sync.Mutex
}

// NewMemory returns what watches the memory limit of the runtime (GOMEMLIMIT), nil when there is none.
func NewMemory() *Memory {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return nil
	}
	return &Memory{short: limit / 100 * shortAt, measure: inUse}
}

// Short reports whether nothing new should be begun.
func (m *Memory) Short() bool { return m != nil && !m.room(0) }

// Hold counts a request of n bytes until release is called, if there is room for what becomes of it. Requests get half of
// the memory at most: their answers need some too.
func (m *Memory) Hold(n int64) (release func(), ok bool) {
	if n < LargeMessage {
		return func() {}, true
	}
	if m != nil && m.base.Load()+m.held.Load()+copies*n > m.short/2 {
		return nil, false
	}
	return m.Take(copies * n)
}

// Take counts n bytes until release is called, if there is room for them.
func (m *Memory) Take(n int64) (release func(), ok bool) {
	if m == nil {
		return func() {}, true
	}
	if !m.room(n) {
		return nil, false
	}
	m.held.Add(n)
	return func() { m.held.Add(-n) }, true
}

// room reports whether n bytes more are within the limit. When they are not it collects garbage first, now and then: the collector looks for none while nobody is
// let in who makes any.
func (m *Memory) room(n int64) bool {
	now := time.Now().UnixNano()
	if now-m.at.Load() > int64(looked) && m.look.TryLock() {
		m.measured(now)
		m.look.Unlock()
	}
	if m.fits(n) {
		return true
	}
	if now-m.collected.Load() < int64(collectEvery) || !m.look.TryLock() {
		return false
	}
	defer m.look.Unlock()
	m.collected.Store(now)
	runtime.GC()
	m.measured(now)
	return m.fits(n)
}

// measured looks at the memory. m.look is held.
func (m *Memory) measured(now int64) {
	used := m.measure()
	m.used.Store(used)
	if m.held.Load() == 0 {
		m.base.Store(used)
	}
	m.at.Store(now)
}

// fits reports whether n bytes more are within the limit, as of the last look. What is held is partly in use already; to count it twice would refuse calls at half
// of the limit.
func (m *Memory) fits(n int64) bool {
	return max(m.used.Load(), m.base.Load()+m.held.Load())+n < m.short
}

// inUse is what the process needs: what the last collection found alive, and what is not heap.
func inUse() int64 {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	n := s[0].Value.Uint64() + s[1].Value.Uint64()
	for _, heap := range s[2:] {
		n -= heap.Value.Uint64()
	}
	return int64(n)
}
