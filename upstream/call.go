package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"weir/catalog"
	"weir/upstream/cred"
)

// live is a connection in use. It is closed when no call is left on it.
type live struct {
	backend backend

	mu      sync.Mutex
	open    int
	closing bool
	empty   chan struct{} // closed when the last call has left, once closing
}

// enter lets a call in, unless the connection is being closed.
func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.open++
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.closing && l.open == 0 {
		close(l.empty)
	}
}

// close lets no call in any more, waits for those that are in, and closes the connection, all within ctx.
func (l *live) close(ctx context.Context) {
	l.mu.Lock()
	l.closing, l.empty = true, make(chan struct{})
	if l.open == 0 {
		close(l.empty)
	}
	l.mu.Unlock()
	select {
	case <-l.empty:
	case <-ctx.Done():
	}
	_ = l.backend.Close(ctx) // what is left then is the supervisor's
}

// call carries one call.
func (m *member) call(ctx context.Context, call *catalog.Call) (*catalog.Answer, error) {
	n, tool := m.calls.Add(1), ""
	if call.Entry.Kind == catalog.Tool {
		tool = call.Entry.Ref.Name
	}
	if held := m.breakers.admit(n, tool, m.bounds.Load().whole.limit); held != nil {
		m.held.Add(1)
		return nil, held
	}
	a, err := m.callInTurn(ctx, call)
	if err != nil && notExecuted(err) {
		if short := m.shortage(err); short != nil {
			err = short
		}
	}
	m.breakers.note(n, m.calls.Load(), tool, err, m.spec.Load().Breaker)
	if err != nil {
		m.count(err)
	} else if m.spec.Load().IdleStop > 0 {
		m.owe(a)
	}
	return a, err
}

// count counts a call that failed. The server has no part in one that weir held back or whose caller gave it up.
func (m *member) count(err error) {
	own, ok := errors.AsType[*catalog.Error](err)
	switch {
	case !ok || own.Code != catalog.Limited && own.Code != catalog.Canceled || own.Code == catalog.Limited && own.Execution != catalog.NotExecuted:
		m.errors.Add(1)
	case own.Execution == catalog.NotExecuted:
		m.held.Add(1)
	}
}

// callInTime carries a call within the deadlines for it. What it waited before counts.
func (m *member) callInTime(ctx context.Context, call *catalog.Call) (*catalog.Answer, error) {
	if m.spec.Load().personal() {
		ctx = cred.For(ctx, call.Caller())
	}
	all := m.bounds.Load()
	if all.simple(call) {
		bound, cancel := context.WithTimeoutCause(ctx, all.whole.limit-call.Queued, all.late)
		defer cancel()
		return m.callOn(bound, call, nil)
	}
	c := startClock(ctx, all, call)
	defer c.stop()
	if after := m.hedges(all, call); after > 0 {
		return m.callTwice(c.ctx, &c.call, after)
	}
	return m.callOn(c.ctx, &c.call, nil)
}

// callOn sends the call on the live connection. When that turns out to be dead, with proof that the call was not executed, the call is sent once more on the
// next one; so is one of unknown outcome that may be repeated, unless another attempt has taken that: twin is nil for none. Nothing is sent three times.
func (m *member) callOn(ctx context.Context, call *catalog.Call, twin *second) (*catalog.Answer, error) {
	var (
		used  *live
		first error // of an attempt whose outcome nobody knows
	)
	for again := false; ; {
		l, err := m.connection(ctx, used)
		if err != nil {
			return nil, cmp.Or(first, err)
		}
		if !l.enter() {
			used = l
			continue
		}
		a, on, err := m.callAs(ctx, l, call)
		l.leave()
		l = on
		dead := err != nil && l.backend.Err() != nil
		safe := dead && notExecuted(err)
		if err == nil || again || ctx.Err() != nil || !safe && !m.repeats(ctx, call, err, twin) {
			if err != nil && first != nil && notExecuted(err) { // the repetition was not, the call may have been
				err = first
			}
			return a, err
		}
		if !notExecuted(err) {
			first = err
		}
		if again = true; dead {
			used = l
		}
	}
}

// callAs sends a call on the session it needs, or on l. It returns what the call was sent on.
func (m *member) callAs(ctx context.Context, l *live, call *catalog.Call) (a *catalog.Answer, on *live, err error) {
	key, own := m.keyOf(l, call)
	if !own {
		a, err = l.backend.Call(ctx, call)
		return a, l, err
	}
	s, err := m.enter(ctx, key)
	if err != nil {
		return nil, l, err
	}
	defer m.leave(s)
	if !s.live.enter() {
		return nil, l, m.unavailable()
	}
	defer s.live.leave()
	a, err = s.live.backend.Call(ctx, call)
	return a, s.live, err
}

