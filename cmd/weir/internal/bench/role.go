package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// roleArg is the first argument of a process that plays a part.
const roleArg = "bench-role"

// loadRole makes calls for a benchmark whose own process is the one that is measured.
const loadRole = "load"

// Role plays the part that args name, when [Run] or a benchmark started this program for one, and reports whether it did.
func Role(args []string, in io.Reader, out io.Writer) (played bool, err error) {
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
		return true, newLean(*tools).serveLines(in, out)
	case loadRole:
		return true, takeOrders(*order, in, out)
	case Proxy, Stock:
		if handler, err = newProxy(*upstream, args[1] == Proxy); err != nil {
			return true, err
		}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return true, err
	}
	if _, err := fmt.Fprintf(out, "http://%s/mcp\n", ln.Addr()); err != nil {
		return true, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	return true, server.Serve(ln)
}

// loadOrder is what such a process shall do with each number on its input: make so many calls, and answer with a line when they are made.
type loadOrder struct {
	Case               Case
	URL, Tool, Session string
}

// takeOrders answers "ok" or what went wrong, one line for each line of in.
func takeOrders(order string, in io.Reader, out io.Writer) error {
	var o loadOrder
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return err
	}
	ld, err := newLoad(o.Case, o.URL, o.Tool, o.Session, "")
	if err != nil {
		return err
	}
	defer ld.close()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
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
	return nil
}
