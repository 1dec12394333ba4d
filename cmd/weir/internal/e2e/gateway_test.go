package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// object is a JSON object: a configuration, or the params of a request.
type object = map[string]any

// configFile writes a configuration and returns its path. JSON is YAML, so the one form serves.
func configFile(t testing.TB, config object) string {
	t.Helper()
	b, err := json.MarshalIndent(config, "", "  ")
	must(t, err)
	path := filepath.Join(t.TempDir(), "weir.json")
	must(t, os.WriteFile(path, b, 0o600))
	return path
}

// freeAddr is an address nobody listened on a moment ago.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// output collects what a child writes; it may be read while the child runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// child is a started program.
type child struct {
	cmd    *exec.Cmd
	stderr *output
	ended  chan struct{} // closed when it was waited for
}

// start runs a program. It ends with the test, which fails when the program does not end on SIGTERM, and when it reported a data race.
// What it wrote to standard error is shown when the test failed.
func start(t testing.TB, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{cmd: cmd, stderr: &output{}, ended: make(chan struct{})}
	cmd.Stderr = c.stderr
	// A grandchild that keeps standard error open must not keep the test.
	cmd.WaitDelay = time.Second
	must(t, cmd.Start())
	go func() {
		defer close(c.ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if !c.waitEnd(15 * time.Second) {
			t.Errorf("%s still runs 15 s after SIGTERM", filepath.Base(cmd.Path))
			_ = cmd.Process.Kill()
			<-c.ended
		}
		if strings.Contains(c.stderr.String(), "WARNING: DATA RACE") {
			t.Errorf("%s has a data race", filepath.Base(cmd.Path))
		}
		if t.Failed() {
			t.Logf("%s (%v), standard error:\n%s", filepath.Base(cmd.Path), cmd.ProcessState, tail(c.stderr.String(), 8<<10))
		}
	})
	return c
}

// waitEnd reports whether the program ended within d.
func (c *child) waitEnd(d time.Duration) bool {
	select {
	case <-c.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// tail is the end of s, at most n bytes.
func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// listening waits until c accepts connections at addr.
func (c *child) listening(t testing.TB, addr string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-c.ended:
			t.Fatalf("%s ended at once: %v\n%s", filepath.Base(c.cmd.Path), c.cmd.ProcessState, c.stderr)
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen on %s", filepath.Base(c.cmd.Path), addr)
		}
	}
}

// gateway is a running `weir serve`.
type gateway struct {
	*child
	url string
}

// serve starts weir with config, and returns when it listens. Upstreams may not be ready yet: see [gateway.offers].
func serve(t testing.TB, config object) *gateway {
	t.Helper()
	return serveFile(t, configFile(t, config))
}

func serveFile(t testing.TB, path string) *gateway {
	t.Helper()
	addr := freeAddr(t)
	c := start(t, exec.Command(weirBinary, "serve", path, "--listen", addr))
	c.listening(t, addr)
	return &gateway{child: c, url: "http://" + addr + "/mcp"}
}

// offers waits until the gateway lists at least n tools, and returns their names.
func (g *gateway) offers(t testing.TB, n int) []string {
	t.Helper()
	p := dialHTTP(t, g.url, modern)
	var names []string
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		names, err = toolNames(p)
		if err == nil && len(names) >= n {
			return names
		}
	}
	t.Fatalf("the gateway lists %d tools and not %d: %v (%v)", len(names), n, names, err)
	return nil
}

// toolNames lists all tools, page by page.
func toolNames(p peer) ([]string, error) {
	var names []string
	params := object{}
	for {
		events, err := p.call("tools/list", params)
		if err != nil {
			return nil, err
		}
		var page struct {
			Tools      []struct{ Name string }
			NextCursor string
		}
		answer := events[len(events)-1]
		if answer.Error != nil {
			return nil, fmt.Errorf("tools/list: %s", answer.Error)
		}
		if err := json.Unmarshal(answer.Result, &page); err != nil {
			return nil, fmt.Errorf("tools/list: %w", err)
		}
		for _, tool := range page.Tools {
			names = append(names, tool.Name)
		}
		if page.NextCursor == "" {
			return names, nil
		}
		params = object{"cursor": page.NextCursor}
	}
}
