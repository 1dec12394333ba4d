package upstream

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/catalog"
	"weir/translate"
)

// deadlines are how long calls of one upstream may take. They are made once per Spec.
type deadlines struct {
	upstream string
	whole    deadline
	idle     deadline // its limit is 0 for none
	late     *catalog.Error
	tools    []toolDeadlines // the most telling pattern first
}

// deadline is one limit and the key of the configuration that it stands under.
type deadline struct {
	limit time.Duration
	key   string
}

// toolDeadlines are what the configuration says about some of the tools.
type toolDeadlines struct {
	pattern catalog.Glob
	translate.Tool
}

func newDeadlines(upstream string, spec *Spec) *deadlines {
	d := &deadlines{upstream: upstream, whole: deadline{cmp.Or(spec.Timeout, DefaultTimeout), "timeout"}, idle: deadline{spec.IdleTimeout, "idleTimeout"}}
	if spec.translated() { // the translator knows which operation is meant; here is the bound of all of them
		for _, t := range spec.API.Tools {
			d.whole.limit = max(d.whole.limit, t.Timeout)
		}
	} else {
		for _, pattern := range slices.SortedFunc(maps.Keys(spec.API.Tools), moreTelling) {
			if t := spec.API.Tools[pattern]; t.Timeout > 0 || t.IdleTimeout > 0 || t.Hedge > 0 || t.Idempotent != nil {
				d.tools = append(d.tools, toolDeadlines{catalog.Glob(pattern), t})
			}
		}
	}
	d.late = d.exceeded(d.whole, "")
	return d
}

// moreTelling orders patterns: a plain name before those with wildcards, a longer one before a shorter one.
func moreTelling(a, b string) int {
	wild := func(s string) int { return min(1, strings.Count(s, "*")+strings.Count(s, "?")) }
	return cmp.Or(cmp.Compare(wild(a), wild(b)), cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
}

// simple reports whether only the upstream's own bound holds for a call, and nothing can stop the clock.
func (d *deadlines) simple(call *catalog.Call) bool {
	return call.Ask == nil && d.idle.limit == 0 && (len(d.tools) == 0 || call.Entry.Kind != catalog.Tool)
}

// of returns the deadlines for a call. Each comes from the most telling pattern that sets it.
func (d *deadlines) of(call *catalog.Call) (whole, idle deadline) {
	whole, idle = d.whole, d.idle
	if call.Entry.Kind != catalog.Tool {
		return whole, idle
	}
	var setWhole, setIdle bool
	for _, t := range d.tools {
		if !t.pattern.Match(call.Entry.Ref.Name) {
			continue
		}
		if t.Timeout > 0 && !setWhole {
			whole, setWhole = deadline{t.Timeout, fmt.Sprintf("tools.%q.timeout", t.pattern)}, true
		}
		if t.IdleTimeout > 0 && !setIdle {
			idle, setIdle = deadline{t.IdleTimeout, fmt.Sprintf("tools.%q.idleTimeout", t.pattern)}, true
		}
	}
	return whole, idle
}

// exceeded is the error of a call that went past a deadline: of the whole call, or with a silence of that.
func (d *deadlines) exceeded(x deadline, silence string) *catalog.Error {
	return &catalog.Error{
		Code: catalog.Timeout, Msg: fmt.Sprintf("%s: no answer%s within %s", d.upstream, silence, x.limit), Hint: "raise " + x.key + " of " + d.upstream,
	}
}

// clock ends a call that goes past one of its deadlines. It stands still while the caller is asked: people take their time, and a parked call waits for its
// next round.
type clock struct {
	ctx    context.Context //nolint:containedctx // of the one call
	cancel context.CancelCauseFunc
	call   catalog.Call // tells the clock of questions and signs of life
	all    *deadlines
	whole  deadline
	idle   deadline
	ask    func(context.Context, catalog.Request) ([]byte, error)

	mu     sync.Mutex
	timer  *time.Timer
	left   time.Duration // of whole, when the clock last started
	since  time.Time     // when that was
	heard  time.Time     // the last sign of life
	asking int           // open questions
	over   bool
}

// startClock starts the clock of a call. stop must be called.
func startClock(ctx context.Context, all *deadlines, call *catalog.Call) *clock {
	c := &clock{all: all, call: *call, ask: call.Ask}
	c.whole, c.idle = all.of(call)
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	if call.Ask != nil {
		c.call.Ask = c.asked
	}
	if c.idle.limit > 0 {
		c.call.Alive = c.alive
	}
	c.left, c.since = c.whole.limit-call.Queued, time.Now()
	c.heard = c.since
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(c.rest(c.since), c.ring)
	return c
}

// rest is how long nothing can be exceeded. c.mu is held.
func (c *clock) rest(now time.Time) time.Duration {
	d := c.left - now.Sub(c.since)
	if c.idle.limit > 0 {
		d = min(d, c.idle.limit-now.Sub(c.heard))
	}
	return d
}

// ring ends the call when a deadline has passed, and is set again otherwise.
func (c *clock) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case c.over || c.asking > 0:
	case c.rest(now) > 0:
		c.timer.Reset(c.rest(now))
	case now.Sub(c.since) >= c.left:
		c.cancel(c.all.exceeded(c.whole, ""))
	default:
		c.cancel(c.all.exceeded(c.idle, " and no sign of life"))
	}
}

// alive notes a sign of life.
func (c *clock) alive() {
	c.mu.Lock()
	c.heard = time.Now()
	c.mu.Unlock()
}

// asked is the call's Ask.
func (c *clock) asked(ctx context.Context, r catalog.Request) ([]byte, error) {
	c.mu.Lock()
	if c.asking++; c.asking == 1 {
		c.left -= time.Since(c.since)
		c.timer.Stop()
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.asking--; c.asking > 0 || c.over {
			return
		}
		c.since = time.Now()
		c.heard = c.since
		c.timer.Reset(c.rest(c.since))
	}()
	return c.ask(ctx, r)
}

// stop ends the clock with the call.
func (c *clock) stop() {
	c.mu.Lock()
	c.over = true
	c.timer.Stop()
	c.mu.Unlock()
	c.cancel(nil)
}
