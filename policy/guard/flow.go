package guard

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"weir/catalog"
	"weir/policy"
)

// remembered bounds of how many callers, or traces, it is known what they read.
const remembered = 1 << 16

// flows is a compiled [Flows].
type flows struct {
	private, untrusted, external func(catalog.Ref) bool
	window                       time.Duration
	action                       Mode
	perTrace                     bool
}

// newFlows compiles a Flows, nil for one without patterns.
func newFlows(s Flows) (*flows, error) {
	if len(s.Private)+len(s.Untrusted)+len(s.External) == 0 {
		return nil, nil //nolint:nilnil // nothing is watched
	}
	f := &flows{window: s.Window, action: s.Action, perTrace: s.Per == "trace"}
	for _, list := range []struct {
		name     string
		patterns []string
		into     *func(catalog.Ref) bool
	}{{"private", s.Private, &f.private}, {"untrusted", s.Untrusted, &f.untrusted}, {"external", s.External, &f.external}} {
		if len(list.patterns) == 0 {
			return nil, fmt.Errorf("flows: %s is empty; a flow has all three: private, untrusted, external", list.name)
		}
		var err error
		if *list.into, err = policy.Selection(list.patterns); err != nil {
			return nil, fmt.Errorf("flows.%s: %w", list.name, err)
		}
	}
	switch {
	case s.Action != Block && s.Action != Flag:
		return nil, errors.New("flows.action is block or flag")
	case s.Window <= 0:
		return nil, errors.New("flows.window must be longer than nothing")
	}
	return f, nil
}

// Engine is the guard in force, and what callers have read. It is safe for concurrent use. The zero Engine guards nothing.
type Engine struct {
	guard atomic.Pointer[Guard]

	mu   sync.Mutex
	read *simplelru.LRU[string, reading]
}

// reading is what a caller has read last, and when.
type reading struct {
	private, untrusted     catalog.Ref
	privateAt, untrustedAt time.Time
}

// Swap puts a guard in force, nil for none. What callers have read stays known.
func (e *Engine) Swap(g *Guard) { e.guard.Store(g) }

// Guard is the one in force, nil for none. A nil Engine has none.
func (e *Engine) Guard() *Guard {
	if e == nil {
		return nil
	}
	return e.guard.Load()
}

// Leak is a call that would send data out after its caller read what it should not have together.
type Leak struct {
	Ref                catalog.Ref // that would send
	Private, Untrusted catalog.Ref // read last
	Until              time.Time   // when it may be sent again, if nothing more is read
	Block              bool
}

// Use is an entry that a caller is about to use.
type Use struct {
	Caller string // opaque
	Trace  string // id, "" for none
	Ref    catalog.Ref
	Sends  *catalog.Ref // another entry for whose call it is read, nil for none
	Now    time.Time
}

// Enter notes what a call will read, and returns the leak that it would be; nil for none.
func (e *Engine) Enter(u Use) *Leak {
	g := e.Guard()
	if g == nil || g.flows == nil {
		return nil
	}
	f := g.flows
	private, untrusted, external := f.private(u.Ref), f.untrusted(u.Ref), f.external(u.Ref)
	sends := u.Ref
	if u.Sends != nil && f.external(*u.Sends) {
		external, sends = true, *u.Sends
	}
	if !private && !untrusted && !external {
		return nil
	}
	key := "caller " + u.Caller
	if f.perTrace && u.Trace != "" {
		key = "trace " + u.Trace + " " + u.Caller
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read == nil {
		e.read, _ = simplelru.NewLRU[string, reading](remembered, nil) // fails only for a size below 1
	}
	r, _ := e.read.Get(key)
	before := r
	if private {
		r.private, r.privateAt = u.Ref, u.Now
	}
	if untrusted {
		r.untrusted, r.untrustedAt = u.Ref, u.Now
	}
	var leak *Leak
	if external {
		leak = f.leak(u, sends, reading{r.private, before.untrusted, r.privateAt, before.untrustedAt})
	}
	if (private || untrusted) && (leak == nil || !leak.Block) {
		e.read.Add(key, r)
	}
	return leak
}

// leak is what it would be to send, now, after r was read. What a call reads itself it may send as well, but nobody was told to call it by that.
func (f *flows) leak(u Use, sends catalog.Ref, r reading) *Leak {
	if r.privateAt.IsZero() || r.untrustedAt.IsZero() {
		return nil
	}
	until := r.privateAt
	if r.untrustedAt.Before(until) {
		until = r.untrustedAt
	}
	if until = until.Add(f.window); !u.Now.Before(until) {
		return nil
	}
	return &Leak{Ref: sends, Private: r.private, Untrusted: r.untrusted, Until: until, Block: f.action == Block}
}
