package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sandwichArg makes the test's own binary a client for the conformance suite: the go-sdk's with weir behind it.
const sandwichArg = "e2e-sandwich"

// runSandwich is called first in TestMain: in a process that the suite started as `BINARY e2e-sandwich WEIR CLIENT URL` it puts weir before the
// suite's server at URL, lets the client talk to weir, and exits with its status; otherwise it returns at once.
func runSandwich() {
	if len(os.Args) != 5 || os.Args[1] != sandwichArg {
		return
	}
	err := sandwich(os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandwich:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func sandwich(weir, client, url string) error {
	dir, err := os.MkdirTemp("", "weir-sandwich-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	config := filepath.Join(dir, "weir.json")
	b, err := json.Marshal(object{"naming": "bare", "mcpServers": object{"up": object{"url": url, "required": true}}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, b, 0o600); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	gateway := exec.CommandContext(ctx, weir, "serve", config, "--listen", addr)
	gateway.Stderr = os.Stderr
	gateway.Cancel = func() error { return gateway.Process.Signal(syscall.SIGTERM) }
	gateway.WaitDelay = 5 * time.Second
	if err := gateway.Start(); err != nil {
		return err
	}
	defer func() {
		cancel()
		_ = gateway.Wait() // that it was ended is no news
	}()
	for { // it listens when its upstream is listed
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = conn.Close()
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("weir does not listen: %w", err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	talk := exec.CommandContext(ctx, client, "http://"+addr+"/mcp")
	talk.Stderr = os.Stderr
	return talk.Run()
}

// clientScenarios are the suite's scenarios for clients, but for those about signing in, by the revisions that have them.
func clientScenarios() map[string][]string {
	return map[string][]string{
		wire2025: {"initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry", "json-schema-2020-12-preservation"},
		wire2026: {
			"tools_call", "request-metadata", "sep-2322-client-request-state", "http-standard-headers", "http-custom-headers", "http-invalid-tool-headers",
			"json-schema-ref-no-deref", "json-schema-2020-12-preservation",
		},
	}
}

// clientSuite runs one of them with a client.
func clientSuite(t *testing.T, n node, command, scenario, revision string) checks {
	t.Helper()
	dir := t.TempDir()
	args := []string{"client", "--command", command, "--scenario", scenario, "--spec-version", revision, "--timeout", "30000", "-o", dir}
	out, err := n.command(t, n.module("conformance", "dist", "index.js"), args...).CombinedOutput()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %v\n%s", command, err, tail(string(out), 16<<10))
		}
	})
	got, err := readChecks(dir)
	must(t, err)
	return got
}

// A client that talks to weir looks to the suite's servers like the client alone, check by check.
func TestConformanceSandwich(t *testing.T) {
	n := needNode(t)
	self, err := os.Executable()
	must(t, err)
	through := strings.Join([]string{self, sandwichArg, weirBinary, everythingClient}, " ")
	for _, revision := range []string{wire2025, wire2026} {
		for _, scenario := range clientScenarios()[revision] {
			t.Run(revision+" "+scenario, func(t *testing.T) {
				t.Parallel()
				direct := clientSuite(t, n, everythingClient, scenario, revision)
				seen := clientSuite(t, n, through, scenario, revision)
				t.Logf("%d checks", len(direct))
				for key, got := range lost(direct, seen) {
					t.Errorf("%s: goes worse than direct: %s", key, got)
				}
				if maps.Equal(direct, checks{}) {
					t.Error("the suite checked nothing")
				}
			})
		}
	}
}
