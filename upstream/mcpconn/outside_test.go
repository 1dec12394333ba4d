package mcpconn

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
)

// beyond is a client as a connection reaches it between calls.
type beyond struct {
	said chan string
	done chan struct{}
}

func (b *beyond) AskOutside(_ context.Context, r catalog.Request) ([]byte, error) {
	b.said <- r.Method + " " + string(r.Params)
	if r.Method == "sampling/createMessage" {
		return nil, &catalog.RPCError{Object: []byte(`{"code":-1,"message":"no"}`)}
	}
	return []byte(`{"roots":[]}`), nil
}

func (b *beyond) Tell(n catalog.Notification) { b.said <- n.Method + " " + string(n.Params) }
func (b *beyond) Done() <-chan struct{}       { return b.done }

// TestBetweenCalls: what a legacy server asks and says outside of calls reaches the one client that the connection is for, and its answer the server; a
// connection of several clients refuses it. That roots changed is said to the server.
func TestBetweenCalls(t *testing.T) {
	for _, own := range []bool{true, false} {
		got := make(chan string, 10)
		web := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			switch {
			case r.Method == http.MethodGet:
				w.Header().Set("Content-Type", "text/event-stream")
				for _, m := range []string{
					`{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e"}}`, `{"jsonrpc":"2.0","id":"r","method":"roots/list"}`,
					`{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{"x":1}}`, `{"jsonrpc":"2.0","id":"o","method":"other/thing"}`,
				} {
					_, _ = fmt.Fprintf(w, "data: %s\n\n", m)
				}
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			case strings.Contains(string(body), `"initialize"`):
				_, id, _ := strings.Cut(string(body), `"id":`)
				id, _, _ = strings.Cut(id, ",")
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}`, id)
			default:
				if !strings.Contains(string(body), "notifications/initialized") {
					got <- string(body)
				}
				w.WriteHeader(http.StatusAccepted)
			}
		})
		b := &beyond{said: make(chan string, 10)}
		c := dial(t, config(web.URL, pinned("legacy"), func(c *Config) {
			if own {
				c.Outside = b
			}
		}))
		replies := map[string]bool{}
		for range 3 {
			replies[<-got] = true
		}
		refused := func(id, method string) string {
			return `{"jsonrpc":"2.0","id":"` + id + `","error":{"code":-32601,"message":"weir does not take ` + method + ` here"}}`
		}
		want := map[string]bool{refused("o", "other/thing"): true, refused("r", "roots/list"): true, refused("s", "sampling/createMessage"): true}
		if own {
			want = map[string]bool{
				refused("o", "other/thing"): true, `{"jsonrpc":"2.0","id":"r","result":{"roots":[]}}`: true,
				`{"jsonrpc":"2.0","id":"s","error":{"code":-1,"message":"no"}}`: true,
			}
			said := map[string]bool{}
			for range 3 {
				said[<-b.said] = true
			}
			all := map[string]bool{`notifications/elicitation/complete {"elicitationId":"e"}`: true, `roots/list `: true, `sampling/createMessage {"x":1}`: true}
			if d := cmp.Diff(all, said); d != "" {
				t.Error(d)
			}
		}
		if d := cmp.Diff(want, replies); d != "" {
			t.Error(d)
		}
		if err := c.RootsChanged(t.Context()); err != nil {
			t.Error(err)
		}
		if m := <-got; m != `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}` {
			t.Error(m)
		}
	}
}
