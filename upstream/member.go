package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/upstream/process"
)

const (
	// maxAway bounds how long a server that cannot be connected to is left alone because it asks for that.
	maxAway = 5 * time.Minute
	// firstRetry and maxRetry bound the wait before an upstream that failed is tried again; it doubles.
	firstRetry = 250 * time.Millisecond
	maxRetry   = 30 * time.Second
	// steadyAfter is how long a connection must have lasted for the wait to start anew.
	steadyAfter = 20 * time.Second
	// wakeEvery is how often calls can make a failed upstream try again.
	wakeEvery = time.Second
	// patience is how long a call waits for an upstream that is being connected.
	patience = 2 * time.Second
	// quiet is how long after a change of lists further ones are awaited before they are read again.
	quiet = 250 * time.Millisecond
	// closeWait bounds the closing of a lost connection, drainWait that of one whose calls may still be answered.
	closeWait = 5 * time.Second
	drainWait = 30 * time.Second
)

// member is one upstream of a Set. Its goroutine is the only one that changes live, source and state.
type member struct {
	name   string
	set    *Set
	spec   atomic.Pointer[Spec]
	dial   dialer
	live   atomic.Pointer[live]
	bounds atomic.Pointer[deadlines]
	places atomic.Pointer[bulkhead] // nil while nothing bounds the calls
	cancel context.CancelFunc
	crew   sync.WaitGroup // closes connections

	changes chan struct{} // one token: a list changed
	wakes   chan struct{} // one token: somebody wants it up

	calls, errors atomic.Uint64
	held          atomic.Uint64 // of calls: those that were not sent
	subs          subscriptions
	sessions      sessions
	breakers      breakers
	budget        budget
	owes          atomic.Int64 // until when something may be open at the server, in nanoseconds of Unix time; kept only where that matters
	seen          uint64       // calls at the last look of a vigil

	pool   *pool  // of an upstream with several endpoints
	turned func() // of one endpoint among several: its state or lists changed
	pooled bool   // is one endpoint among several, which alone repeats nothing

	mu       sync.Mutex
	state    State
	since    time.Time
	reason   string
	hint     string
	known    process.Facts
	trying   bool           // an attempt to connect is under way
	tried    time.Time      // when the last attempt began
	tries    int            // attempts that are over
	nextTry  time.Time      // zero unless it is waited for
	waking   bool           // it was idle, and is being connected for somebody
	away     time.Time      // no attempt before: the server asked for it
	starved  *catalog.Error // why the last attempt came to nothing that says nothing of the upstream, nil for none
	moved    chan struct{}  // closed at the next change of any of these
	source   *catalog.Source
	fell     time.Time // when source became stale
	problems []catalog.Problem
	facts    Status // what the last connection said about itself
	lost     int    // connections
}

func newMember(s *Set, name string, spec *Spec, last *catalog.Source) *member {
	m := &member{
		name: name, set: s, state: Starting, since: time.Now(), moved: make(chan struct{}),
		changes: make(chan struct{}, 1), wakes: make(chan struct{}, 1), source: stale(last), fell: time.Now(), breakers: breakers{upstream: name, log: s.o.Log},
	}
	if m.pool = newPool(s, name, spec); m.pool != nil {
		m.dial = m.pool.dial
	} else {
		m.dial = s.dialerOf(name, spec)
	}
	m.setSpec(spec)
	if spec.Disabled {
		m.state, m.source = Disabled, nil
	}
	return m
}

// setSpec takes a spec that reaches the same server.
func (m *member) setSpec(spec *Spec) {
	m.bounds.Store(newDeadlines(m.name, spec))
	if old := m.spec.Load(); old == nil || old.Concurrency != spec.Concurrency || !reflect.DeepEqual(old.Queue, spec.Queue) {
		m.places.Store(newBulkhead(m.name, spec))
	}
	m.spec.Store(spec)
	if m.pool != nil {
		for i, e := range m.pool.ends {
			e.setSpec(spec.of(i))
		}
	}
	if spec.Breaker.Off {
		m.breakers.reset()
	}
}

// start runs the upstream until ctx ends.
func (m *member) start(ctx context.Context) {
	ctx, m.cancel = context.WithCancel(ctx)
	if m.spec.Load().Disabled {
		return
	}
	if m.pool != nil {
		for _, e := range m.pool.ends {
			e.start(ctx)
		}
	}
	m.set.running.Go(func() {
		m.run(ctx)
		m.turn(Stopped, nil)
		m.closeSessions()
		m.crew.Wait()
	})
}

