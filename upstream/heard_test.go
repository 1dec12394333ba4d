package upstream

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/upstream/mcpconn"
)

// A legacy server tells of updates on the session's GET stream, and what it says before there is one is lost: nothing is subscribed to before.
func TestLegacyUpdatesHaveAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open, early atomic.Bool
		p := &pipes{calls: make(chan net.Conn), ended: make(chan struct{})}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, id, _ := strings.Cut(string(body), `"id":`)
			id, _, _ = strings.Cut(id, ",")
			answer := func(result string) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
			}
			switch {
			case r.Method == http.MethodGet:
				time.Sleep(100 * time.Millisecond) // it is slow to begin
				open.Store(true)
				w.Header().Set("Content-Type", "text/event-stream")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			case strings.Contains(string(body), `"initialize"`):
				answer(`{"protocolVersion":"2025-11-25","capabilities":{"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}}`)
			case strings.Contains(string(body), "resources/subscribe"):
				early.Store(!open.Load())
				answer(`{}`)
			default:
				w.WriteHeader(http.StatusAccepted)
			}
		})}
		go func() { _ = server.Serve(p) }() // ends with Close
		c, err := mcpconn.Dial(t.Context(), mcpconn.Config{
			Name: "up", Transport: "http", URL: "http://127.0.0.1:1/mcp", Era: "legacy", Client: mcpconn.Implementation{Name: "weir", Version: "test"},
			Dial: p.dial, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Watch(t.Context(), catalog.Topic{ID: "x:y"}); err != nil {
			t.Error(err)
		}
		if early.Load() {
			t.Error("subscribed to before updates can be told")
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		_ = server.Shutdown(t.Context()) // waits for what it serves
	})
}
