package mcpconn

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
)

// maxHeaderSets bounds the request headers that are kept ready.
const maxHeaderSets = 4096

// modernHTTP is Streamable HTTP of 2026-07-28: every request is a POST of its own, without any session.
type modernHTTP struct {
	*endpoint
	*life
	version []string

	mu      sync.RWMutex
	headers map[headerKey]http.Header // complete ones, which never change
}

type headerKey struct{ method, name string }

func newModernHTTP(e *endpoint, version string) *modernHTTP {
	return &modernHTTP{endpoint: e, life: newLife(), version: []string{version}, headers: map[headerKey]http.Header{}}
}

func (t *modernHTTP) roundTrip(ctx context.Context, r *request) (*response, error) {
	resp, err := t.post(ctx, traced(t.headerOf(r), r), r.buf, r.message)
	if err != nil {
		t.notice(err)
		return nil, err
	}
	if mediaOf(resp.Header) != eventMedia || resp.StatusCode/100 != 2 {
		return t.single(ctx, resp, r.id)
	}
	es := newEvents(resp.Body, t.pool.get(), t.limit)
	answer, err := t.streamed(es, r)
	if err == nil {
		t.drain(resp.Body)
		return answer, nil
	}
	defer es.buf.drop()
	_ = resp.Body.Close()
	if own, ok := errors.AsType[*catalog.Error](err); ok {
		return nil, own
	}
	return nil, t.brokenOff(ctx, resp.StatusCode, err)
}

// headerOf returns the complete header of r. Those of tools and prompts are kept: there are few, and they are most of the traffic.
func (t *modernHTTP) headerOf(r *request) http.Header {
	kept := len(r.headers) == 0 && r.method != "resources/read" && !strings.HasPrefix(r.method, "tasks/")
	key := headerKey{r.method, r.name}
	if kept {
		t.mu.RLock()
		h := t.headers[key]
		t.mu.RUnlock()
		if h != nil {
			return h
		}
	}
	h := t.header(6 + len(r.headers))
	h["Accept"] = []string{"application/json, text/event-stream"}
	h["Content-Type"] = []string{"application/json"}
	h[mcp.HeaderProtocolVersion] = t.version
	h[mcp.HeaderMethod] = []string{r.method}
	if r.name != "" {
		h[mcp.HeaderName] = []string{headerText(r.name)}
	}
	for _, p := range r.headers {
		h[p[0]] = []string{headerText(p[1])}
	}
	if kept {
		t.mu.Lock()
		if len(t.headers) < maxHeaderSets {
			t.headers[key] = h
		}
		t.mu.Unlock()
	}
	return h
}

// headerText writes a value for a header: as it is, or in the Base64 form of the specification.
func headerText(s string) string {
	text, _ := mcp.EncodeHeaderValue(s)
	return text
}

// notify exists for the interface alone: no notification is defined from client to server over modern HTTP.
func (t *modernHTTP) notify(context.Context, string, []byte) error { return nil }

// reply exists for the interface alone: a modern server asks nothing over HTTP.
func (t *modernHTTP) reply(context.Context, []byte, []byte) error { return nil }

func (t *modernHTTP) close(context.Context) error {
	t.end(errClosed)
	t.client.CloseIdleConnections()
	return nil
}

// errClosed is the end of a connection that weir itself closed.
var errClosed = errors.New("closed")
