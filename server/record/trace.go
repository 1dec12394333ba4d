package record

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/server"
	"weir/server/record/requestlog"
)

// trace begins the span of a client's request, under the caller's own when it names one, or finds that there is none. A request that is made on the way of
// another belongs to that one's trace.
func (r *Recorder) trace(s *state, e *server.Event) {
	if outer, _ := s.Context.Value(stateKey{}).(*state); outer != nil {
		if s.traceparent, s.tracestate = outer.traceparent, outer.tracestate; outer.span != nil {
			r.begin(s, e)
		}
		return
	}
	parent, known := callersTrace(e)
	switch {
	case known && parent.IsSampled():
		s.Context = trace.ContextWithRemoteSpanContext(s.Context, parent)
		r.begin(s, e)
	case known:
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), parent), carrier)
		s.traceparent, s.tracestate = carrier["traceparent"], carrier["tracestate"]
	case rand.Float64() < r.o.Sample: //nolint:gosec // which traces are kept is no secret
		r.begin(s, e)
	default:
		s.traceparent = unkept()
	}
}

// begin begins the span of a client's request.
func (r *Recorder) begin(s *state, e *server.Event) {
	s.Context, s.span = r.o.Tracer.Start(s.Context, knownMethod(e.Method), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(e.Start)) //nolint:spancheck // End ends it
}

// callersTrace is what a caller says of its trace, in _meta or else in the header; false when it says nothing, or nothing that is well formed.
func callersTrace(e *server.Event) (trace.SpanContext, bool) {
	m := e.Request
	var parent, state string
	if text, ok := rawjson.String(m.Meta.Traceparent.Of(m.Data)); ok {
		parent = text
		state, _ = rawjson.String(m.Meta.Tracestate.Of(m.Data))
	} else if e.Header != nil {
		if parent, _ = e.Header("Traceparent"); parent != "" {
			state, _ = e.Header("Tracestate")
		}
	}
	if parent == "" {
		return trace.SpanContext{}, false
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent, "tracestate": state})
	c := trace.SpanContextFromContext(ctx)
	return c, c.IsValid()
}

// unkept is the traceparent (W3C Trace Context, 3.2.2) of a trace that begins here and is not kept: who gets it does not keep it either.
func unkept() string {
	var id [24]byte
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1)   //nolint:gosec // ids of traces are no secrets; zero is none
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())    //nolint:gosec // as above
	binary.BigEndian.PutUint64(id[16:], rand.Uint64()|1) //nolint:gosec // as above
	var b [55]byte
	text := hex.AppendEncode(append(b[:0], "00-"...), id[:16])
	text = hex.AppendEncode(append(text, '-'), id[16:])
	return string(append(text, "-00"...))
}

// end says what the request was and ends its span.
func end(span trace.Span, e *server.Event) {
	s := seriesOfEvent(e)
	span.SetName(spanName(s))
	span.SetAttributes(s.attributes()...)
	span.SetAttributes(
		attribute.String("mcp.protocol.version", e.Client.Version), attribute.Int("weir.request.size", e.In), attribute.Int("weir.response.size", e.Out),
	)
	if e.Rule != "" {
		span.SetAttributes(attribute.String("weir.policy.rule", e.Rule))
	}
	if e.Kind == catalog.Resource && e.Ref.Upstream != "" {
		span.SetAttributes(attribute.String("mcp.resource.uri", e.Ref.Name))
	}
	if e.Address.IsValid() {
		span.SetAttributes(attribute.String("client.address", e.Address.String()), attribute.String("network.transport", "tcp"))
	} else {
		span.SetAttributes(attribute.String("network.transport", "pipe"))
	}
	finish(span, e.Outcome, e.Reason)
}

// finish sets the status of a span and ends it.
func finish(span trace.Span, outcome, reason string) {
	if requestlog.Failed(outcome) {
		span.SetStatus(codes.Error, reason)
	}
	span.End()
}

// spanName is the method and, where there are not too many of them, what it is about.
func spanName(s series) string {
	switch {
	case s.tool != "":
		return s.method + " " + s.tool
	case s.prompt != "":
		return s.method + " " + s.prompt
	default:
		return s.method
	}
}
