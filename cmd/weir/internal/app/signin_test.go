package app

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/cmd/weir/internal/config"
	"weir/upstream/upstreamtest"
)

const key, otherKey = "a-key-that-is-as-long-as-it-must-be", "another-key-that-is-as-long-as-that"

func hashed(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }

// guarded is a gateway whose callers sign in, with a fake upstream "up" and the virtual server finance. It listens.
type guarded struct {
	path string
	up   *upstreamtest.Server
	app  *App
	url  string
}

// file is the configuration: groups are those of the key's owner.
func (g *guarded) file(groups string) []byte {
	return fmt.Appendf(nil, `
mcpServers: { up: { url: %q } }
servers: { finance: {} }
auth:
  apiKeys:
    - { owner: ci, hash: %s, groups: [%s] }
    - { owner: other, hash: %s }
  oidc: { issuer: https://login.example.com, jwksFile: jwks.json }
policy:
  roles: { all: ["up/*"] }
  grants: { "group:eng": [all] }
`, g.up.URL, hashed(key), groups, hashed(otherKey))
}

func newGuarded(t testing.TB) *guarded {
	t.Helper()
	g := &guarded{up: upstreamtest.New(t, upstreamtest.Config{}), path: filepath.Join(t.TempDir(), "weir.yaml")}
	jwks := `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k1","alg":"EdDSA","use":"sig"}]}`
	for name, content := range map[string]string{g.path: string(g.file("eng")), filepath.Join(filepath.Dir(g.path), "jwks.json"): jwks} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := config.Env{Lookup: func(string) (string, bool) { return "", false }, Dir: filepath.Dir(g.path)}
	file, err := config.Read(g.path, env)
	if err != nil {
		t.Fatal(err)
	}
	file.Server.Listen = "127.0.0.1:0"
	override := func(f *config.File) { f.Server.Listen = "127.0.0.1:0" }
	if g.app, err = New(file, Env{Config: env, Log: slog.New(slog.DiscardHandler), Override: override}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := g.app.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	g.url = "http://" + ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- g.app.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = g.app.Close()
	})
	settled, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if err := g.app.Settled(settled); err != nil {
		t.Fatal(err)
	}
	upstreamtest.Eventually(t, func() bool { return g.app.router.Load() != nil && g.app.shows("up") }, "the gateway does not serve")
	return g
}

