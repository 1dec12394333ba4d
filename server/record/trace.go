package record

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"

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

// callersTrace is what a caller says of its trace; false when it says nothing, or nothing that is well formed.
func callersTrace(e *server.Event) (trace.SpanContext, bool) {
	parent, state := e.TraceContext()
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
	if id := requestID(e.Request.ID.Of(e.Request.Data)); id != "" {
		span.SetAttributes(attribute.String("jsonrpc.request.id", id))
	}
	if e.Client.Era == catalog.Legacy && e.Client.Session != "" {
		span.SetAttributes(sessionID(e.Client.Session))
	}
	if e.Rule != "" {
		span.SetAttributes(attribute.String("weir.policy.rule", e.Rule))
	}
	if uri := resourceURI(e); uri != "" {
		span.SetAttributes(attribute.String("mcp.resource.uri", uri))
	}
	if e.Address.IsValid() {
		span.SetAttributes(append(overHTTP(), attribute.String("client.address", e.Address.String()))...)
	} else {
		span.SetAttributes(attribute.String("network.transport", "pipe"))
	}
	finish(span, s, e.Code, e.Reason)
}

// resourceURI is that of a resource that was found, "" for none.
func resourceURI(e *server.Event) string {
	switch {
	case e.Kind == catalog.Resource && e.Ref.Upstream != "":
		return e.Ref.Name
	case e.Method == "resources/subscribe" && e.Outcome == "ok":
		uri, _ := rawjson.String(e.Request.URI.Of(e.Request.Data))
		return uri
	}
	return ""
}

// overHTTP are the attributes of what goes by HTTP.
func overHTTP() []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("network.transport", "tcp"), attribute.String("network.protocol.name", "http")}
}

// requestIDBytes bounds the id of a request in a span: callers choose it.
const requestIDBytes = 128

// requestID is a raw JSON-RPC id as text, "" for none and for one that is too long.
func requestID(raw []byte) string {
	if text, ok := rawjson.String(raw); ok {
		raw = []byte(text)
	}
	if len(raw) > requestIDBytes || string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// sessionID tells apart the sessions of a legacy client or server. It is a digest: who has the id itself can use the session.
func sessionID(id string) attribute.KeyValue {
	sum := sha256.Sum256([]byte(id))
	return attribute.String("mcp.session.id", hex.EncodeToString(sum[:8]))
}

// finish says how a span ended, code being that of the JSON-RPC error or 0, and ends it.
func finish(span trace.Span, s series, code int, reason string) {
	if code != 0 {
		text := strconv.Itoa(code)
		span.SetAttributes(attribute.String("rpc.response.status_code", text))
		if s.outcome == "rpc_error" {
			span.SetAttributes(attribute.String("error.type", text)) // the code is all that is known
		}
	}
	if requestlog.Failed(s.outcome) {
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
