package e2e

import (
	"context"
	"iter"
	"os/exec"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// goSDK is the official SDK's client.
type goSDK struct {
	progressLog
	t *testing.T
	s *mcp.ClientSession
}

func dialGoSDK(t *testing.T, url string, program *exec.Cmd, e era) goClient {
	t.Helper()
	c := &goSDK{t: t}
	client := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			c.add(r.Params.Progress)
		},
	})
	var over mcp.Transport = &mcp.CommandTransport{Command: program}
	if program == nil {
		over = &mcp.StreamableClientTransport{Endpoint: url, DisableStandaloneSSE: true}
	}
	s, err := client.Connect(t.Context(), over, &mcp.ClientSessionOptions{ProtocolVersion: e.version()})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	c.s = s
	return c
}

func (c *goSDK) version() string { return c.s.InitializeResult().ProtocolVersion }

func (c *goSDK) tools() []string {
	return collect(c.t, c.s.Tools(c.t.Context(), nil), func(x *mcp.Tool) string { return x.Name })
}

func (c *goSDK) prompts() []string {
	return collect(c.t, c.s.Prompts(c.t.Context(), nil), func(x *mcp.Prompt) string { return x.Name })
}

func (c *goSDK) resources() []string {
	return collect(c.t, c.s.Resources(c.t.Context(), nil), func(x *mcp.Resource) string { return x.URI })
}

func collect[T any](t *testing.T, items iter.Seq2[T, error], name func(T) string) []string {
	t.Helper()
	var names []string
	for item, err := range items {
		must(t, err)
		names = append(names, name(item))
	}
	return names
}

func (c *goSDK) call(tool, via string, token any) string {
	params := &mcp.CallToolParams{Name: tool, Arguments: object{"via": via}}
	if token != nil {
		params.SetProgressToken(token)
	}
	res, err := c.s.CallTool(c.t.Context(), params)
	must(c.t, err)
	return compact(c.t, res.StructuredContent)
}

func (c *goSDK) prompt(name, topic string) string {
	res, err := c.s.GetPrompt(c.t.Context(), &mcp.GetPromptParams{Name: name, Arguments: map[string]string{"topic": topic}})
	must(c.t, err)
	text, ok := res.Messages[0].Content.(*mcp.TextContent)
	if !ok {
		c.t.Fatalf("prompt %s: %+v", name, res.Messages)
	}
	return text.Text
}

func (c *goSDK) read(uri string) string {
	res, err := c.s.ReadResource(c.t.Context(), &mcp.ReadResourceParams{URI: uri})
	must(c.t, err)
	return res.Contents[0].Text
}

func (c *goSDK) complete(prompt, value string) []string {
	res, err := c.s.Complete(c.t.Context(), &mcp.CompleteParams{
		Ref:      &mcp.CompleteReference{Type: "ref/prompt", Name: prompt},
		Argument: mcp.CompleteParamsArgument{Name: "topic", Value: value},
	})
	must(c.t, err)
	return res.Completion.Values
}
