package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog"
)

// Endpoint is one of several addresses of an upstream.
type Endpoint struct {
	// URL is as for an upstream with one.
	URL string `yaml:"url"`
	// Weight is its share of the calls among those of its priority; 0 means 1.
	Weight int `yaml:"weight"`
	// Priority 0 is used first; a higher number only when nothing of a lower one can be reached.
	Priority int `yaml:"priority"`
}

// spareFor is how long an endpoint that lost a call is chosen only when there is no other.
const spareFor = time.Second

// pool is an upstream of several endpoints. Each is a member of its own, with its connection, sessions and breakers; the pool is the connection that
// the upstream's own member has, alive while one endpoint is.
type pool struct {
	upstream string
	balance  string
	seed     maphash.Seed
	ends     []*end

	mu      sync.Mutex
	now     *pooled       // in use, nil while no endpoint is ready
	changed func()        // tells that lists may differ
	moved   chan struct{} // closed when an endpoint changes its state
}

// end is one endpoint.
type end struct {
	*member
	weight, priority int
	open             atomic.Int64 // calls
	lost             atomic.Int64 // when it last lost a call, in nanoseconds of Unix time
	turn             int          // of the weighted round robin, guarded by pool.mu
}

// newPool returns the pool of spec, nil when that has one endpoint.
func newPool(s *Set, name string, spec *Spec) *pool {
	if len(spec.Endpoints) == 0 {
		return nil
	}
	p := &pool{upstream: name, balance: spec.Balance, seed: maphash.MakeSeed(), moved: make(chan struct{})}
	for i, e := range spec.Endpoints {
		m := newMember(s, name, spec.of(i), nil)
		m.turned, m.pooled = p.turned, true
		p.ends = append(p.ends, &end{member: m, weight: cmp.Or(e.Weight, 1), priority: e.Priority})
	}
	return p
}

// of is the Spec of one endpoint alone.
func (s *Spec) of(i int) *Spec {
	one := *s
	one.URL, one.Endpoints, one.Balance, one.Concurrency, one.Queue = s.Endpoints[i].URL, nil, "", 0, nil
	return &one
}

// turned takes that an endpoint changed its state or its lists.
func (p *pool) turned() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.moved)
	p.moved = make(chan struct{})
	switch {
	case p.now == nil:
	case p.first() == nil:
		close(p.now.lost)
		p.now = nil
	default:
		p.changed()
	}
}

// first is the first ready endpoint of the best priority, nil when none is ready.
func (p *pool) first() *end {
	var best *end
	for _, e := range p.ends {
		e.mu.Lock()
		ready := e.state == Ready
		e.mu.Unlock()
		if ready && (best == nil || e.priority < best.priority) {
			best = e
		}
	}
	return best
}

// dial waits until an endpoint is ready, or until all have failed once more. It is the dialer of the upstream.
func (p *pool) dial(ctx context.Context, _ manner, changed func()) (backend, error) {
	tries := make([]int, len(p.ends))
	for i, e := range p.ends {
		e.mu.Lock()
		tries[i] = e.tries
		e.mu.Unlock()
		give(e.wakes)
	}
	for {
		p.mu.Lock()
		p.changed = changed
		moved := p.moved
		if p.first() != nil {
			p.now = &pooled{pool: p, lost: make(chan struct{})}
			defer p.mu.Unlock()
			return p.now, nil
		}
		p.mu.Unlock()
		failed := 0
		for i, e := range p.ends {
			e.mu.Lock()
			if (e.state == Failed || e.state == SignIn || e.starved != nil) && e.tries > tries[i] {
				failed++
			}
			e.mu.Unlock()
		}
		if failed == len(p.ends) {
			return nil, p.ends[0].unavailable()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, gaveUp(ctx, p.upstream)
		}
	}
}

// pick chooses among the endpoints that are up and not among tried, a set of bits; nil when there is none.
func (p *pool) pick(call *catalog.Call, tried uint64) (int, *end) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now().UnixNano()
	rank := func(e *end) int { // the lower the better
		if now-e.lost.Load() < int64(spareFor) {
			return e.priority + math.MaxInt32
		}
		return e.priority
	}
	best := math.MaxInt
	var among []int
	for i, e := range p.ends {
		l := e.live.Load()
		if tried&(1<<i) != 0 || l == nil || l.backend.Err() != nil {
			continue
		}
		if r := rank(e); r < best {
			best, among = r, among[:0]
		}
		if rank(e) == best {
			among = append(among, i)
		}
	}
	switch {
	case len(among) == 0:
		return 0, nil
	case len(among) == 1:
		return among[0], p.ends[among[0]]
	case p.balance == "principal" || p.sticks(call):
		return p.hashed(call, among)
	case p.balance == "least":
		return p.idlest(among)
	}
	return p.next(among)
}

