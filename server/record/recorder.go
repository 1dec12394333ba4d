package record

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"weak"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"weir/catalog"
	"weir/policy"
	"weir/policy/guard"
	"weir/server"
	"weir/server/record/audit"
	"weir/server/record/requestlog"
)

// Options are what a Recorder is made of; everything but Log may be left out.
type Options struct {
	Tracer trace.Tracer // nil: nothing is traced, and what callers say of their traces is handed on
	// Sample is the part of the traces that begin here which are kept, 0 to 1. It is decided here, so that what is not kept costs no span; whoever makes
	// the Tracer keeps all.
	Sample float64
	Meter  metric.Meter
	Audit  *audit.Log
	// AuditContents and RecordContents say what of calls' contents goes, redacted, into the audit log and into Records.
	AuditContents, RecordContents Contents
	// Policy names the policy in force, for the audit log.
	Policy func() string
	// ReadOnly says which calls change nothing. They do not wait until the audit log has them: they have one record, when they are over. Nil when all wait.
	ReadOnly func(*catalog.Entry) bool
	// Done gets every record a moment after its request is over, one after the other.
	Done func(*Record)
	Log  *slog.Logger
}

// Contents are what a call brings along and what comes back.
type Contents struct{ Arguments, Results bool }

// Record is what is kept of one request.
type Record struct {
	*server.Event
	ID        string // unique
	TraceID   string // 32 hex digits, "" for a request whose trace is not kept
	Arguments []byte // of a call, redacted, if they are wanted
	Result    []byte // of a call or a read, redacted, if it is wanted
}

// Recorder is the gateway's observer. It is safe for concurrent use.
type Recorder struct {
	o        Options
	server   histograms
	client   histograms
	findings metric.Int64Counter
	forms    guard.Forms                          // where contents are recorded
	callers  *lru.Cache[policy.Principal, []byte] // what records say of them
	masks    *maskCache
	instance string // tells the ids of this process from those of others
	next     atomic.Uint64
	later    later
}

// callersKept bounds what is remembered of callers.
const callersKept = 4096

// New returns a recorder.
func New(o Options) (*Recorder, error) {
	if o.Meter == nil {
		o.Meter = metricnoop.NewMeterProvider().Meter("")
	}
	if o.Policy == nil {
		o.Policy = func() string { return "" }
	}
	r := &Recorder{o: o, instance: strings.ToLower(rand.Text()[:6]) + "-"}
	if o.AuditContents != (Contents{}) || o.RecordContents != (Contents{}) {
		r.forms = guard.NewForms()
	}
	r.later.flush, r.later.timer = r.Flush, time.AfterFunc(time.Hour, r.Flush)
	r.later.timer.Stop()
	var err error
	if r.server, err = newHistograms(o.Meter, "mcp.server.operation.duration", "Duration of the requests of clients"); err != nil {
		return nil, err
	}
	if r.client, err = newHistograms(o.Meter, "mcp.client.operation.duration", "Duration of the requests to upstreams"); err != nil {
		return nil, err
	}
	if r.findings, err = o.Meter.Int64Counter("weir.guard.findings", metric.WithDescription("What guards found in requests and answers")); err != nil {
		return nil, err
	}
	if r.callers, err = lru.New[policy.Principal, []byte](callersKept); err != nil {
		return nil, err
	}
	r.masks, err = lru.New[weak.Pointer[catalog.Entry], masks](masksKept)
	return r, err
}

// stateKey finds the state of a request in its context.
type stateKey struct{}

// state is what the recorder knows of a request under way. It is the request's context, too.
type state struct {
	context.Context //nolint:containedctx // it is one
	number          uint64
	id              string // "" as long as nobody needed it
	intended        bool
	policy          string     // that decided, for the audit log
	arguments       []byte     // redacted, nil where they are not wanted
	result          []byte     // as arguments
	span            trace.Span // nil for a request whose trace is not kept
	// traceparent and tracestate are handed on where there is no span.
	traceparent, tracestate string
}

// Value implements context.Context.
func (s *state) Value(key any) any {
	if key == (stateKey{}) {
		return s
	}
	return s.Context.Value(key)
}

// traceID is 32 hex digits, "" for a request whose trace is not kept.
func (s *state) traceID() string {
	if s.span == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// traced is a context that says of a request which trace it belongs to, and nothing when that is not kept.
func (s *state) traced() context.Context {
	if s.span == nil {
		return context.Background()
	}
	return s
}

// id is the id of a request.
func (r *Recorder) id(s *state, e *server.Event) string {
	if s.id == "" {
		var b [32]byte
		s.id = requestlog.ID(e.Start, string(strconv.AppendUint(append(b[:0], r.instance...), s.number, 36)))
	}
	return s.id
}

// Begin implements server.Observer.
func (r *Recorder) Begin(ctx context.Context, e *server.Event) context.Context {
	s := &state{Context: ctx, number: r.next.Add(1)}
	if r.o.Audit != nil || r.o.Done != nil {
		e.ID = func() string { return r.id(s, e) }
	}
	if r.o.Tracer != nil {
		r.trace(s, e)
	}
	return s
}

// Intent implements server.Observer: the audit log has it on disk before it returns, unless the call changes nothing.
func (r *Recorder) Intent(ctx context.Context, e *server.Event) error {
	s, _ := ctx.Value(stateKey{}).(*state)
	if r.o.Audit == nil || s == nil || s.intended {
		return nil
	}
	reads := r.o.ReadOnly != nil && e.Entry != nil && r.o.ReadOnly(e.Entry)
	var err error
	if reads {
		err = r.o.Audit.Ready()
	} else {
		if s.policy = r.o.Policy(); r.o.AuditContents.Arguments {
			s.arguments = r.arguments(e)
		}
		var room [eventSize]byte
		err = r.o.Audit.Append(ctx, r.intent(room[:0], s, e))
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.o.Log.Error("a call was refused because it cannot be recorded", "ref", e.Ref.String(), "error", err)
		return &catalog.Error{
			Code: catalog.Unavailable, Msg: "the audit log cannot be written, and no call goes unrecorded", Execution: catalog.NotExecuted, Err: err,
		}
	}
	s.intended = !reads
	return nil
}

// End implements server.Observer. The request is told of a moment later, or by Flush.
func (r *Recorder) End(ctx context.Context, e *server.Event) {
	s, _ := ctx.Value(stateKey{}).(*state)
	if s == nil {
		return
	}
	if s.span != nil {
		end(s.span, e)
	}
	audited := r.o.Audit != nil && !s.intended
	if audited {
		s.policy = r.o.Policy()
	}
	if s.arguments == nil && (r.o.RecordContents.Arguments || audited && r.o.AuditContents.Arguments) {
		s.arguments = r.arguments(e)
	}
	if r.o.RecordContents.Results || r.o.Audit != nil && r.o.AuditContents.Results {
		s.result = r.result(e)
	}
	e.Header, e.Request, e.Answer = nil, nil, nil
	r.later.ended(e, s)
}
