package mcpconn

import (
	"maps"
	"net/http"

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
