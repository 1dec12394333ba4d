package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// strained starts weir as shell says, in which "$@" is its command line, and with more variables.
func strained(t *testing.T, config object, shell string, env ...string) *gateway {
	t.Helper()
	addr := freeAddr(t)
	cmd := exec.Command("sh", "-c", shell, "weir", weirBinary, "serve", configFile(t, config), "--listen", addr)
	cmd.Env = append(os.Environ(), env...)
	c := start(t, cmd)
	c.listening(t, addr)
	g := &gateway{c, "http://" + addr + "/mcp"}
	g.offers(t, 1)
	return g
}

// origin is the gateway's URL without the path.
func (g *gateway) origin() string { return strings.TrimSuffix(g.url, "/mcp") }

// addr is where it listens.
func (g *gateway) addr() string { return strings.TrimPrefix(g.origin(), "http://") }

// files is how many files the gateway has open.
func (g *gateway) files(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.cmd.Process.Pid))
	must(t, err)
	return len(names)
}

// memory is a field of the gateway's /proc/PID/status, such as VmRSS, in bytes.
func (g *gateway) memory(t *testing.T, field string) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	must(t, err)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			must(t, err)
			return n << 10
		}
	}
	t.Fatalf("no %s in %s", field, b)
	return 0
}

// fresh is a client that makes a connection for each request.
func fresh() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}

// said is an answer to one request.
type said struct {
	status int
	text   string
	header http.Header
}

// plainCall calls a tool as a client without a session does.
func (g *gateway) plainCall(ctx context.Context, c *http.Client, tool, arguments string) (said, error) {
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, strings.NewReader(body))
	if err != nil {
		return said{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	return do(c, r)
}

func do(c *http.Client, r *http.Request) (said, error) {
	resp, err := c.Do(r)
	if err != nil {
		return said{}, err
	}
	b, err := io.ReadAll(resp.Body)
	return said{resp.StatusCode, string(b), resp.Header}, errors.Join(err, resp.Body.Close())
}

// readiness asks whether the gateway is ready.
func (g *gateway) readiness(t *testing.T, c *http.Client) (said, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.origin()+"/ready", nil)
	must(t, err)
	return do(c, r)
}

// good reports whether a call was answered by the tool.
func good(s said, err error) bool {
	return err == nil && s.status == 200 && strings.Contains(s.text, `"content"`) && !strings.Contains(s.text, `"isError":true`)
}

// With 256 files, more connections than that harm nobody who asks for something, the process lives, says that it is not ready when nine tenths are in use, and is ready
// when they are not.
func TestR34_FewFiles(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{
		Tools:  []upstreamtest.Raw{`{"name":"echo","inputSchema":{"type":"object"}}`, `{"name":"wait","inputSchema":{"type":"object"}}`},
		Script: []upstreamtest.Act{{On: "tools/call wait", Fault: upstreamtest.Hang}},
	})
	g := strained(t, object{"mcpServers": object{"up": object{"url": up.URL}}}, `ulimit -n 256; exec "$@"`)
	quiet := g.files(t)
	conns := make([]net.Conn, 600)
	for i := range conns {
		c, err := net.Dial("tcp", g.addr())
		must(t, err)
		conns[i] = c
		if i%2 == 1 {
			_, _ = io.WriteString(c, "POST /mcp HTTP/1.1\r\nHost: x\r\nX-") // it may be closed already
		}
		if i%50 == 0 {
			if s, err := g.plainCall(t.Context(), fresh(), "up__echo", `{}`); !good(s, err) {
				t.Errorf("with %d connections: %+v %v", i, s, err)
			}
		}
	}
	flooded := g.files(t)
	if s, err := g.readiness(t, fresh()); err != nil || s.status != 200 {
		t.Errorf("connections alone, of %d files %d are open: %+v %v", 256, flooded, s, err)
	}

	for _, c := range conns {
		_ = c.Close()
	}
	upstreamtest.Eventually(t, func() bool { return g.files(t) < quiet+10 }, "the connections are gone, the files are not")

	// Calls that wait take two files each, one here and one at the upstream: not all that there are.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waiting sync.WaitGroup
	for range (250 - quiet) / 2 {
		waiting.Go(func() {
			body, err := modern.request(1, "tools/call", object{"name": "up__wait"}, object{})
			if err != nil {
				t.Error(err)
				return
			}
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			for k, v := range map[string]string{"Content-Type": "application/json", "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "up__wait"} {
				r.Header.Set(k, v)
			}
			_, _ = do(fresh(), r) // it is cancelled
		})
	}
	upstreamtest.Eventually(t, func() bool { s, err := g.readiness(t, fresh()); return err == nil && s.status == 503 }, "it is ready with %d of 256 files", g.files(t))
	full := g.files(t)
	s, err := g.readiness(t, fresh())
	if err != nil || !strings.Contains(s.text, "files: ") || !strings.Contains(s.text, "of the 256") {
		t.Errorf("the operator reads %+v %v", s, err)
	}
	cancel()
	waiting.Wait()
	upstreamtest.Eventually(t, func() bool { s, err := g.readiness(t, fresh()); return err == nil && s.status == 200 }, "it is not ready again")
	if s, err := g.plainCall(t.Context(), fresh(), "up__echo", `{}`); !good(s, err) {
		t.Errorf("afterwards: %+v %v", s, err)
	}
	t.Logf("open files: %d at rest, %d in the flood of 600 connections, %d with %d calls that wait, of 256", quiet, flooded, full, (250-quiet)/2)
}

// alive reports whether the program still runs.
func (c *child) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}
