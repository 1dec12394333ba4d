package upstream

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"weir/catalog"
)

// bulkhead bounds the calls that one upstream has at a time, and those that wait for their turn, so that an upstream which does not keep up fills up
// itself and nothing else. Who waits is served in the order of arrival.
type bulkhead struct {
	upstream     string
	limit, queue int
	places       *semaphore.Weighted
	waiting      atomic.Int64
}

// fullRetry is when it makes sense to come back to an upstream whose queue is full.
const fullRetry = time.Second

// newBulkhead returns nil when spec bounds nothing.
func newBulkhead(upstream string, spec *Spec) *bulkhead {
	if spec.Concurrency == 0 {
		return nil
	}
	b := &bulkhead{upstream: upstream, limit: spec.Concurrency, queue: spec.Concurrency, places: semaphore.NewWeighted(int64(spec.Concurrency))}
	if spec.Queue != nil {
		b.queue = *spec.Queue
	}
	return b
}

// enter takes a place, after a wait of at most limit. The wait is added to *queued. leave must be called after a nil.
func (b *bulkhead) enter(ctx context.Context, limit time.Duration, queued *time.Duration) error {
	if b.places.TryAcquire(1) {
		return nil
	}
	defer b.waiting.Add(-1)
	if b.waiting.Add(1) > int64(b.queue) {
		return b.full(fmt.Sprintf("%d calls run and %d wait already", b.limit, b.queue))
	}
	began := time.Now()
	bound, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := b.places.Acquire(bound, 1)
	*queued += time.Since(began)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil:
		return b.full(fmt.Sprintf("no place among %d calls came free within %s", b.limit, limit))
	default:
		return gaveUp(ctx, b.upstream)
	}
}

func (b *bulkhead) leave() { b.places.Release(1) }

// place takes a further place for a call that has one, if one is free now. leave gives it back and does nothing when there was none.
func (m *member) place() (leave func(), ok bool) {
	b := m.places.Load()
	switch {
	case b == nil:
		return func() {}, true
	case !b.places.TryAcquire(1):
		return func() {}, false
	}
	return b.leave, true
}

// full is the error of a call that got no place.
func (b *bulkhead) full(why string) *catalog.Error {
	return &catalog.Error{
		Code: catalog.Limited, Msg: b.upstream + ": " + why, Hint: "try again later, or raise concurrency or queue of " + b.upstream,
		Execution: catalog.NotExecuted, Retry: fullRetry,
	}
}

// callInTurn carries a call when there is a place for it.
func (m *member) callInTurn(ctx context.Context, call *catalog.Call) (*catalog.Answer, error) {
	b := m.places.Load()
	if b == nil {
		return m.callInTime(ctx, call)
	}
	whole, _ := m.bounds.Load().of(call)
	if err := b.enter(ctx, cmp.Or(whole.limit, DefaultTimeout), &call.Queued); err != nil {
		return nil, err
	}
	defer b.leave()
	return m.callInTime(ctx, call)
}
