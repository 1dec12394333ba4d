package mcpconn

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"weir/catalog"
)

// noted collects updates.
type noted struct {
	mu   sync.Mutex
	seen []string
}

func (n *noted) note(topic catalog.Topic, params []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = append(n.seen, topic.String()+" "+string(params))
}

func (n *noted) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.seen)
}

func (n *noted) wait(t *testing.T, count int) []string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		n.mu.Lock()
		seen := slices.Clone(n.seen)
		n.mu.Unlock()
		if len(seen) >= count {
			return seen
		}
		if time.Now().After(deadline) {
			t.Fatalf("saw %d updates, want %d", len(seen), count)
		}
	}
}

// TestWatch: updates of a watched resource arrive from real servers of both eras, those of others and later ones do not.
func TestWatch(t *testing.T) {
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			s := mcp.NewServer(&mcp.Implementation{Name: "s", Version: "1"}, &mcp.ServerOptions{
				SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
				UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
			})
			for _, uri := range []string{"test://a", "test://b"} {
				s.AddResource(&mcp.Resource{Name: uri, URI: uri}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
					return &mcp.ReadResourceResult{}, nil
				})
			}
			h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: era == "modern"})
			web := httptest.NewServer(h)
			defer web.Close()
			n := &noted{}
			c, err := Dial(t.Context(), Config{Name: "up", Transport: "http", Era: era, URL: web.URL, Updated: n.note})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close(context.Background()) }()
			if err := c.Watch(t.Context(), catalog.Topic{ID: "test://a"}); err != nil {
				t.Fatal(err)
			}
			update := func(uri string) {
				if err := s.ResourceUpdated(t.Context(), &mcp.ResourceUpdatedNotificationParams{URI: uri}); err != nil {
					t.Error(err)
				}
			}
			// A legacy server has no stream to say it on before weir's GET has arrived.
			for deadline := time.Now().Add(10 * time.Second); n.count() == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				update("test://b")
				update("test://a")
			}
			if got := n.wait(t, 1); !slices.Equal(slices.Compact(got), []string{`test://a {"uri":"test://a"}`}) {
				t.Errorf("%q", got)
			}
			before := n.count()
			c.Unwatch(t.Context(), catalog.Topic{ID: "test://a"})
			update("test://a")
			if err := c.Watch(t.Context(), catalog.Topic{ID: "test://b"}); err != nil {
				t.Fatal(err)
			}
			update("test://b")
			if got := n.wait(t, before+1); len(got) != before+1 || got[before] != `test://b {"uri":"test://b"}` {
				t.Errorf("%q", got)
			}
		})
	}
}
