package mcpconn

import (
	"context"
	"maps"
	"net/http"

	"go.opentelemetry.io/otel/propagation"

	"weir/catalog"
)

// traced returns a header with the trace of r. Headers are shared, so that of a traced request is a copy.
func traced(h http.Header, r *request) http.Header {
	if r.traceparent == "" {
		return h
	}
	h = maps.Clone(h)
	h["Traceparent"] = []string{r.traceparent}
	if r.tracestate != "" {
		h["Tracestate"] = []string{r.tracestate}
	}
	return h
}

// note fills in the way of a request.
func (c *Conn) note(h *catalog.Hop, id int64) {
	*h = catalog.Hop{Version: c.Version(), ID: id}
	switch t := c.t.(type) {
	case *modernHTTP:
		h.At(t.like.URL)
	case *legacyHTTP:
		h.Session = t.session.Load().id
		h.At(t.like.URL)
	case *httpSSE:
		h.At(t.inbox.like.URL)
	default:
		h.Pipe = true
	}
}

// traceOf is the trace of the request that ctx belongs to, as OpenTelemetry keeps it there; empty for none.
func traceOf(ctx context.Context) (parent, state string) {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"], carrier["tracestate"]
}
