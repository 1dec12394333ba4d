package mcphttp

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/catalog"
	"weir/policy"
	"weir/server"
	"weir/server/authn"
)

// taken takes every subscription.
type taken struct{}

func (taken) Subscribe(context.Context, string, catalog.Topic) error { return nil }
func (taken) Unsubscribe(context.Context, string, catalog.Topic)     {}

// extended is a fixture whose upstream has a resource and tasks, with its engine.
func extended(t *testing.T) (*fixture, *policy.Engine) {
	t.Helper()
	engine, err := policy.New()
	if err != nil {
		t.Fatal(err)
	}
	src := source("slow")
	src.Capabilities = []byte(`{"tools":{},"resources":{"subscribe":true},"extensions":{"io.modelcontextprotocol/tasks":{}}}`)
	src.Tools = [][]byte{[]byte(`{"name":"slow","inputSchema":{"type":"object"}}`)}
	src.Resources = [][]byte{[]byte(`{"name":"a","uri":"note://a"}`)}
	c := catalog.New()
	c.Publish(catalog.Build([]*catalog.Source{src}, catalog.Options{Naming: catalog.Prefix}))
	g := server.New(server.Options{
		Catalog: c, Policy: engine, Subscriber: taken{}, Log: slog.New(slog.DiscardHandler), Version: "1",
		Upstream: upstreamFunc(func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
			if c.Method == "tools/call" {
				return result(t, catalog.Modern, `{"resultType":"task","taskId":"7","status":"working"}`), nil
			}
			return result(t, catalog.Modern, `{"resultType":"complete","taskId":"`+c.Target+`","status":"working"}`), nil
		}),
	})
	e := New(Options{Gateway: g, Spec: server.Default(), Log: slog.New(slog.DiscardHandler), Authenticate: func(*http.Request) (authn.Caller, error) {
		return authn.Caller{Principal: policy.LocalUser()}, nil
	}})
	s := httptest.NewServer(e)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		e.Close()
		s.Close()
		g.Close()
	})
	return &fixture{t: t, url: s.URL, catalog: c, end: e, client: client}, engine
}

// TestT33_ListenCompletesWhenARightIsLost: the stream of a caller who may no longer watch what it was promised ends with its result.
func TestT33_ListenCompletesWhenARightIsLost(t *testing.T) {
	f, engine := extended(t)
	stream, stop := f.events("POST", `{"jsonrpc":"2.0","id":"L1","method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["note://a"]},`+meta+`}}`,
		"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
	defer stop()
	if got := receive(t, stream, "the acknowledgement"); !strings.Contains(got, `"resourceSubscriptions":["note://a"]`) {
		t.Fatal(got)
	}
	p, err := policy.Compile(policy.Spec{Grants: map[string][]string{"user:local": {"up/slow"}}}, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	engine.Swap(p)
	want := `{"jsonrpc":"2.0","id":"L1","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"L1"}}}`
	if got := receive(t, stream, "completion"); got != want {
		t.Errorf("completion: %s", got)
	}
}

// TestTasksOverHTTP: the id that a call gave finds its task, and Mcp-Name must say it too.
func TestTasksOverHTTP(t *testing.T) {
	f, _ := extended(t)
	declared := strings.Replace(meta, `Capabilities":{}`, `Capabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}`, 1)
	post := func(method, params, name string) answer {
		got, _ := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+`,`+declared+`}}`,
			"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method, "Mcp-Name", name)
		return got
	}
	made := post("tools/call", `"name":"up__slow"`, "up__slow")
	_, id, ok := strings.Cut(made.Body, `"taskId":"`)
	if id, _, _ = strings.Cut(id, `"`); !ok || id == "7" {
		t.Fatal(made.Body)
	}
	if got := post("tasks/get", `"taskId":"`+id+`"`, id); got.Status != 200 || !strings.Contains(got.Body, `"taskId":"`+id+`","status":"working"`) {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"", "7", strings.ToLower(id)} {
		if got := post("tasks/get", `"taskId":"`+id+`"`, name); got.Status != 400 || !strings.Contains(got.Body, "-32020") {
			t.Errorf("Mcp-Name %q: %+v", name, got)
		}
	}
}