const (
	callEcho   = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	listenBody = `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
)

// request makes a request of a modern client.
func (g *guarded) request(t testing.TB, path, method, name, body, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
	r.Header.Set("Mcp-Method", method)
	if name != "" {
		r.Header.Set("Mcp-Name", name)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// call calls the tool echo and returns status and body.
func (g *guarded) call(t testing.TB, path, token string) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(g.request(t, path, "tools/call", "up__echo", callEcho, token))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// Every route that is served over HTTP is in this table with who may use it; a new one is not until somebody has thought about it (T10).
func TestEveryRouteIsInTheTable(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	g := newGuarded(t)
	want := map[string]access{
		"/mcp": callers, "/mcp/finance": callers,
		"/ready": everybody, "/healthz": everybody, // reasons are for some, see TestReady
		"/.well-known/oauth-protected-resource":             everybody,
		"/.well-known/oauth-protected-resource/mcp":         everybody,
		"/.well-known/oauth-protected-resource/mcp/finance": everybody,
	}
	got := map[string]access{}
	for path, at := range *g.app.router.Load().routes.Load() {
		got[path] = at.access
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-table +served)\n%s", diff)
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"}
	for _, path := range slices.Sorted(maps.Keys(got)) {
		for _, method := range methods {
			for _, token := range []string{"", "Bearer wrong", "Bearer " + strings.Repeat("x", 40)} {
				r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, strings.NewReader(callEcho))
				r.Method = method
				r.Header.Set("Content-Type", "application/json")
				if token != "" {
					r.Header.Set("Authorization", token)
				}
				w := httptest.NewRecorder()
				g.app.router.Load().ServeHTTP(w, r)
				switch read := method == "GET" || method == "HEAD"; {
				case got[path] == callers && w.Code != http.StatusUnauthorized,
					got[path] == everybody && read && w.Code != http.StatusOK,
					got[path] == everybody && !read && w.Code != http.StatusMethodNotAllowed:
					t.Errorf("%s %s with %q: %d %s", method, path, token, w.Code, w.Body)
				}
			}
		}
	}
	if n := g.up.Ledger().Count("tools/call"); n != 0 {
		t.Errorf("%d calls reached the upstream", n)
	}
	for _, path := range []string{"/mcp", "/mcp/finance"} {
		if status, body := g.call(t, path, key); status != http.StatusOK || strings.Contains(body, "isError") || strings.Contains(body, "error") {
			t.Errorf("%s with a key: %d %s", path, status, body)
		}
	}
	if n := g.up.Ledger().Count("tools/call"); n != 2 {
		t.Errorf("%d calls reached the upstream, want 2: the table proves nothing", n)
	}
}

// FuzzNobodyReachesAnUpstream holds that no request without a credential gets to an upstream, whatever its method, path, headers and body are. The ledger
// is the upstream's own.
func FuzzNobodyReachesAnUpstream(f *testing.F) {
	g := newGuarded(f)
	before := len(g.up.Ledger().Entries())
	served := map[string]bool{}
	for path, at := range *g.app.router.Load().routes.Load() {
		served[path] = at.access == everybody
	}
	for _, body := range []string{callEcho, listenBody, "", "[]", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`} {
		f.Add("POST", "/mcp", "application/json", "", "", body)
		f.Add("GET", "/mcp/finance", "text/plain", "Bearer x", "2025-11-25", body)
		f.Add("POST", "//mcp", "application/json; charset=utf-8", "Bearer ", "2026-07-28", body)
		f.Add("post", "/mcp/../mcp", "application/json", "Basic eDp4", "", body)
		f.Add("DELETE", "/.well-known/oauth-protected-resource", "application/json", "bearer a.b.c", "", body)
	}
	f.Fuzz(func(t *testing.T, method, path, contentType, authorization, version, body string) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(body))
		r.Method, r.URL.Path, r.RemoteAddr = method, path, "127.0.0.1:9"
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Mcp-Protocol-Version", version)
		r.Header.Set("Mcp-Method", "tools/call")
		r.Header.Set("Mcp-Name", "up__echo")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if strings.Contains(authorization, key) || strings.Contains(authorization, otherKey) {
			t.Skip()
		}
		w := httptest.NewRecorder()
		g.app.router.Load().ServeHTTP(w, r)
		if open := served[path]; w.Code < 400 && !open {
			t.Errorf("%q %q: %d %s", method, path, w.Code, w.Body)
		}
		for _, e := range g.up.Ledger().Entries()[before:] {
			if e.Header.Get("Mcp-Method") != "server/discover" { // with which weir itself asks from time to time whether the upstream is well
				t.Fatalf("a message reached the upstream: %+v", e)
			}
		}
	})
}

// A group that is taken away in the middle of a session ends the right to the next call, and the open stream within five seconds; the key itself stays good.
func TestGroupRemovedMidSession(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	g := newGuarded(t)
	if status, body := g.call(t, "/mcp", key); status != http.StatusOK || strings.Contains(body, "error") {
		t.Fatalf("%d %s", status, body)
	}
	if _, body := g.call(t, "/mcp", otherKey); !strings.Contains(body, "error") {
		t.Fatalf("somebody without the group: %s", body)
	}
	resp, err := http.DefaultClient.Do(g.request(t, "/mcp", "subscriptions/listen", "", listenBody, key))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	ended := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(resp.Body)
		ended <- string(b)
	}()
	if err := os.WriteFile(g.path, g.file(""), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var calls int
	for { // the change is seen, and from then on no call gets through
		n := g.up.Ledger().Count("tools/call")
		status, body := g.call(t, "/mcp", key)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		if strings.Contains(body, "error") {
			if g.up.Ledger().Count("tools/call") != n {
				t.Error("the refused call reached the upstream")
			}
			calls = n
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("still allowed")
		}
	}
	refused := time.Now()
	select {
	case text := <-ended:
		if took := time.Since(refused); took > 5*time.Second {
			t.Errorf("the stream closed after %v", took)
		}
		if !strings.Contains(text, `"id":1`) {
			t.Errorf("no completion: %q", text)
		}
	case <-time.After(6 * time.Second):
		t.Error("the stream is still open")
	}
	if _, body := g.call(t, "/mcp", key); !strings.Contains(body, "error") || g.up.Ledger().Count("tools/call") != calls {
		t.Errorf("after that: %s", body)
	}
}