// run connects, holds the connection, and connects again, until ctx ends.
func (m *member) run(ctx context.Context) {
	wait := firstRetry
	for asleep := m.recall(); ; {
		if asleep && !m.doze(ctx) {
			return
		}
		began := time.Now()
		err := m.guarded(func() error { return m.use(ctx) })
		if ctx.Err() != nil {
			return
		}
		if asleep = errors.Is(err, errUnused); asleep {
			wait = firstRetry
			continue
		}
		if short := m.shortage(err); short != nil {
			if !m.starve(ctx, short) {
				return
			}
			continue
		}
		if time.Since(began) >= steadyAfter {
			wait = firstRetry
		}
		m.fall(err)
		if !m.rest(ctx, jitter(wait)) {
			return
		}
		wait = min(2*wait, maxRetry)
	}
}

// use connects and holds the connection until it is over, with the reason.
func (m *member) use(ctx context.Context) error {
	l, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer m.retire(l)
	return m.hold(ctx, l)
}

// guarded runs work on what the server sends. A panic in it is its error: the connection ends with it, or what the work was for, and the state says so.
func (m *member) guarded(work func() error) error {
	err := fault.Catch(m.set.o.Log, work, "upstream", m.name)
	if _, said := errors.AsType[*catalog.Error](err); said {
		return err
	}
	if _, ok := errors.AsType[*fault.PanicError](err); ok {
		return &catalog.Error{Code: catalog.Internal, Msg: m.name + ": " + err.Error(), Err: err}
	}
	return err
}

// beside runs work beside the calls, which close waits for. What it fails with was said where it failed.
func (m *member) beside(work func()) {
	m.crew.Go(func() { _ = m.guarded(func() error { work(); return nil }) })
}

// connect makes a connection and reads the first lists. From the handshake on calls can use it.
func (m *member) connect(ctx context.Context) (*live, error) {
	ctx, cancel := m.startLimit(ctx)
	defer cancel()
	m.try(true)
	drop(m.changes)
	var b backend
	err := m.guarded(func() (err error) {
		b, err = m.dial(ctx, manner{capabilities: everything}, func() { give(m.changes) })
		return err
	})
	if err != nil {
		m.try(false)
		return nil, err
	}
	l := &live{backend: b}
	m.live.Store(l)
	m.try(false)
	if err := m.guarded(func() error { return m.list(ctx, l) }); err != nil {
		m.retire(l)
		return nil, err
	}
	m.subs.renew(m, l)
	return l, nil
}

// startLimit bounds connecting and listing.
func (m *member) startLimit(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := m.spec.Load().StartTimeout
	if limit == 0 {
		limit = DefaultStartTimeout
	}
	return context.WithTimeoutCause(ctx, limit, &catalog.Error{
		Code: catalog.Timeout, Msg: fmt.Sprintf("%s: not ready within %s", m.name, limit), Hint: "raise startTimeout of " + m.name,
	})
}

// list reads what the upstream offers and makes it ready. A list that failed keeps what was read of it before.
func (m *member) list(ctx context.Context, l *live) error {
	src, faults, err := l.backend.List(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.problems = nil
	for _, kind := range []catalog.Kind{catalog.Tool, catalog.Prompt, catalog.Resource, catalog.Template} {
		fault := faults[kind]
		if fault == nil {
			continue
		}
		m.problems = append(m.problems, catalog.Problem{Upstream: m.name, Kind: kind, Reason: reasonOf(m.name, fault)})
		if m.source != nil {
			*items(src, kind) = *items(m.source, kind)
		}
	}
	if c, ok := l.backend.(conversation); ok {
		src.Legacy = !c.Eras().Modern
	}
	m.source = src
	fresh := m.state != Ready
	m.mu.Unlock()
	if len(faults) == 0 {
		m.remember(src)
	}
	m.tell(fresh, src, faults)
	m.turn(Ready, nil)
	return nil
}

// tell logs what an upstream offers when it becomes ready, and every list that could not be read: a catalogue that is empty says nothing by itself.
func (m *member) tell(fresh bool, src *catalog.Source, faults map[catalog.Kind]error) {
	if fresh {
		m.set.o.Log.Info("upstream is ready", "upstream", m.name, "tools", len(src.Tools), "prompts", len(src.Prompts),
			"resources", len(src.Resources), "templates", len(src.Templates))
	}
	for kind, fault := range faults {
		m.set.o.Log.Warn("a list could not be read", "upstream", m.name, "kind", kind.String(), "error", fault)
	}
}

func items(src *catalog.Source, kind catalog.Kind) *[][]byte {
	switch kind {
	case catalog.Tool:
		return &src.Tools
	case catalog.Prompt:
		return &src.Prompts
	case catalog.Resource:
		return &src.Resources
	default:
		return &src.Templates
	}
}

// refresh reads the lists again.
func (m *member) refresh(ctx context.Context, l *live) error {
	ctx, cancel := m.startLimit(ctx)
	defer cancel()
	return m.guarded(func() error { return m.list(ctx, l) })
}

// note keeps that the lists could not be read again. Those of before stay.
func (m *member) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.problems = []catalog.Problem{{Upstream: m.name, Reason: reasonOf(m.name, err)}}
}

