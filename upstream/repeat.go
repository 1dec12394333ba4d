package upstream

import (
	"context"
	"errors"
	"math"
	"sync"
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
// marked. What a server says of its tools does not count. A timeout is none of these failures: the call had its time.
func (m *member) repeats(ctx context.Context, call *catalog.Call, err error) bool {
	e, ok := errors.AsType[*catalog.Error](err)
	switch {
	case m.pooled || !ok || e.Code != catalog.Unavailable || e.Execution != catalog.Unknown:
		return false
	case call.Method != "resources/read" && (call.Method != "tools/call" || !m.bounds.Load().idempotent(call.Entry.Ref.Name)):
		return false
	}
	return m.budget.take(m.calls.Load()) && sleep(ctx, nil, jitter(repeatPause))
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
