// Command bank is an MCP server over standard input and output. It says what it would do and keeps nothing.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func main() {
	account := mcp.WithString("account", mcp.Required(), mcp.Description("Whose account."))
	s := server.NewMCPServer("bank", "1.0.0", server.WithToolCapabilities(false))
	harmless := mcp.WithDestructiveHintAnnotation(false)
	s.AddTool(mcp.NewTool("get_balance", mcp.WithDescription("What is in an account."), account, mcp.WithReadOnlyHintAnnotation(true), harmless),
		says("%s has 4200", "account"))
	s.AddTool(mcp.NewTool("transfer", mcp.WithDescription("Send money."),
		mcp.WithString("to", mcp.Required(), mcp.Description("To whom.")),
		mcp.WithNumber("amount", mcp.Required(), mcp.Description("How much.")),
	), says("%[2]v sent to %[1]v", "to", "amount"))
	s.AddTool(mcp.NewTool("freeze_account", mcp.WithDescription("Stop an account until it is opened again."), account, harmless), says("%s is frozen", "account"))
	s.AddTool(mcp.NewTool("close_account", mcp.WithDescription("End an account."), account), says("%s is closed", "account"))
	if err := server.ServeStdio(s); err != nil {
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
}

// says answers with a text that is made of arguments.
func says(format string, names ...string) server.ToolHandlerFunc {
	return func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		values := make([]any, len(names))
		for i, name := range names {
			values[i] = r.GetArguments()[name]
		}
		return mcp.NewToolResultText(fmt.Sprintf(format, values...)), nil
	}
}