// fall makes the upstream failed.
func (m *member) fall(err error) {
	state := Failed
	own, ok := errors.AsType[*catalog.Error](err)
	if ok && own.Code == catalog.NeedsLogin {
		state = SignIn
	}
	args := []any{"upstream", m.name, "error", err}
	if cause := errors.Unwrap(err); cause != nil {
		args = append(args, "cause", cause)
	}
	m.set.o.Log.Warn("upstream is down", args...)
	m.mu.Lock()
	if m.source != nil && !m.source.Stale {
		m.source, m.fell = stale(m.source), time.Now()
	}
	m.away = time.Time{}
	if ok && own.Retry > 0 {
		m.away = time.Now().Add(min(own.Retry, maxAway))
	}
	m.mu.Unlock()
	m.turn(state, err)
}

// rest waits d, or until somebody wants the upstream up, but as long as the server asked for. It reports whether ctx is still open.
func (m *member) rest(ctx context.Context, d time.Duration) bool {
	drop(m.wakes)
	wakes := m.wakes
	m.mu.Lock()
	if away := time.Until(m.away); away > 0 {
		d, wakes = max(d, away), nil
	}
	m.nextTry = time.Now().Add(d)
	m.mu.Unlock()
	m.signal()
	timer := time.NewTimer(d)
	defer timer.Stop()
	lapse := time.NewTimer(m.untilLapse())
	defer lapse.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-wakes:
			return true
		case <-lapse.C:
			m.lapse()
		}
	}
}

// try notes the begin and the end of an attempt to connect.
func (m *member) try(begins bool) {
	m.mu.Lock()
	m.trying = begins
	if begins {
		m.tried, m.nextTry = time.Now(), time.Time{}
	} else {
		m.tries++
	}
	m.mu.Unlock()
	m.signal()
}

// turn changes the state, for the reason of err. What is down stays down since it fell, however often it is tried.
func (m *member) turn(state State, err error) {
	m.mu.Lock()
	if m.state != state {
		m.since = time.Now()
	}
	if m.state == Ready && state != Ready && state != Idle {
		m.lost++
	}
	m.waking = m.waking && state == Starting
	m.state, m.reason, m.hint, m.known, m.starved = state, "", "", nil, nil
	if err != nil {
		errors.As(err, &m.known)
		m.reason = reasonOf(m.name, err)
		if own, ok := errors.AsType[*catalog.Error](err); ok {
			m.hint = own.Hint
		}
	}
	m.mu.Unlock()
	m.signal()
	m.set.mark()
	if m.turned != nil {
		m.turned()
	}
}

// signal tells everybody who waits for the upstream to move.
func (m *member) signal() {
	m.mu.Lock()
	close(m.moved)
	m.moved = make(chan struct{})
	m.mu.Unlock()
}

// retire takes a connection out of use and closes it, once its calls are over or the time is up. A child is waited for: the next one may need
// what it holds.
func (m *member) retire(l *live) {
	m.live.Store(nil)
	m.mu.Lock()
	l.describe(&m.facts)
	m.mu.Unlock()
	limit := drainWait
	if l.backend.Err() != nil {
		limit = closeWait
	}
	closing := func() {
		ctx, cancel := context.WithTimeout(m.set.hard, limit)
		defer cancel()
		l.close(ctx)
	}
	if l.child() != nil {
		closing()
		return
	}
	m.beside(closing)
}

// stale returns src marked as the last known one.
func stale(src *catalog.Source) *catalog.Source {
	if src == nil || src.Stale {
		return src
	}
	last := *src
	last.Stale = true
	return &last
}

// reasonOf is err for people. It starts with the upstream's name.
func reasonOf(name string, err error) string {
	if own, ok := errors.AsType[*catalog.Error](err); ok {
		return own.Msg
	}
	return name + ": " + err.Error()
}

func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d)) //nolint:gosec // no secret depends on it
}

// sleep waits d. It reports false when ctx or stop ended first.
func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}

func give(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

func drop(token chan struct{}) {
	select {
	case <-token:
	default:
	}
}
