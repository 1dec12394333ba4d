package server

import (
	"math"
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
	// LargeMessage is the size from which on a message is worth to be counted on its own, before the collector has seen it.
	LargeMessage = 256 << 10
	// copies is how often a large call may be in memory at the same time: as it came and on its way to the upstream, and an answer of its size likewise.
	copies = 4
)

// ShortOfMemory is what callers are told while a Memory is short.
const ShortOfMemory = "weir is short of memory; try again in a moment (not executed)"

// Memory tells when there is too little left of what the process may use, so that new calls are refused before the kernel ends all of them. Nil is a Memory
// without a limit. It is safe for concurrent use.
//
// What counts is what the collector found to be in use, and what is known to have come since. What is garbage does not: with a limit the collector lets
// that grow up to it.
type Memory struct {
	short   int64 // bytes
	measure func() int64

	used atomic.Int64 // at the last look
	at   atomic.Int64 // of the last look, Unix nanoseconds
	held atomic.Int64 // large messages under way
	look sync.Mutex
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

// Hold counts a message of n bytes until release is called, if there is room for the call it belongs to.
func (m *Memory) Hold(n int64) (release func(), ok bool) {
	if m == nil || n < LargeMessage {
		return func() {}, true
	}
	n *= copies
	if !m.room(n) {
		return nil, false
	}
	m.held.Add(n)
	return func() { m.held.Add(-n) }, true
}

// room reports whether n bytes more are within the limit.
func (m *Memory) room(n int64) bool {
	now := time.Now().UnixNano()
	if now-m.at.Load() > int64(looked) && m.look.TryLock() {
		m.used.Store(m.measure())
		m.at.Store(now)
		m.look.Unlock()
	}
	// What is held is partly in use already; to count it twice would refuse calls at half of the limit.
	return max(m.used.Load(), m.held.Load()+n) < m.short && m.used.Load()+n/copies < m.short
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
