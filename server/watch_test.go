package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir/catalog"
	"weir/policy"
)

// told records what an upstream is told about subscriptions.
type told struct {
	mu    sync.Mutex
	lines []string
	err   error
}

func (s *told) Subscribe(_ context.Context, upstream string, topic catalog.Topic) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, "+"+upstream+" "+topic.String())
	return s.err
}

func (s *told) Unsubscribe(_ context.Context, upstream string, topic catalog.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, "-"+upstream+" "+topic.String())
}

func watched(t *testing.T) (*Gateway, *told) {
	t.Helper()
	engine, err := policy.New()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New()
	c.Publish(catalog.Build([]*catalog.Source{{
		Upstream: "files", Capabilities: []byte(`{"resources":{"subscribe":true}}`),
		Resources: [][]byte{[]byte(`{"name":"a","uri":"file:///a"}`), []byte(`{"name":"b","uri":"file:///b"}`)},
	}, {Upstream: "others", Capabilities: []byte(`{"resources":{}}`)}}, catalog.Options{}))
	s := &told{}
	return New(Options{Catalog: c, Policy: engine, Upstream: upstreamFunc(nil), Subscriber: s, Log: slog.New(slog.DiscardHandler)}), s
}

func legacy(t *testing.T, g *Gateway, s *Session, method, uri string) string {
	t.Helper()
	m := scan(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"uri":"`+uri+`"}}`)
	reply := g.Serve(t.Context(), &Request{Principal: policy.LocalUser(), Client: s.Client(), Session: s, Message: m})
	return string(reply.AppendLine(nil))
}

// listening is a request of p with that id.
func listening(t *testing.T, p policy.Principal, id string) *Request {
	t.Helper()
	return &Request{
		Principal: p, Client: &catalog.Client{Era: catalog.Modern}, Message: scan(t, `{"jsonrpc":"2.0","id":`+id+`,"method":"subscriptions/listen","params":{"notifications":{}}}`),
	}
}

func texts(o *Outlet) []string {
	var out []string
	for _, m := range o.Take() {
		out = append(out, string(m))
	}
	return out
}

// TestUpstreamIsToldOnce: one subscription for all that watch a resource, each client told once under its own terms, and none left behind.
func TestUpstreamIsToldOnce(t *testing.T) {
	g, up := watched(t)
	s := NewSession(policy.LocalUser(), catalog.Client{Era: catalog.Legacy})
	get := NewOutlet()
	s.Attach(get)
	for range 2 {
		if got := legacy(t, g, s, "resources/subscribe", "file:///a"); got != `{"jsonrpc":"2.0","id":1,"result":{}}` {
			t.Fatal(got)
		}
	}
	listen := NewOutlet()
	_, stop := g.Open(t.Context(), listening(t, policy.LocalUser(), `"L"`), Listening{URIs: []string{"file:///a", "file:///none"}, asked: true}, listen)
	want := `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"L"},"notifications":{"resourceSubscriptions":["file:///a"]}}}`
	if got := texts(listen); !slices.Equal(got, []string{want}) {
		t.Errorf("acknowledged: %q", got)
	}
	g.Updated("files", catalog.Topic{ID: "file:///a"}, []byte("{\n\"uri\":\"file:///a\",\"_meta\":{\"x\":1e400},\"y\":[]}"))
	g.Updated("files", catalog.Topic{ID: "file:///b"}, []byte(`{"uri":"file:///b"}`))
	want = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"x":1e400},"y":[],"uri":"file:///a"}}`
	if got := texts(get); !slices.Equal(got, []string{want}) {
		t.Errorf("legacy: %q", got)
	}
	want = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"y":[],"uri":"file:///a","_meta":{"x":1e400,"io.modelcontextprotocol/subscriptionId":"L"}}}`
	if got := texts(listen); !slices.Equal(got, []string{want}) {
		t.Errorf("modern: %q", got)
	}
	stop()
	legacy(t, g, s, "resources/unsubscribe", "file:///a")
	legacy(t, g, s, "resources/unsubscribe", "file:///a")
	if want := []string{"+files file:///a", "-files file:///a"}; !slices.Equal(up.lines, want) {
		t.Errorf("the upstream was told %q, want %q", up.lines, want)
	}
	if len(g.watches.byID) != 0 {
		t.Error("a watch is left")
	}
}

func TestSubscriptionsEndWithTheirSession(t *testing.T) {
	g, up := watched(t)
	s := NewSession(policy.LocalUser(), catalog.Client{Era: catalog.Legacy})
	legacy(t, g, s, "resources/subscribe", "file:///a")
	s.End()
	for {
		up.mu.Lock()
		n := len(up.lines)
		up.mu.Unlock()
		if n == 2 {
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the upstream was not told")
		default:
		}
	}
}

func TestSubscriptionRefusals(t *testing.T) {
	g, up := watched(t)
	s := NewSession(policy.LocalUser(), catalog.Client{Era: catalog.Legacy})
	if got := legacy(t, g, s, "resources/subscribe", ""); !strings.Contains(got, `"code":-32002`) || !strings.Contains(got, `"data":{"uri":""}`) {
		t.Errorf("unknown resource: %s", got)
	}
	up.err = errors.New("no")
	if got := legacy(t, g, s, "resources/subscribe", "file:///a"); !strings.Contains(got, `"error"`) {
		t.Errorf("refused by the upstream: %s", got)
	}
	if len(g.watches.byID) != 0 {
		t.Error("a watch is left")
	}
}
