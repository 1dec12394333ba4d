package mcpconn

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpgoserver "github.com/mark3labs/mcp-go/server"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// peer is a real server of a library, with a tool "say" that answers its text after three notifications, and one "fail" that does not exist.
func mcpGoServer() *mcpgoserver.MCPServer {
	s := mcpgoserver.NewMCPServer("mcp-go", "1", mcpgoserver.WithToolCapabilities(true), mcpgoserver.WithPromptCapabilities(true))
	s.AddTool(mcpgo.NewTool("say", mcpgo.WithString("text")), func(_ context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return mcpgo.NewToolResultText(r.GetString("text", "")), nil
	})
	s.AddPrompt(mcpgo.NewPrompt("p"), func(context.Context, mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
		return mcpgo.NewGetPromptResult("d", nil), nil
	})
	return s
}

func sdkServer() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "go-sdk", Version: "1"}, nil)
	type args struct {
		Text string `json:"text"`
	}
	sdk.AddTool(s, &sdk.Tool{Name: "say"}, func(ctx context.Context, r *sdk.CallToolRequest, a args) (*sdk.CallToolResult, any, error) {
		if token := r.Params.GetProgressToken(); token != nil {
			for i := range 3 {
				_ = r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: float64(i + 1)})
			}
		}
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: a.Text}}}, nil, nil
	})
	s.AddPrompt(&sdk.Prompt{Name: "p"}, func(context.Context, *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		return &sdk.GetPromptResult{Description: "d"}, nil
	})
	return s
}

func TestRealServers(t *testing.T) {
	stream := func(stateless bool) *httptest.Server {
		s := sdkServer()
		return httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, &sdk.StreamableHTTPOptions{Stateless: stateless}))
	}
	tests := []struct {
		name     string
		server   func() *httptest.Server
		era      string
		progress bool // its notifications come in order and in time (mcp-go's do not)
	}{
		{"go-sdk modern", func() *httptest.Server { return stream(true) }, "modern", true},
		{"go-sdk legacy", func() *httptest.Server { return stream(false) }, "legacy", true},
		{"go-sdk sessions, asked", func() *httptest.Server { return stream(false) }, "auto", false},
		{"go-sdk SSE", func() *httptest.Server {
			s := sdkServer()
			return httptest.NewServer(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return s }, nil))
		}, "legacy", true},
		{"mcp-go modern", func() *httptest.Server {
			return httptest.NewServer(mcpgoserver.NewStreamableHTTPServer(mcpGoServer()))
		}, "modern", false},
		{"mcp-go legacy", func() *httptest.Server {
			return httptest.NewServer(mcpgoserver.NewStreamableHTTPServer(mcpGoServer(), mcpgoserver.WithStateful(true)))
		}, "legacy", false},
		{"mcp-go asked", func() *httptest.Server {
			return httptest.NewServer(mcpgoserver.NewStreamableHTTPServer(mcpGoServer()))
		}, "auto", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := tt.server()
			t.Cleanup(func() {
				server.CloseClientConnections()
				server.Close()
			})
			c := dial(t, config(server.URL, pinned(tt.era)))
			if tt.era != "auto" && c.Era().String() != tt.era {
				t.Errorf("era %v", c.Era())
			}
			src, faults, err := c.List(t.Context())
			if err != nil || faults != nil || len(src.Tools) != 1 || len(src.Prompts) != 1 {
				t.Fatalf("%+v, %v, %v", src, faults, err)
			}
			if got := result(t, c, modernCaller().call(t, "prompts/get", "p", "", "")); !strings.Contains(got, `"description":"d"`) {
				t.Errorf("prompt %s", got)
			}
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					for j := range 10 {
						who := modernCaller()
						text := fmt.Sprintf("text %d-%d", i, j)
						a, err := c.Call(t.Context(), who.call(t, "tools/call", "say", `{"progressToken":"`+text+`"}`, `,"arguments":{"text":"`+text+`"}`))
						if err != nil {
							t.Error(err)
							return
						}
						if !strings.Contains(string(a.Message.Data), text) {
							t.Errorf("%s: %s", text, a.Message.Data)
						}
						a.Release()
						if tt.progress && len(who.seen) != 3 {
							t.Errorf("%s: %q", text, who.seen)
						}
					}
				})
			}
			wg.Wait()
			a, err := c.Call(t.Context(), modernCaller().call(t, "tools/call", "nothing", "", ""))
			if err != nil {
				t.Fatal(err)
			}
			if code := errorCode(a.Message); code != -32602 {
				t.Errorf("unknown tool: %s", a.Message.Data)
			}
			a.Release()
		})
	}
}