// sticks reports whether a call belongs to a session: a legacy server knows its client by it, and so does one that is called in a legacy client's era.
func (p *pool) sticks(call *catalog.Call) bool {
	if call.Client.Era == catalog.Legacy {
		return true
	}
	first := p.first()
	if first == nil {
		return false
	}
	l := first.live.Load()
	if l == nil {
		return false
	}
	c, ok := l.backend.(conversation)
	return ok && c.Era() == catalog.Legacy
}

// hashed chooses by weighted rendezvous hashing: when an endpoint is lost, only its callers move.
func (p *pool) hashed(call *catalog.Call, among []int) (at int, chosen *end) {
	key := call.Owner
	if call.Client.Era == catalog.Legacy && p.balance != "principal" {
		key += "\x00" + call.Client.Session
	}
	most := math.Inf(-1)
	for _, i := range among {
		e := p.ends[i]
		h := maphash.String(p.seed, fmt.Sprint(i, "\x00", key))
		score := -float64(e.weight) / math.Log((float64(h>>11)+0.5)/(1<<53))
		if score > most {
			most, at, chosen = score, i, e
		}
	}
	return at, chosen
}

// idlest chooses what has the fewest open calls for its weight.
func (p *pool) idlest(among []int) (at int, chosen *end) {
	for _, i := range among {
		e := p.ends[i]
		if chosen == nil || e.open.Load()*int64(chosen.weight) < chosen.open.Load()*int64(e.weight) {
			at, chosen = i, e
		}
	}
	return at, chosen
}

// next chooses by smooth weighted round robin.
func (p *pool) next(among []int) (at int, chosen *end) {
	total := 0
	for _, i := range among {
		e := p.ends[i]
		e.turn += e.weight
		total += e.weight
		if chosen == nil || e.turn > chosen.turn {
			at, chosen = i, e
		}
	}
	chosen.turn -= total
	return at, chosen
}

// unreached is the error of a call for which there is no endpoint.
func (p *pool) unreached() *catalog.Error {
	for _, e := range p.ends {
		if short := e.unavailable(); short.Code == catalog.Limited {
			return short
		}
	}
	return &catalog.Error{
		Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: none of its %d endpoints can be reached", p.upstream, len(p.ends)), Hint: "weir ls", Execution: catalog.NotExecuted,
	}
}

// pooled is a pool in use.
type pooled struct {
	pool *pool
	lost chan struct{}
}

// Call implements backend. A call that an endpoint provably did not execute goes to the next.
func (b *pooled) Call(ctx context.Context, call *catalog.Call) (*catalog.Answer, error) {
	var err error
	for tried := uint64(0); ; {
		i, e := b.pool.pick(call, tried)
		if e == nil {
			if err == nil {
				err = b.pool.unreached()
			}
			return nil, err
		}
		tried |= 1 << i
		e.open.Add(1)
		var a *catalog.Answer
		a, err = e.call(ctx, call)
		e.open.Add(-1)
		if err == nil {
			return a, nil
		}
		own, ok := errors.AsType[*catalog.Error](err)
		if ok && own.Code == catalog.Unavailable {
			e.lost.Store(time.Now().UnixNano())
		}
		if !ok || own.Execution != catalog.NotExecuted || own.Code == catalog.Canceled || ctx.Err() != nil {
			return nil, err
		}
	}
}

// List implements backend: the lists of the best endpoint stand for all.
func (b *pooled) List(context.Context) (*catalog.Source, map[catalog.Kind]error, error) {
	if e := b.pool.first(); e != nil {
		if src := e.last(); src != nil {
			return src, nil, nil
		}
	}
	return nil, nil, catalog.Errorf(catalog.Unavailable, "%s: no endpoint is ready", b.pool.upstream)
}

// Done implements backend.
func (b *pooled) Done() <-chan struct{} { return b.lost }

// Err implements backend.
func (b *pooled) Err() error {
	select {
	case <-b.lost:
		return b.pool.ends[0].unavailable()
	default:
		return nil
	}
}

// Close implements backend. The endpoints end with the upstream.
func (b *pooled) Close(context.Context) error { return nil }

// Watch implements watcher, on the best endpoint.
func (b *pooled) Watch(ctx context.Context, topic catalog.Topic) error {
	e := b.pool.first()
	if e == nil {
		return catalog.Errorf(catalog.Unavailable, "%s: no endpoint is ready", b.pool.upstream)
	}
	return e.subscribe(ctx, topic)
}

// Unwatch implements watcher.
func (b *pooled) Unwatch(ctx context.Context, topic catalog.Topic) {
	for _, e := range b.pool.ends {
		e.unsubscribe(ctx, topic)
	}
}
