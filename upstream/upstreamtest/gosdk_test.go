package upstreamtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// pages is a server with more than one page of everything that the SDK clients can list.
var pages = Config{
	PageSize: 2,
	Tools: []Raw{
		`{"name":"echo","inputSchema":{"type":"object"}}`, `{"name":"slow","inputSchema":{"type":"object"}}`,
		`{"name":"asks","inputSchema":{"type":"object"}}`,
	},
	Prompts:   []Raw{`{"name":"hello","arguments":[{"name":"who"}]}`},
	Resources: []Raw{`{"uri":"file:///a","name":"a"}`},
	Templates: []Raw{`{"uriTemplate":"file:///t/{x}","name":"t"}`},
	Script: []Act{
		{On: "slow", Progress: 5},
		{On: "asks", Ask: []Ask{{Method: "elicitation/create", Params: `{"mode":"form","message":"sure?","requestedSchema":{"type":"object","properties":{"ok":{"type":"boolean"}}}}`}}},
	},
}

// cells are the transports and eras that a client of both must be able to use.
var cells = []struct {
	name  string
	stdio bool
	cfg   func(Config) Config
	want  string // the revision agreed on
}{
	{"modern HTTP", false, func(c Config) Config { c.Era = Modern; return c }, ModernVersion},
	{"modern HTTP in events", false, func(c Config) Config { c.Era, c.Events = Modern, true; return c }, ModernVersion},
	{"both over HTTP", false, func(c Config) Config { return c }, ModernVersion},
	{"legacy HTTP", false, func(c Config) Config { c.Era = Legacy; return c }, LegacyVersion},
	{"legacy HTTP in events", false, func(c Config) Config { c.Era, c.Events = Legacy, true; return c }, LegacyVersion},
	{"legacy HTTP, odd events", false, func(c Config) Config {
		c.Era, c.Events, c.Chunk = Legacy, true, 7
		c.EventStyle = EventStyle{EOL: "\r\n", Comments: true, NoSpace: true, NoEvent: true, Split: true}
		return c
	}, LegacyVersion},
	{"legacy HTTP of 2025-06-18", false, func(c Config) Config {
		c.Era, c.LegacyVersions = Legacy, []string{"2025-06-18"}
		return c
	}, "2025-06-18"},
	{"HTTP+SSE", false, func(c Config) Config {
		c.Era, c.SSE, c.LegacyVersions = Legacy, true, []string{SSEVersion}
		return c
	}, SSEVersion},
	{"modern stdio", true, func(c Config) Config { c.Era = Modern; return c }, ModernVersion},
	{"legacy stdio", true, func(c Config) Config { c.Era = Legacy; return c }, LegacyVersion},
}

func start(t *testing.T, cfg Config, stdio bool) *Server {
	t.Helper()
	if stdio {
		return Stdio(t, cfg)
	}
	return New(t, cfg)
}

// seen collects what a client was notified of.
type seen struct {
	mu       sync.Mutex
	progress []float64
	changed  int
}

func (s *seen) add(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func connectGoSDK(t *testing.T, s *Server) (*mcp.ClientSession, *seen) {
	t.Helper()
	got := &seen{}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"ok": true}}, nil
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			got.add(func() { got.progress = append(got.progress, r.Params.Progress) })
		},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { got.add(func() { got.changed++ }) },
	})
	var tr mcp.Transport
	switch {
	case s.Command != "":
		tr = &mcp.CommandTransport{Command: exec.Command(s.Command, s.Args...)}
	case s.http.cfg.SSE:
		tr = &mcp.SSEClientTransport{Endpoint: s.URL}
	default:
		tr = &mcp.StreamableClientTransport{Endpoint: s.URL}
	}
	session, err := client.Connect(t.Context(), tr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session, got
}

func TestGoSDKClient(t *testing.T) {
	for _, c := range cells {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, c.cfg(pages), c.stdio)
			session, got := connectGoSDK(t, s)
			if v := session.InitializeResult().ProtocolVersion; v != c.want {
				t.Errorf("agreed on %s, want %s", v, c.want)
			}
			ctx := t.Context()
			var names []string
			for tool, err := range session.Tools(ctx, nil) {
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, tool.Name)
			}
			if diff := cmp.Diff([]string{"echo", "slow", "asks"}, names); diff != "" {
				t.Errorf("tools (-want +got):\n%s", diff)
			}
			callGoSDK(t, session, "echo", nil, `{"n":9007199254740993}`)
			callGoSDK(t, session, "slow", "tok", `{"n":9007199254740993}`)
			Eventually(t, func() bool {
				got.mu.Lock()
				defer got.mu.Unlock()
				return cmp.Equal([]float64{1, 2, 3, 4, 5}, got.progress)
			}, "progress 1 to 5 in order")
			callGoSDK(t, session, "asks", nil, `{"answers":[{"action":"accept","content":{"ok":true}}]}`)
			readGoSDK(t, session)
			if diff := cmp.Diff([]string(nil), s.Ledger().Breaches()); diff != "" {
				t.Errorf("breaches (-want +got):\n%s", diff)
			}
		})
	}
}

// callGoSDK calls a tool with one big number and compares what was echoed as text.
func callGoSDK(t *testing.T, session *mcp.ClientSession, name string, token any, want string) {
	t.Helper()
	p := &mcp.CallToolParams{Name: name, Arguments: json.RawMessage(`{"n":9007199254740993}`)}
	if token != nil {
		p.SetProgressToken(token)
	}
	res, err := session.CallTool(t.Context(), p)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text, ok := res.Content[0].(*mcp.TextContent)
	if !ok || text.Text != want {
		t.Errorf("%s answered %+v, want %s", name, res.Content[0], want)
	}
}

func readGoSDK(t *testing.T, session *mcp.ClientSession) {
	t.Helper()
	for _, uri := range []string{"file:///a", "file:///t/1"} {
		if _, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri}); err != nil {
			t.Errorf("read %s: %v", uri, err)
		}
	}
	if _, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "file:///none"}); err == nil {
		t.Error("an unknown resource was read")
	}
	if _, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "hello", Arguments: map[string]string{"who": "x"}}); err != nil {
		t.Errorf("prompt: %v", err)
	}
}

func TestGoSDKHearsChanges(t *testing.T) {
	for _, c := range cells {
		if c.want == ModernVersion { // go-sdk v1.8.0 subscribes on request only
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s := start(t, c.cfg(pages), c.stdio)
			session, got := connectGoSDK(t, s)
			if s.URL != "" && !s.http.cfg.SSE {
				s.Ledger().Wait(t, "GET", 1)
			}
			i := 0
			Eventually(t, func() bool { // until the stream is open a change reaches nobody
				i++
				s.Change(Content{Tools: []Raw{Raw(fmt.Sprintf(`{"name":"new%d","inputSchema":{"type":"object"}}`, i))}})
				got.mu.Lock()
				defer got.mu.Unlock()
				return got.changed > 0
			}, "list_changed")
			res, err := session.ListTools(t.Context(), nil)
			if err != nil || len(res.Tools) != 1 {
				t.Fatalf("after the change: %+v, %v", res, err)
			}
		})
	}
}
