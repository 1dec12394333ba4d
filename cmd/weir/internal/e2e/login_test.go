package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// open leads a browser with a profile of its own to a link, and ends it with the test.
func open(t *testing.T, chromium, link string) *output {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", link)
	said := &output{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, 5*time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	return said
}

// TestLoginInChromium: an MCP server that trusts a real OpenID provider is found out about, registered at and signed in to in a real browser; then its
// tools are there and can be called, also by a gateway that ran all the time, and no token is in anything that weir writes (T36).
func TestLoginInChromium(t *testing.T) {
	chromium := needChromium(t)
	i := newIssuer(t)
	guarded, up := guardedGateway(t, i, nil)
	dir := t.TempDir()
	config := object{
		"log":        object{"level": "debug"},
		"tokens":     object{"dir": filepath.Join(dir, "tokens")},
		"audit":      object{"dir": filepath.Join(dir, "audit"), "arguments": true},
		"mcpServers": object{"far": object{"url": guarded.url, "credentials": object{"mcp": object{"grant": "authorization_code"}}}},
	}
	refused := start(t, exec.Command(weirBinary, "login", "far", "--no-browser", "--config", configFile(t, config)))
	ticket := regexp.MustCompile(`http://127\.0\.0\.1:\d+/signin\?ticket=\w+`)
	open(t, chromium, waitFor(t, refused.stderr, ticket))
	if !refused.waitEnd(time.Minute) || !strings.Contains(refused.stderr.String(), "not at a public address") {
		t.Errorf("an issuer in a private network that only the server names: %s", refused.stderr)
	}
	config["mcpServers"] = object{"far": object{"url": guarded.url, "credentials": object{"mcp": object{"grant": "authorization_code", "issuer": i.url}}}}
	path := configFile(t, config)
	g := serve(t, config)
	login := start(t, exec.Command(weirBinary, "login", "far", "--no-browser", "--config", path))
	link := waitFor(t, login.stderr, ticket)
	said := open(t, chromium, link)
	if !login.waitEnd(time.Minute) || login.cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("weir login: %v\n%s", login.cmd.ProcessState, tail(said.String(), 2<<10))
	}
	if names := g.offers(t, 1); names[0] != "far__up__echo" && names[0] != "far__echo" {
		t.Errorf("lists %q", names)
	}
	names := g.offers(t, 1)
	p := dialHTTP(t, g.url, modern)
	events, err := p.call("tools/call", object{"name": names[0], "arguments": object{"say": "signed in"}})
	must(t, err)
	if answer := events[len(events)-1]; answer.Error != nil || !strings.Contains(string(answer.Result), "signed in") {
		t.Errorf("got %s %s", answer.Result, answer.Error)
	}
	if up.Ledger().Count("tools/call") != 1 {
		t.Errorf("executed %d times", up.Ledger().Count("tools/call"))
	}
	listed, err := exec.Command(weirBinary, "ls", "--json", "--config", path).CombinedOutput()
	if err != nil {
		t.Errorf("weir ls: %v\n%s", err, listed)
	}
	written := map[string]string{"the gateway's log": g.stderr.String(), "weir login": login.stderr.String(), "weir ls": string(listed), "an answer": fmt.Sprint(events)}
	must(t, filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		written[name] = string(data)
		return err
	}))
	if len(written) < 7 {
		t.Errorf("only %d things were written", len(written))
	}
	for name, text := range written {
		if strings.Contains(text, "eyJ") { // how every signed token of the provider begins
			t.Errorf("%s holds a token", name)
		}
	}
}

// waitFor waits until a program has written what matches.
func waitFor(t *testing.T, o *output, what *regexp.Regexp) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if found := what.FindString(o.String()); found != "" {
			return found
		}
	}
	t.Fatalf("%v does not come; there is:\n%s", what, o)
	return ""
}
