package mcpconn

import (
	"maps"
	"net/http"
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
