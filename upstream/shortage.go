package upstream

import (
	"context"
	"fmt"
	"time"

	"weir/catalog"
	"weir/catalog/room"
)

// shortRetry is when callers may come back for whom weir had no files, processes or memory left.
const shortRetry = time.Second

// shortage is err as the error of weir's own that it is when files, processes or memory ran out on the way to an upstream, nil for any other. It says nothing about the
// upstream: neither its state nor its breakers change for it.
func (m *member) shortage(err error) *catalog.Error {
	what := room.Shortage(err)
	if what == "" {
		return nil
	}
	return &catalog.Error{
		Code: catalog.Limited, Msg: fmt.Sprintf("%s: weir has no %s left to reach it", m.name, what),
		Hint: "raise the limits of weir's process, such as ulimit -n and -u", Execution: catalog.NotExecuted, Retry: shortRetry, Err: err,
	}
}

// starve waits before another attempt to connect, because of a shortage: the state stays what it is, and the wait does not grow. It reports whether ctx is still open.
func (m *member) starve(ctx context.Context, short *catalog.Error) bool {
	m.mu.Lock()
	first := m.starved == nil
	m.starved = short
	m.mu.Unlock()
	if first {
		m.set.o.Log.Warn("an upstream cannot be reached for want of means", "upstream", m.name, "error", short, "cause", short.Err)
	}
	if m.turned != nil {
		m.turned()
	}
	return m.rest(ctx, jitter(firstRetry))
}
