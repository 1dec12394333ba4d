package record

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"weir/server"
)

const (
	// soon is how long what is over waits for more of it until it is told, and many is how much does not wait.
	soon, many = 20 * time.Millisecond, 256
	// most bounds what waits: who brings more tells all of it first.
	most = 4096
)

// later is what is over and was not told yet.
type later struct {
	flush func()
	timer *time.Timer // of flush

	mu   sync.Mutex
	next batch

	telling sync.Mutex // held by who tells, so that things are told in their order
	spare   batch      // memory of an earlier one
}

// batch is what is told at once.
type batch struct {
	requests []ended
	calls    []called
}

// ended is a request that is over. Its event does not name what the caller and the upstream sent.
type ended struct {
	event *server.Event
	state *state
}

// called is a call to an upstream that is over.
type called struct {
	ctx    context.Context //nolint:containedctx // says which trace the measurement belongs to
	labels series
	took   time.Duration
}

// ended has a request told of soon.
func (l *later) ended(e *server.Event, s *state) {
	l.mu.Lock()
	l.next.requests = append(l.next.requests, ended{e, s})
	l.added()
}

// called has a call told of soon.
func (l *later) called(c called) {
	l.mu.Lock()
	l.next.calls = append(l.next.calls, c)
	l.added()
}

// added unlocks l after something was added to it.
func (l *later) added() {
	n := len(l.next.requests) + len(l.next.calls)
	l.mu.Unlock()
	switch {
	case n == 1:
		l.timer.Reset(soon)
	case n == many:
		l.timer.Reset(0)
	case n >= most:
		l.flush()
	}
}

// Flush tells of all that is over now.
func (r *Recorder) Flush() {
	l := &r.later
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	b := l.next
	l.next = l.spare
	l.mu.Unlock()
	r.tell(&b)
	clear(b.requests)
	clear(b.calls)
	l.spare = batch{b.requests[:0], b.calls[:0]}
}

// tell does one thing for all of a batch, then the next one.
func (r *Recorder) tell(b *batch) {
	for i := range b.calls {
		c := &b.calls[i]
		r.client.record(c.ctx, c.labels, c.took)
	}
	for _, e := range b.requests {
		r.server.record(e.state.traced(), seriesOfEvent(e.event), e.event.Duration)
		for _, f := range e.event.Findings {
			r.findings.Add(e.state.traced(), 1, metric.WithAttributes(findingAttributes(f)...))
		}
	}
	if r.o.Audit != nil {
		for _, e := range b.requests {
			var room [eventSize]byte
			r.o.Audit.Post(r.outcome(room[:0], e.state, e.event))
		}
	}
	if r.o.Done != nil {
		for _, e := range b.requests {
			r.o.Done(&Record{Event: e.event, ID: r.id(e.state, e.event), TraceID: e.state.traceID(), Arguments: e.state.arguments, Result: e.state.result})
		}
	}
}
