package upstream

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"weir/catalog"
	"weir/upstream/mcpconn"
)

// pipes are a network in memory, so that a real connection and a real server run in virtual time.
type pipes struct {
	calls chan net.Conn
	ended chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.calls <- theirs:
		return ours, nil
	case <-p.ended:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.calls:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error   { close(p.ended); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// virtualSet is a Set with one modern MCP server, "up", whose calls h answers; id is that of the request, nil where nothing is asked for. close ends both.
func virtualSet(t *testing.T, spec Spec, h func(w http.ResponseWriter, r *http.Request, id string)) (s *Set, end func()) {
	t.Helper()
	p := &pipes{calls: make(chan net.Conn), ended: make(chan struct{})}
	answers := map[string]string{
		"server/discover": `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}`,
		"tools/list":      `{"tools":[` + string(tool("a")) + `]}`,
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, id, _ := strings.Cut(string(body), `"id":`)
		id, _, _ = strings.Cut(id, ",")
		for method, result := range answers {
			if strings.Contains(string(body), method) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
				return
			}
		}
		h(w, r, id)
	})}
	go func() { _ = server.Serve(p) }() // ends with Close
	spec.URL = "http://127.0.0.1:1/mcp"
	s = New(Options{Namespace: space(map[string]Spec{"up": spec}), Catalog: catalog.New(), dial: func(name string, spec *Spec) dialer {
		return func(ctx context.Context, as manner, changed func()) (backend, error) {
			return mcpconn.Dial(ctx, mcpconn.Config{
				Name: name, Transport: "http", URL: spec.URL, Client: mcpconn.Implementation{Name: "weir", Version: "test"}, Capabilities: []byte(as.capabilities),
				Changed: changed, Dial: p.dial, Log: slog.New(slog.DiscardHandler),
			})
		}
	}})
	s.Start(t.Context())
	if err := s.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, func() {
		closeSet(t, s)
		_ = server.Shutdown(context.Background()) // waits for h
	}
}
