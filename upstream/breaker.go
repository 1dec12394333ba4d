package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog"
)

// Breaker says when calls are held back from an upstream or a tool that fails.
type Breaker struct {
	// Failures is how many calls of one tool must fail in a row; 0 means 5. For the whole upstream it takes twice as many.
	Failures int `yaml:"failures"`
	// Wait is how long no call is sent then, before one may try; 0 means one second. It doubles with each that fails too, up to 30 seconds.
	Wait time.Duration `yaml:"wait"`
	// Off lets every call through.
	Off bool `yaml:"off"`
}

const (
	defaultFailures = 5
	defaultHold     = time.Second
	maxHold         = 30 * time.Second
)

// breakers are the circuit breakers of one upstream: one for each tool that fails, by its own name, and one for the upstream, under "". One exists only
// from a failure to the next success, so that calls to what works cost no more than a look at one number.
type breakers struct {
	upstream string
	log      *slog.Logger
	open     atomic.Int32 // entries in all

	mu  sync.Mutex
	all map[string]*breaker
}

// breaker counts failures in a row. While it is open no call passes; after the wait one does, and its end decides.
type breaker struct {
	failures int
	mark     uint64        // calls that began before are of the same incident
	code     catalog.Code  // of the last failure
	hold     time.Duration // of the last opening, 0 while closed
	until    time.Time     // nobody passes before, once open
	trial    uint64        // the call that tries, 0 for none
}

// admit lets call n pass, or says why not. whole is how long a call may take: a trial counts as lost after that.
func (b *breakers) admit(n uint64, tool string, whole time.Duration) *catalog.Error {
	if b.open.Load() == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var due [2]*breaker
	for i, key := range b.keys(tool) {
		x := b.all[key]
		if x == nil || x.hold == 0 {
			continue
		}
		if now.Before(x.until) {
			return b.refusal(key, x, now)
		}
		due[i] = x
	}
	for _, x := range due {
		if x != nil {
			x.trial, x.until = n, now.Add(whole)
		}
	}
	return nil
}

// keys are the breakers that a call passes.
func (b *breakers) keys(tool string) []string {
	if tool == "" {
		return []string{""}
	}
	return []string{"", tool}
}

// refusal is the error of a call that an open breaker held back.
func (b *breakers) refusal(key string, x *breaker, now time.Time) *catalog.Error {
	e := &catalog.Error{Code: catalog.Unavailable, Execution: catalog.NotExecuted, Hint: "weir ls", Retry: x.until.Sub(now)}
	e.Msg = b.reason(key, x, now)
	if x.trial != 0 {
		e.Retry = x.hold
	}
	return e
}

// reason says what an open breaker does, and why.
func (b *breakers) reason(key string, x *breaker, now time.Time) string {
	next := "a call tries it now"
	switch wait := x.until.Sub(now); {
	case wait <= 0:
		next = "the next call tries it"
	case x.trial == 0:
		next = fmt.Sprintf("it is tried again in %s", max(wait.Round(100*time.Millisecond), 100*time.Millisecond))
	}
	subject := b.upstream
	if key != "" {
		subject += "/" + key
	}
	return fmt.Sprintf("%s: %d calls in a row failed (the last: %s), %s", subject, x.failures, x.code, next)
}

// note takes how call n ended; calls is how many have begun by now. Only what the server did counts: calls that never reached it, were given up or were
// refused by weir say nothing, and an answer is an answer, whatever it says.
func (b *breakers) note(n, calls uint64, tool string, err error, spec Breaker) {
	if err == nil && b.open.Load() == 0 || spec.Off {
		return
	}
	var own catalog.Error
	if e, ok := errors.AsType[*catalog.Error](err); ok {
		own = *e
	}
	failed := own.Code == catalog.Unavailable || own.Code == catalog.Timeout
	silent := failed && own.Execution == catalog.NotExecuted || own.Code == catalog.Canceled || own.Code == catalog.Limited
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range b.keys(tool) {
		switch x := b.all[key]; {
		case silent:
			if x != nil && x.trial == n {
				x.trial, x.until = 0, time.Now()
			}
		case failed:
			b.fail(n, calls, key, own.Code, spec)
		case x != nil && (x.hold == 0 || x.trial == n):
			if x.hold > 0 {
				b.log.Info("calls pass again", "upstream", b.upstream, "tool", key)
			}
			delete(b.all, key)
		}
	}
	b.open.Store(int32(len(b.all)))
}

// fail counts a failure, and opens the breaker when that was one too many. Calls that began before the last failure of a connection were in flight
// with it: they are no further sign. b.mu is held.
func (b *breakers) fail(n, calls uint64, key string, code catalog.Code, spec Breaker) {
	x := b.all[key]
	if x == nil {
		x = &breaker{}
		if b.all == nil {
			b.all = map[string]*breaker{}
		}
		b.all[key] = x
	}
	limit := cmp.Or(spec.Failures, defaultFailures)
	if key == "" {
		limit *= 2
	}
	switch {
	case x.hold > 0 && x.trial != n: // it was sent before
		return
	case code == catalog.Unavailable && x.hold == 0 && n <= x.mark:
		return
	}
	x.failures++
	x.mark, x.code = calls, code
	if x.failures < limit {
		return
	}
	x.hold = min(max(2*x.hold, cmp.Or(spec.Wait, defaultHold)), max(maxHold, spec.Wait))
	x.until, x.trial = time.Now().Add(x.hold), 0
	b.log.Warn("calls are held back", "upstream", b.upstream, "tool", key, "failures", x.failures, "last", string(code), "for", x.hold)
}

// reset closes all.
func (b *breakers) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.all)
	b.open.Store(0)
}

// problems are the open breakers, for people.
func (b *breakers) problems() []catalog.Problem {
	if b.open.Load() == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []catalog.Problem
	for _, key := range slices.Sorted(maps.Keys(b.all)) {
		if x := b.all[key]; x.hold > 0 {
			all = append(all, catalog.Problem{Upstream: b.upstream, Kind: catalog.Tool, Name: key, Reason: b.reason(key, x, time.Now())})
		}
	}
	return all
}
