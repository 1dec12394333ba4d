// Command clock is an MCP server over HTTP that knows time zones.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
	_ "time/tzdata" // the zones, for systems without them

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:7801", "address to listen on")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "clock:", err)
		os.Exit(1)
	}
}

func run(listen string) error {
	s := server.NewMCPServer("clock", "1.0.0", server.WithToolCapabilities(true))
	s.AddTool(mcp.NewTool("now",
		mcp.WithDescription("The time now in a time zone."),
		mcp.WithString("zone", mcp.Description("IANA name, such as Europe/Paris; UTC when left away.")),
		mcp.WithReadOnlyHintAnnotation(true),
	), now)
	s.AddTool(mcp.NewTool("convert",
		mcp.WithDescription("What a time in one zone is in another."),
		mcp.WithString("time", mcp.Required(), mcp.Description("Such as 2026-07-28T09:30.")),
		mcp.WithString("from", mcp.Required(), mcp.Description("IANA name of the zone it is in.")),
		mcp.WithString("to", mcp.Required(), mcp.Description("IANA name of the zone to convert to.")),
		mcp.WithReadOnlyHintAnnotation(true),
	), convert)
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "clock: http://%s/mcp\n", ln.Addr())
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s))
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return h.Serve(ln)
}

func now(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	zone, err := time.LoadLocation(r.GetString("zone", "UTC"))
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	return mcp.NewToolResultText(time.Now().In(zone).Format(time.RFC3339)), nil
}

func convert(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	from, err := time.LoadLocation(r.GetString("from", ""))
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	to, err := time.LoadLocation(r.GetString("to", ""))
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04", r.GetString("time", ""), from)
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	return mcp.NewToolResultText(t.In(to).Format(time.RFC3339)), nil
}
