package bench

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// roleArg is the first argument of a process that plays a part.
const roleArg = "bench-role"

// loadRole makes calls for a benchmark whose own process is the one that is measured.
const loadRole = "load"

// loadOrder is what such a process shall do with each number on its input: make so many calls, and answer with a line when they are made.
type loadOrder struct {
	Case               Case
	URL, Tool, Session string
}

// Role plays the part that the arguments of this process name, when [Run] or a benchmark started it for one, and reports whether it did.
// mcpGo serves an mcp-go server with the tools echo and events.
func Role(args []string, mcpGo func(net.Listener) error) (played bool, err error) {
	if len(args) < 2 || args[0] != roleArg {
		return false, nil
	}
	fs := flag.NewFlagSet(args[1], flag.ContinueOnError)
	upstream := fs.String("upstream", "", "`URL` the proxy stands before")
	tools := fs.Int("tools", 0, "`N` tools to offer")
	order := fs.String("load", "", "an `ORDER` for load, in JSON")
	if err := fs.Parse(args[2:]); err != nil {
		return true, err
	}
	var handler http.Handler = newLean(*tools)
	switch args[1] {
	case Stdio:
		return true, newLean(*tools).serveLines(os.Stdin, os.Stdout)
	case loadRole:
		return true, takeOrders(*order, os.Stdin, os.Stdout)
	case Proxy:
		if handler, err = newProxy(*upstream); err != nil {
			return true, err
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return true, err
	}
	fmt.Printf("http://%s/mcp\n", ln.Addr())
	if args[1] == MCPGo {
		return true, mcpGo(ln)
	}
	return true, http.Serve(ln, handler)
}

// takeOrders answers "ok" or what went wrong, one line for each line of in.
func takeOrders(order string, in io.Reader, out io.Writer) error {
	var o loadOrder
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return err
	}
	ld, err := newLoad(o.Case, o.URL, o.Tool, o.Session)
	if err != nil {
		return err
	}
	defer ld.close()
	for r := bufio.NewReader(in); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil // the benchmark is over
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return err
		}
		t := ld.run(0, n)
		answer := "ok"
		if t.calls != n {
			answer = fmt.Sprintf("%d of %d calls failed: %v", n-t.calls, n, t.firstErr)
		}
		if _, err := fmt.Fprintln(out, strings.ReplaceAll(answer, "\n", " ")); err != nil {
			return err
		}
	}
}
