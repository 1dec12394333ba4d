package e2e

import (
	"os/exec"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// mcpGo is mcp-go's client.
type mcpGo struct {
	progressLog
	t *testing.T
	c *client.Client
}

func dialMCPGo(t *testing.T, url string, program *exec.Cmd, e era) goClient {
	t.Helper()
	var over transport.Interface
	if program != nil {
		over = transport.NewStdio(program.Path, nil, program.Args[1:]...)
	} else {
		streamable, err := transport.NewStreamableHTTP(url)
		must(t, err)
		over = streamable
	}
	c := &mcpGo{t: t, c: client.NewClient(over, client.WithProtocolVersion(e.version()))}
	must(t, c.c.Start(t.Context()))
	t.Cleanup(func() { _ = c.c.Close() })
	c.c.OnNotification(func(n mcp.JSONRPCNotification) {
		if v, ok := n.Params.AdditionalFields["progress"].(float64); ok {
			c.add(v)
		}
	})
	init := mcp.InitializeRequest{}
	init.Params.ClientInfo = mcp.Implementation{Name: "e2e", Version: "1"}
	_, err := c.c.Initialize(t.Context(), init)
	must(t, err)
	return c
}

func (c *mcpGo) version() string { return c.c.ProtocolVersion() }

func (c *mcpGo) tools() (names []string) {
	res, err := c.c.ListTools(c.t.Context(), mcp.ListToolsRequest{})
	must(c.t, err)
	for _, x := range res.Tools {
		names = append(names, x.Name)
	}
	return names
}

func (c *mcpGo) prompts() (names []string) {
	res, err := c.c.ListPrompts(c.t.Context(), mcp.ListPromptsRequest{})
	must(c.t, err)
	for _, x := range res.Prompts {
		names = append(names, x.Name)
	}
	return names
}

func (c *mcpGo) resources() (uris []string) {
	res, err := c.c.ListResources(c.t.Context(), mcp.ListResourcesRequest{})
	must(c.t, err)
	for _, x := range res.Resources {
		uris = append(uris, x.URI)
	}
	return uris
}

func (c *mcpGo) call(tool, via string, token any) string {
	params := mcp.CallToolParams{Name: tool, Arguments: object{"via": via}}
	if token != nil {
		params.Meta = &mcp.Meta{ProgressToken: token}
	}
	res, err := c.c.CallTool(c.t.Context(), mcp.CallToolRequest{Params: params})
	must(c.t, err)
	return compact(c.t, res.StructuredContent)
}

func (c *mcpGo) prompt(name, topic string) string {
	req := mcp.GetPromptRequest{}
	req.Params.Name, req.Params.Arguments = name, map[string]string{"topic": topic}
	res, err := c.c.GetPrompt(c.t.Context(), req)
	must(c.t, err)
	text, ok := res.Messages[0].Content.(mcp.TextContent)
	if !ok {
		c.t.Fatalf("prompt %s: %+v", name, res.Messages)
	}
	return text.Text
}

func (c *mcpGo) read(uri string) string {
	req := mcp.ReadResourceRequest{}
	req.Params.URI = uri
	res, err := c.c.ReadResource(c.t.Context(), req)
	must(c.t, err)
	text, ok := res.Contents[0].(mcp.TextResourceContents)
	if !ok {
		c.t.Fatalf("resource %s: %+v", uri, res.Contents)
	}
	return text.Text
}

func (c *mcpGo) complete(prompt, value string) []string {
	req := mcp.CompleteRequest{}
	req.Params.Ref = mcp.PromptReference{Type: "ref/prompt", Name: prompt}
	req.Params.Argument = mcp.CompleteArgument{Name: "topic", Value: value}
	res, err := c.c.Complete(c.t.Context(), req)
	must(c.t, err)
	return res.Completion.Values
}
