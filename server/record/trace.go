package record

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/server"
	"weir/server/record/requestlog"
)

// begin starts the span of a client's request, under the caller's own when it names one.
func (r *Recorder) begin(ctx context.Context, e *server.Event) (context.Context, trace.Span) {
	if r.o.Tracer == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	carrier := propagation.MapCarrier{}
	m := e.Request
	if parent, ok := rawjson.String(m.Meta.Traceparent.Of(m.Data)); ok {
		carrier["traceparent"] = parent
		carrier["tracestate"], _ = rawjson.String(m.Meta.Tracestate.Of(m.Data))
	} else if e.Header != nil {
		carrier["traceparent"], _ = e.Header("Traceparent")
		carrier["tracestate"], _ = e.Header("Tracestate")
	}
	ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	return r.o.Tracer.Start(ctx, known(e.Method), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(e.Start)) //nolint:spancheck // End ends it
}

// end says what the request was and ends its span.
func (r *Recorder) end(span trace.Span, e *server.Event) {
	if !span.IsRecording() {
		span.End()
		return
	}
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
