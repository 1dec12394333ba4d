// Command notes is an MCP server over standard input and output. It keeps notes until it ends.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// notes are what was added, in order.
type notes struct {
	mu   sync.Mutex
	list []string
}

func main() {
	n := &notes{list: []string{"Weirs raise the water level upstream.", "The meeting in Tokyo is at 16:30."}}
	s := server.NewMCPServer("notes", "1.0.0", server.WithToolCapabilities(true))
	s.AddTool(mcp.NewTool("add",
		mcp.WithDescription("Keep a note."),
		mcp.WithString("text", mcp.Required(), mcp.Description("What to keep.")),
	), n.add)
	s.AddTool(mcp.NewTool("search",
		mcp.WithDescription("Find notes that contain a text."),
		mcp.WithString("text", mcp.Description("What to look for; all notes when left away.")),
		mcp.WithReadOnlyHintAnnotation(true),
	), n.search)
	if err := server.ServeStdio(s); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

func (n *notes) add(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	text, err := r.RequireString("text")
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, text)
	return mcp.NewToolResultText(fmt.Sprintf("kept as note %d", len(n.list))), nil
}

func (n *notes) search(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	text := strings.ToLower(r.GetString("text", ""))
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []string
	for _, note := range n.list {
		if strings.Contains(strings.ToLower(note), text) {
			found = append(found, note)
		}
	}
	return mcp.NewToolResultText(strings.Join(found, "\n")), nil
}
