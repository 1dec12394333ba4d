package record

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
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
		c.Traceparent, c.Tracestate, c.Hop = carrier["traceparent"], carrier["tracestate"], new(catalog.Hop)
	} else if s != nil {
		c.Traceparent, c.Tracestate = s.traceparent, s.tracestate
	}
	answer, err := o.next.Call(ctx, c)
	var reason string
	labels.outcome, reason = outcomeOf(answer, err)
	code := codeOf(answer)
	labels.code = knownCode(code)
	if answer != nil {
		labels.era = answer.Era.String()
	}
	if took := time.Since(start); span == nil {
		o.r.later.called(called{context.Background(), labels, took})
	} else {
		o.r.later.called(called{ctx, labels, took})
		span.SetAttributes(labels.attributes()...)
		span.SetAttributes(hop(c)...)
		finish(span, labels, code, reason)
	}
	return answer, err
}

// hop are the attributes of the way that a call took.
func hop(c *catalog.Call) (all []attribute.KeyValue) {
	h := c.Hop
	switch {
	case h.Pipe:
		all = append(all, attribute.String("network.transport", "pipe"))
	case h.Address != "":
		all = append(overHTTP(), attribute.String("server.address", h.Address), attribute.Int("server.port", h.Port))
	}
	if h.Version != "" {
		all = append(all, attribute.String("mcp.protocol.version", h.Version))
	}
	if h.Session != "" {
		all = append(all, sessionID(h.Session))
	}
	if h.ID != 0 {
		all = append(all, attribute.String("jsonrpc.request.id", strconv.FormatInt(h.ID, 10)))
	}
	if c.Method == "resources/read" {
		all = append(all, attribute.String("mcp.resource.uri", c.Target))
	}
	return all
}

// codeOf is the code of the error in an answer, 0 for anything else.
func codeOf(a *catalog.Answer) int {
	if a == nil || a.Message.Kind != rawjson.Error {
		return 0
	}
	object := a.Message.Error.Of(a.Message.Data)
	f, err := rawjson.Fields(object, "code")
	if err != nil {
		return 0
	}
	code, _ := strconv.Atoi(string(f[0].Of(object))) // 0 for what is no integer
	return code
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

// Subscriber wraps what subscribes at the gateway's upstreams: what they are told is in the trace of the request that made it necessary. Since one subscription
// serves many callers, it has no span and no measurement of its own.
func (r *Recorder) Subscriber(next server.Subscriber) server.Subscriber { return traced{next} }

type traced struct{ server.Subscriber }

// Subscribe implements server.Subscriber.
func (t traced) Subscribe(ctx context.Context, upstream string, topic catalog.Topic) error {
	return t.Subscriber.Subscribe(traceable(ctx), upstream, topic)
}

// Unsubscribe implements server.Subscriber.
func (t traced) Unsubscribe(ctx context.Context, upstream string, topic catalog.Topic) {
	t.Subscriber.Unsubscribe(traceable(ctx), upstream, topic)
}

// traceable is ctx with the trace of its request in the form of OpenTelemetry, also when that trace is not kept.
func traceable(ctx context.Context) context.Context {
	s, _ := ctx.Value(stateKey{}).(*state)
	if s == nil || s.span != nil || s.traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": s.traceparent, "tracestate": s.tracestate})
}
