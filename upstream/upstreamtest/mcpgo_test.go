package upstreamtest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// accepts answers every elicitation with yes.
type accepts struct{}

func (accepts) Elicit(context.Context, mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	return &mcp.ElicitationResult{ElicitationResponse: mcp.ElicitationResponse{
		Action: mcp.ElicitationResponseActionAccept, Content: map[string]any{"ok": true},
	}}, nil
}

func connectMCPGo(t *testing.T, s *Server, want string) (*client.Client, *seen) {
	t.Helper()
	var tr transport.Interface
	var err error
	switch {
	case s.Command != "":
		tr = transport.NewStdio(s.Command, nil, s.Args...)
	case s.http.cfg.SSE:
		tr, err = transport.NewSSE(s.URL)
	default:
		tr, err = transport.NewStreamableHTTP(s.URL)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewClient(tr, client.WithElicitationHandler(accepts{}))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	got := &seen{}
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		got.add(func() {
			switch n.Method {
			case "notifications/progress":
				p, _ := n.Params.AdditionalFields["progress"].(float64)
				got.progress = append(got.progress, p)
			case "notifications/tools/list_changed":
				got.changed++
			}
		})
	})
	var init mcp.InitializeRequest
	init.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	init.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	res, err := c.Initialize(t.Context(), init)
	if err != nil {
		t.Fatal(err)
	}
	if res.ProtocolVersion != want {
		t.Errorf("agreed on %s, want %s", res.ProtocolVersion, want)
	}
	return c, got
}

func TestMCPGoClient(t *testing.T) {
	for _, c := range cells {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, c.cfg(pages), c.stdio)
			cl, got := connectMCPGo(t, s, c.want)
			res, err := cl.ListTools(t.Context(), mcp.ListToolsRequest{})
			if err != nil || len(res.Tools) != 3 {
				t.Fatalf("tools: %+v, %v", res, err)
			}
			callMCPGo(t, cl, "echo", nil, `{"n":9007199254740993}`)
			callMCPGo(t, cl, "slow", "tok", `{"n":9007199254740993}`)
			Eventually(t, func() bool {
				got.mu.Lock()
				defer got.mu.Unlock()
				return cmp.Equal([]float64{1, 2, 3, 4, 5}, got.progress)
			}, "progress 1 to 5 in order")
			if c.want != SSEVersion { // mcp-go v1.2.1 takes no server requests over HTTP+SSE
				callMCPGo(t, cl, "asks", nil, `{"answers":[{"action":"accept","content":{"ok":true}}]}`)
			}
			var read mcp.ReadResourceRequest
			read.Params.URI = "file:///a"
			if _, err := cl.ReadResource(t.Context(), read); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]string(nil), s.Ledger().Breaches()); diff != "" {
				t.Errorf("breaches (-want +got):\n%s", diff)
			}
		})
	}
}

func callMCPGo(t *testing.T, c *client.Client, name string, token mcp.ProgressToken, want string) {
	t.Helper()
	var r mcp.CallToolRequest
	r.Params.Name, r.Params.Arguments = name, json.RawMessage(`{"n":9007199254740993}`)
	if token != nil {
		r.Params.Meta = &mcp.Meta{ProgressToken: token}
	}
	res, err := c.CallTool(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text, ok := res.Content[0].(mcp.TextContent)
	if !ok || text.Text != want {
		t.Errorf("%s answered %+v, want %s", name, res.Content[0], want)
	}
}

func TestMCPGoHearsChangesOnAListenStream(t *testing.T) {
	for _, c := range cells {
		if c.want != ModernVersion || c.stdio {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s := start(t, c.cfg(pages), c.stdio)
			cl, got := connectMCPGo(t, s, c.want)
			stop, err := cl.ListenAsync(t.Context(), mcp.SubscriptionFilter{ToolsListChanged: true}, func(error) {})
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			Eventually(t, func() bool {
				s.Change(Content{Tools: []Raw{`{"name":"new","inputSchema":{"type":"object"}}`}})
				got.mu.Lock()
				defer got.mu.Unlock()
				return got.changed > 0
			}, "list_changed")
		})
	}
}
