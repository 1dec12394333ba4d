package upstream

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog"
)

const (
	// repeatShare is how many repetitions a call earns, maxRepeats how many can be saved up.
	repeatShare = 0.1
	maxRepeats  = 10
	// repeatPause is about how long a repetition waits, so that many do not come at once.
	repeatPause = 20 * time.Millisecond
)

// budget bounds the repetitions of calls to one upstream by a share of its calls: an upstream that fails must not get more to do for that.
type budget struct {
	mu    sync.Mutex
	calls uint64 // seen so far
	saved float64
}

// take takes a repetition out, if one is left after so many calls in all.
func (b *budget) take(calls uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved = math.Min(maxRepeats, b.saved+float64(calls-min(calls, b.calls))*repeatShare)
	b.calls = max(calls, b.calls)
	if b.saved < 1 {
		return false
	}
	b.saved--
	return true
}

// repeats reports whether a call that failed with err, of unknown outcome, may be sent once more: it reads a resource, or is of a tool that the operator
// marked. What a server says of its tools does not count. A timeout is none of these failures: the call had its time. Nor is a server that asks
// to be left alone for a while: the caller is told.
func (m *member) repeats(ctx context.Context, call *catalog.Call, err error, twin *second) bool {
	e, ok := errors.AsType[*catalog.Error](err)
	switch {
	case m.pooled || !ok || e.Code != catalog.Unavailable || e.Execution != catalog.Unknown || e.Retry > 0:
		return false
	case call.Method != "resources/read" && (call.Method != "tools/call" || !m.bounds.Load().idempotent(call.Entry.Ref.Name)):
		return false
	}
	return twin.take() && m.budget.take(m.calls.Load()) && sleep(ctx, nil, jitter(repeatPause))
}

// second is the one further request that a call may cost. Whichever attempt of the call takes it first has it; nil is for a call of one attempt.
type second struct{ taken atomic.Bool }

func (s *second) take() bool { return s == nil || !s.taken.Swap(true) }

// hedges returns after which time without an answer a call is sent a second time, 0 for never: only what the operator marked as idempotent and
// gave such a time. The endpoints of a pool leave it to the pool.
func (m *member) hedges(all *deadlines, call *catalog.Call) time.Duration {
	if m.pooled || call.Method != "tools/call" || !all.idempotent(call.Entry.Ref.Name) {
		return 0
	}
	return all.hedge(call.Entry.Ref.Name)
}

// leg is how one of two attempts ended.
type leg struct {
	first  bool
	answer *catalog.Answer
	err    error
}

// callTwice sends a call, and once more when nothing came back after a while and the budget has something left; the first answer counts, and the
// other attempt is cancelled. Only the first may ask and tell the caller anything. It returns when both have ended: they read the caller's message.
func (m *member) callTwice(ctx context.Context, call *catalog.Call, after time.Duration) (*catalog.Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var twin second
	legs := make(chan leg, 2)
	send := func(first bool, call *catalog.Call) {
		go func() {
			var a *catalog.Answer
			err := m.guarded(func() (err error) {
				a, err = m.callOn(ctx, call, &twin)
				return err
			})
			legs <- leg{first, a, err}
		}()
	}
	send(true, call)
	open := 1
	timer := time.NewTimer(after)
	defer timer.Stop()
	var best *leg
	for open > 0 {
		select {
		case <-timer.C:
			leave, ok := m.place()
			if !ok || !twin.take() || !m.budget.take(m.calls.Load()) {
				leave()
				continue
			}
			defer leave()
			silent := *call
			silent.Notify, silent.Ask, silent.Parked, silent.Hop = nil, nil, nil, nil
			send(false, &silent)
			open++
		case l := <-legs:
			open--
			switch {
			case best != nil && best.err == nil:
				if l.err == nil {
					l.answer.Release()
				}
			case best == nil || l.err == nil || notExecuted(best.err) || l.first && !notExecuted(l.err):
				best = &l
			}
			if l.err == nil {
				cancel()
			}
		}
	}
	return best.answer, best.err
}

// hedge is what the configuration says of a tool; the most telling pattern counts.
func (d *deadlines) hedge(tool string) time.Duration {
	for _, t := range d.tools {
		if t.Hedge > 0 && t.pattern.Match(tool) {
			return t.Hedge
		}
	}
	return 0
}

// idempotent reports what the configuration says of a tool; the most telling pattern counts.
func (d *deadlines) idempotent(tool string) bool {
	for _, t := range d.tools {
		if t.Idempotent != nil && t.pattern.Match(tool) {
			return *t.Idempotent
		}
	}
	return false
}
