package record

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"weir/catalog"
	"weir/server"
	"weir/server/record/audit"
	"weir/server/record/requestlog"
)

// Options are what a Recorder is made of; everything but Log may be left out.
type Options struct {
	Tracer trace.Tracer // nil: nothing is traced, and what callers say of their traces is handed on
	Meter  metric.Meter
	Audit  *audit.Log
	// Arguments puts the redacted arguments of calls into the audit log.
	Arguments bool
	// Policy names the policy in force, for the audit log.
	Policy func() string
	// Done gets every record when its request is over.
	Done func(*Record)
	Log  *slog.Logger
}

// Record is what is kept of one request.
type Record struct {
	*server.Event
	ID      string // unique
	TraceID string // 32 hex digits, "" for a request whose trace is not kept
}

// Recorder is the gateway's observer. It is safe for concurrent use.
type Recorder struct {
	o        Options
	server   histograms
	client   histograms
	instance string // tells the ids of this process from those of others
	next     atomic.Uint64
}

// New returns a recorder.
func New(o Options) (*Recorder, error) {
	if o.Meter == nil {
		o.Meter = metricnoop.NewMeterProvider().Meter("")
	}
	if o.Policy == nil {
		o.Policy = func() string { return "" }
	}
	r := &Recorder{o: o, instance: strings.ToLower(rand.Text()[:6]) + "-"}
	var err error
	if r.server, err = newHistograms(o.Meter, "mcp.server.operation.duration", "Duration of the requests of clients"); err != nil {
		return nil, err
	}
	r.client, err = newHistograms(o.Meter, "mcp.client.operation.duration", "Duration of the requests to upstreams")
	return r, err
}

// stateKey finds the state of a request in its context.
type stateKey struct{}

// state is what the recorder knows of a request under way.
type state struct {
	id       string
	intended bool
	span     trace.Span
	traceID  string
}

// Begin implements server.Observer.
func (r *Recorder) Begin(ctx context.Context, e *server.Event) context.Context {
	s := &state{id: requestlog.ID(e.Start, r.instance+strconv.FormatUint(r.next.Add(1), 36))}
	ctx, s.span = r.begin(ctx, e)
	if sc := s.span.SpanContext(); sc.IsSampled() { // others are found nowhere
		s.traceID = sc.TraceID().String()
	}
	return context.WithValue(ctx, stateKey{}, s)
}

// Intent implements server.Observer: the audit log has it on disk before it returns.
func (r *Recorder) Intent(ctx context.Context, e *server.Event) error {
	s, _ := ctx.Value(stateKey{}).(*state)
	if r.o.Audit == nil || s == nil || s.intended {
		return nil
	}
	if err := r.o.Audit.Append(ctx, r.intent(s, e)); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.o.Log.Error("a call was refused because it cannot be recorded", "ref", e.Ref.String(), "error", err)
		return &catalog.Error{
			Code: catalog.Unavailable, Msg: "the audit log cannot be written, and no call goes unrecorded", Execution: catalog.NotExecuted, Err: err,
		}
	}
	s.intended = true
	return nil
}

// End implements server.Observer.
func (r *Recorder) End(ctx context.Context, e *server.Event) {
	s, _ := ctx.Value(stateKey{}).(*state)
	if s == nil {
		return
	}
	r.server.record(ctx, seriesOfEvent(e), e.Duration)
	r.end(s.span, e)
	if r.o.Audit != nil {
		r.o.Audit.Post(r.outcome(s, e))
	}
	if r.o.Done != nil {
		r.o.Done(&Record{Event: e, ID: s.id, TraceID: s.traceID})
	}
}