func notExecuted(err error) bool {
	var e *catalog.Error
	return errors.As(err, &e) && e.Execution == catalog.NotExecuted
}

// connection returns a live connection other than used. Without one it waits for at most one attempt to make it, and no longer than patience, unless
// the attempt is made for it.
func (m *member) connection(ctx context.Context, used *live) (*live, error) {
	if l := m.live.Load(); l != nil && l != used && l.backend.Err() == nil {
		return l, nil
	}
	arrived := time.Now()
	timer := time.NewTimer(m.patience())
	defer timer.Stop()
	again := time.NewTimer(wakeEvery) // by then who waits may wake an upstream that was tried just before
	defer again.Stop()
	tries := -1
	for {
		m.mu.Lock()
		moved := m.moved
		if tries < 0 {
			tries = m.tries
		}
		down := m.down(arrived, tries)
		m.mu.Unlock()
		if l := m.live.Load(); l != nil && l != used && l.backend.Err() == nil {
			return l, nil
		}
		if down {
			return nil, m.unavailable()
		}
		select {
		case <-moved:
		case <-again.C:
		case <-timer.C:
			return nil, m.unavailable()
		case <-ctx.Done():
			return nil, gaveUp(ctx, m.name)
		}
	}
}

// patience is how long a call waits for a connection. One that starts an idle upstream waits as long as its start may take.
func (m *member) patience() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == Idle || m.waking {
		return closeWait + cmp.Or(m.spec.Load().StartTimeout, DefaultStartTimeout)
	}
	return patience
}

// down reports whether a call that arrived at a time, after so many attempts, has nothing to wait for. It makes a failed upstream try again, at most once
// per wakeEvery. m.mu is held.
func (m *member) down(arrived time.Time, tries int) bool {
	switch {
	case m.state == Disabled || m.state == Stopped:
		return true
	case m.starved != nil:
		return m.tries > tries
	case m.state == Idle:
		give(m.wakes)
		return false
	case m.waking:
		return false
	case m.trying:
		return arrived.Sub(m.tried) >= patience/2 // this one takes long
	case m.state == Ready: // its goroutine has yet to notice that the connection is lost
		return false
	case m.tries > tries && !m.nextTry.IsZero(), time.Now().Before(m.away):
		return true
	case m.nextTry.IsZero(): // about to be tried, or to fall
		return false
	case time.Since(m.tried) >= wakeEvery:
		give(m.wakes)
		return false
	default:
		return m.nextTry.Sub(arrived) >= patience
	}
}

// unavailable is the error of a call to an upstream that is not there: its state, since when, and why.
func (m *member) unavailable() *catalog.Error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.starved != nil {
		return m.starved
	}
	e := &catalog.Error{Code: catalog.Unavailable, Hint: m.hint, Execution: catalog.NotExecuted}
	since := short(time.Since(m.since))
	if m.state == Failed {
		e.Retry = max(0, time.Until(m.away))
	}
	switch m.state {
	case SignIn:
		e.Code = catalog.NeedsLogin
		e.Msg = fmt.Sprintf("%s (for %s)", m.reason, since)
	case Failed:
		e.Msg = fmt.Sprintf("%s (down for %s)", m.reason, since)
	case Disabled:
		e.Msg = m.name + ": is disabled in the configuration"
	case Stopped:
		e.Msg = m.name + ": is stopped"
	case Starting:
		e.Msg = fmt.Sprintf("%s: is still starting (for %s)", m.name, since)
	default:
		e.Msg = m.name + ": is reconnecting"
	}
	if e.Hint == "" && m.state != Stopped {
		e.Hint = "weir ls"
	}
	return e
}

// gaveUp is the error of a call whose time ended while it waited for a connection or a place.
func gaveUp(ctx context.Context, upstream string) *catalog.Error {
	if own, ok := errors.AsType[*catalog.Error](context.Cause(ctx)); ok {
		e := *own
		e.Execution = catalog.NotExecuted
		return &e
	}
	return &catalog.Error{Code: catalog.Canceled, Msg: upstream + ": the call was canceled", Execution: catalog.NotExecuted, Err: context.Cause(ctx)}
}

// last is what the upstream offered last.
func (m *member) last() *catalog.Source {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.source
}

// short writes a duration for people, to the second.
func short(d time.Duration) string { return d.Round(time.Second).String() }
