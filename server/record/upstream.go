package record

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/server"
)

// Upstream wraps the gateway's upstreams: each call to one is a span and a measurement, and takes the span's traceparent with it.
func (r *Recorder) Upstream(next server.Upstream) server.Upstream { return observed{r, next} }

type observed struct {
	r    *Recorder
	next server.Upstream
}

// Call implements server.Upstream.
func (o observed) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	start := time.Now()
	s := seriesOf(c.Method, c.Entry.Kind, c.Entry.Ref)
	var span trace.Span
	if o.r.o.Tracer != nil {
		ctx, span = o.r.o.Tracer.Start(ctx, spanName(s), trace.WithSpanKind(trace.SpanKindClient))
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		c.Traceparent, c.Tracestate = carrier["traceparent"], carrier["tracestate"]
	}
	answer, err := o.next.Call(ctx, c)
	outcome, reason := outcomeOf(answer, err)
	s.outcome = outcome
	if answer != nil {
		s.era = answer.Era.String()
	}
	o.r.client.record(ctx, s, time.Since(start))
	if span != nil {
		if span.IsRecording() {
			span.SetAttributes(s.attributes()...)
		}
		finish(span, outcome, reason)
	}
	return answer, err
}

// outcomeOf is how a call to an upstream ended, in the words of server.Event.
func outcomeOf(a *catalog.Answer, err error) (outcome, reason string) {
	var own *catalog.Error
	switch {
	case errors.As(err, &own):
		return string(own.Code), own.Msg
	case err != nil:
		return string(catalog.Internal), ""
	case a.Message.Kind == rawjson.Error:
		return "rpc_error", ""
	case string(a.Message.IsError.Of(a.Message.Data)) == "true":
		return "tool_error", ""
	}
	return "ok", ""
}