// The first issuer's metadata is found by the challenge alone, and what stands in it is what tokens must be for.
func TestChallengeLeadsToTheMetadata(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	g := newGuarded(t)
	for _, path := range []string{"/mcp", "/mcp/finance"} {
		resp, err := http.DefaultClient.Do(g.request(t, path, "tools/call", "up__echo", callEcho, ""))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		_, where, _ := strings.Cut(resp.Header.Get("Www-Authenticate"), `resource_metadata="`)
		where, _, _ = strings.Cut(where, `"`)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, where, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err = http.DefaultClient.Do(r); err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
		}
		err = json.NewDecoder(resp.Body).Decode(&doc)
		_ = resp.Body.Close()
		if err != nil || doc.Resource != g.url+path || len(doc.Servers) != 1 || doc.Servers[0] != "https://login.example.com" {
			t.Errorf("%s: %+v %v", where, doc, err)
		}
	}
}

// Addresses of virtual servers follow the URL that clients know; a proxy may have put it elsewhere.
func TestResources(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string][]string{
		"":                                  {"http://127.0.0.1:7777/mcp", "http://127.0.0.1:7777/mcp/finance", "http://127.0.0.1:7777/post"},
		"https://weir.example.com/mcp":      {"https://weir.example.com/mcp", "https://weir.example.com/mcp/finance", "https://weir.example.com/post"},
		"https://example.com/tools/mcp/":    {"https://example.com/tools/mcp/", "https://example.com/tools/mcp/finance", "https://example.com/tools/post"},
		"https://example.com/elsewhere":     {"https://example.com/elsewhere", "https://example.com/mcp/finance", "https://example.com/post"},
		"https://weir.example.com:8443/mcp": {"https://weir.example.com:8443/mcp", "https://weir.example.com:8443/mcp/finance", "https://weir.example.com:8443/post"},
	} {
		file, err := config.Parse("weir.yaml", []byte("mcpServers: {}\nservers: { finance: { audience: fin }, post: { path: /post } }\n"), config.Env{Lookup: func(string) (string, bool) { return "", false }})
		if err != nil {
			t.Fatal(err)
		}
		file.Auth.Resource = resource
		s := &signIn{spec: file.Server, origin: "http://127.0.0.1:7777"}
		all, err := s.resources(file, file.Auth)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range all {
			got = append(got, r.URL)
			if (r.Tenant == "finance") != (r.Audience == "fin") {
				t.Errorf("%+v", r)
			}
		}
		slices.Sort(got[1:])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", resource, diff)
		}
	}
}

// An address that others can reach is refused without sign-in and taken with it; what cannot be wired stops the start.
func TestListenNeedsSignIn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, more, want string
	}{
		{"nobody has to sign in", "", "nobody has to sign in"},
		{"keys", "auth: { apiKeys: [{ owner: ci, hash: " + hashed(key) + " }] }", ""},
		{"a file of keys that is not there", "auth: { resource: 'https://x/mcp', oidc: { issuer: 'https://x', jwksFile: none.json } }", "none.json"},
		{"a certificate that is not there", "tls: { cert: none.pem, key: none.key }\nauth: { apiKeys: [{ owner: ci, hash: " + hashed(key) + " }] }", "none.pem"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := config.Env{Lookup: func(string) (string, bool) { return "", false }}
			file, err := config.Parse(filepath.Join(t.TempDir(), "weir.yaml"), []byte("listen: 0.0.0.0:0\nmcpServers: {}\n"+tc.more), env)
			if err != nil {
				t.Fatal(err)
			}
			a, err := New(file, Env{Config: env, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = a.Close() }()
			ctx, cancel := context.WithCancel(t.Context())
			var ln net.Listener
			if ln, err = a.Listen(ctx); err == nil {
				cancel()
				err = a.Serve(ctx, ln)
			}
			cancel()
			if got := fmt.Sprint(err); tc.want == "" && err != nil || !strings.Contains(got, tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
