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
	labels := seriesOf(c.Method, c.Entry.Kind, c.Entry.Ref)
	var span trace.Span
	if s, _ := ctx.Value(stateKey{}).(*state); s != nil && s.span != nil {
		ctx, span = o.r.o.Tracer.Start(ctx, spanName(labels), trace.WithSpanKind(trace.SpanKindClient))
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		c.Traceparent, c.Tracestate = carrier["traceparent"], carrier["tracestate"]
	} else if s != nil {
		c.Traceparent, c.Tracestate = s.traceparent, s.tracestate
	}
	answer, err := o.next.Call(ctx, c)
	var reason string
	labels.outcome, reason = outcomeOf(answer, err)
	if answer != nil {
		labels.era = answer.Era.String()
	}
	o.r.client.record(ctx, labels, time.Since(start))
	if span != nil {
		span.SetAttributes(labels.attributes()...)
		finish(span, labels.outcome, reason)
	}
	return answer, err
}

// outcomeOf is how a call to an upstream ended, in the words of server.Event.
func outcomeOf(a *catalog.Answer, err error) (outcome, reason string) {
	switch {
	case err != nil:
		if own, ok := errors.AsType[*catalog.Error](err); ok {
			return string(own.Code), own.Msg
		}
		return string(catalog.Internal), ""
	case a.Message.Kind == rawjson.Error:
		return "rpc_error", ""
	case string(a.Message.IsError.Of(a.Message.Data)) == "true":
		return "tool_error", ""
	}
	return "ok", ""
}
