package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"weir/upstream/upstreamtest"
)

// issuer is a real OpenID provider (node oidc-provider) that runs for a test.
type issuer struct {
	url    string
	client *http.Client
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	addr := freeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	n := needNode(t)
	start(t, n.command(t, n.dir+"/issuer.mjs", port)).listening(t, addr)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &issuer{url: "http://" + addr, client: &http.Client{Transport: transport, Timeout: callTimeout}}
}

// wish changes how the issuer behaves and returns how often it was asked for each path.
func (i *issuer) wish(t *testing.T, change object) map[string]int {
	t.Helper()
	b, err := json.Marshal(change)
	must(t, err)
	resp, err := i.client.Post(i.url+"/test", "application/json", bytes.NewReader(b))
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	counts := map[string]int{}
	must(t, json.NewDecoder(resp.Body).Decode(&counts))
	return counts
}

// token asks for a token with the client's own credentials.
func (i *issuer) token(t *testing.T, resource, scope string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	if resource != "" {
		form.Set("resource", resource)
	}
	req, err := http.NewRequest(http.MethodPost, i.url+"/token", strings.NewReader(form.Encode()))
	must(t, err)
	req.SetBasicAuth("agent", "a-secret-of-32-characters-or-more")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := i.client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	var answer struct {
		Token string `json:"access_token"`
	}
	must(t, json.Unmarshal(b, &answer))
	if answer.Token == "" {
		t.Fatalf("no token: %s", b)
	}
	return answer.Token
}

// guardedGateway is weir before a fake upstream, with sign-in at an issuer and a rule for the group eng.
func guardedGateway(t *testing.T, i *issuer, more object) (*gateway, *upstreamtest.Server) {
	t.Helper()
	up := upstreamtest.New(t, upstreamtest.Config{})
	oidc := object{"issuer": i.url}
	maps.Copy(oidc, more)
	g := serve(t, object{
		"mcpServers": object{"up": object{"url": up.URL}},
		"auth":       object{"oidc": oidc, "scopes": []string{"mcp:call"}, "scopeIncludes": object{"mcp:all": []string{"mcp:call"}}},
		"servers":    object{"opaque": object{}},
		"policy": object{
			"roles":  object{"all": []string{"up/*"}},
			"grants": object{"group:eng": []string{"all"}, "client:agent": []string{"all"}},
		},
	})
	return g, up
}

// bearer is a modern client whose requests all carry a token.
type bearer struct {
	url    string
	client *http.Client
}

func bearing(t *testing.T, g *gateway, path, token string) *bearer {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &bearer{strings.TrimSuffix(g.url, "/mcp") + path, &http.Client{Timeout: callTimeout, Transport: withToken{transport, token}}}
}

type withToken struct {
	inner http.RoundTripper
	token string
}

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+w.token)
	return w.inner.RoundTrip(r)
}

// status is what a call of echo is answered with over HTTP.
func status(t *testing.T, p *bearer) (int, string) {
	t.Helper()
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequest(http.MethodPost, p.url, strings.NewReader(body))
	must(t, err)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "up__echo",
	} {
		req.Header.Set(name, value)
	}
	resp, err := p.client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, resp.Header.Get("Www-Authenticate") + string(b)
}

// admitted waits until a call with the token gets through: the issuer and the upstream may not be there at once.
func admitted(t *testing.T, p *bearer) {
	t.Helper()
	var code int
	var text string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if code, text = status(t, p); code == http.StatusOK && !strings.Contains(text, "error") && !strings.Contains(text, "isError") {
			return
		}
	}
	t.Fatalf("%s: %d %s", p.url, code, text)
}

// authorize is the user's browser: it follows redirects, with cookies, until it comes back to the client.
func authorize(ctx context.Context, start string) (url.Values, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var back url.Values
	browser := &http.Client{Jar: jar, Transport: transport, Timeout: callTimeout, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			back = r.URL.Query()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, start, nil)
	if err != nil {
		return nil, err
	}
	resp, err := browser.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if back == nil {
		b, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("the issuer answers %s: %s", resp.Status, tail(string(b), 1<<10))
	}
	return back, nil
}

// Tokens of a real issuer are taken for their own resource, with their keys as they come and go, JWT or opaque, and for nothing else.
func TestSignInWithTokens(t *testing.T) {
	i := newIssuer(t)
	g, up := guardedGateway(t, i, object{"introspection": object{"clientID": "agent", "clientSecret": "a-secret-of-32-characters-or-more"}})
	opaque := strings.TrimSuffix(g.url, "/mcp") + "/mcp/opaque"
	good := i.token(t, g.url, "mcp:call")
	admitted(t, bearing(t, g, "/mcp", good))
	admitted(t, bearing(t, g, "/mcp/opaque", i.token(t, opaque, "mcp:call")))
	reached := up.Ledger().Count("tools/call")

	for name, tc := range map[string]struct {
		path, token string
		status      int
		text        string
	}{
		"none":                      {"/mcp", "", 401, "resource_metadata="},
		"another resource":          {"/mcp", i.token(t, "http://127.0.0.1:1/mcp", "mcp:call"), 401, "another audience"},
		"sibling":                   {"/mcp/opaque", good, 401, "another audience"},
		"opaque token of a sibling": {"/mcp", i.token(t, opaque, "mcp:call"), 401, "not active"},
		"no resource":               {"/mcp", i.token(t, "", "mcp:call"), 401, "not active"},
		"scope":                     {"/mcp", i.token(t, g.url, "mcp:list"), 403, `error="insufficient_scope"`},
		"cut off":                   {"/mcp", good[:len(good)-2], 401, "signature"},
	} {
		if code, text := status(t, bearing(t, g, tc.path, tc.token)); code != tc.status || !strings.Contains(text, tc.text) {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if n := up.Ledger().Count("tools/call"); n != reached {
		t.Errorf("%d bad calls reached the upstream", n-reached)
	}
	// Rotation: the new key is fetched for the first token that has it, at most once in ten seconds.
	i.wish(t, object{"rotate": true})
	admitted(t, bearing(t, g, "/mcp", i.token(t, g.url, "mcp:call")))
	admitted(t, bearing(t, g, "/mcp", good))
	// The issuer goes away: what can be verified without it still is.
	next := i.token(t, g.url, "mcp:call")
	i.wish(t, object{"away": true})
	if code, text := status(t, bearing(t, g, "/mcp", next)); code != http.StatusOK {
		t.Errorf("a known key while the issuer is away: %d %s", code, text)
	}
	if code, _ := status(t, bearing(t, g, "/mcp/opaque", "unheard-of")); code != http.StatusServiceUnavailable {
		t.Errorf("an opaque token while the issuer is away: %d", code)
	}
	if counts := i.wish(t, object{"away": false}); counts["/jwks"] > 6 {
		t.Errorf("%d fetches of keys", counts["/jwks"])
	}
	for _, e := range up.Ledger().Entries() {
		if v := e.Header.Get("Authorization"); v != "" {
			t.Fatalf("the upstream was sent %q", v)
		}
	}
	if log := g.stderr.String(); strings.Contains(log, good) || strings.Contains(log, next) || strings.Contains(log, "a-secret-of-32") {
		t.Error("a token or a secret is in the log")
	}
}

// The go-sdk's client finds the issuer by itself, registers, signs in with the authorization code, and calls through weir.
func TestGoSDKSignsIn(t *testing.T) {
	i := newIssuer(t)
	g, up := guardedGateway(t, i, nil)
	admitted(t, bearing(t, g, "/mcp", i.token(t, g.url, "mcp:call")))
	for _, e := range []era{legacy, modern} {
		t.Run(string(e), func(t *testing.T) {
			var asked *url.URL
			transport := &http.Transport{}
			t.Cleanup(transport.CloseIdleConnections)
			web := &http.Client{Transport: transport}
			const redirect = "http://127.0.0.1:1/callback"
			handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
				Client: web, RedirectURL: redirect,
				DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
					ClientName: "weir test", RedirectURIs: []string{redirect}, TokenEndpointAuthMethod: "none",
				}},
				AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
					var err error
					if asked, err = url.Parse(args.URL); err != nil {
						return nil, err
					}
					back, err := authorize(ctx, args.URL)
					if err != nil {
						return nil, err
					}
					return &auth.AuthorizationResult{Code: back.Get("code"), State: back.Get("state"), Iss: back.Get("iss")}, nil
				},
			})
			must(t, err)
			before := up.Ledger().Count("tools/call")
			client := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil)
			s, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
				Endpoint: g.url, HTTPClient: web, OAuthHandler: handler, DisableStandaloneSSE: true,
			}, &mcp.ClientSessionOptions{ProtocolVersion: e.version()})
			must(t, err)
			t.Cleanup(func() { _ = s.Close() })
			if names := collect(t, s.Tools(t.Context(), nil), func(x *mcp.Tool) string { return x.Name }); len(names) != 1 {
				t.Errorf("tools %v", names)
			}
			result, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "up__echo", Arguments: object{}})
			if err != nil || result.IsError || up.Ledger().Count("tools/call") != before+1 {
				t.Errorf("%+v %v", result, err)
			}
			if asked.Query().Get("resource") != g.url || asked.Query().Get("scope") != "mcp:call" {
				t.Errorf("it asked for %s", asked.RawQuery)
			}
		})
	}
}

// So do both clients of the TypeScript SDK; a user who is not in the group is known and may call nothing.
func TestTypeScriptSignsIn(t *testing.T) {
	i := newIssuer(t)
	g, up := guardedGateway(t, i, nil)
	admitted(t, bearing(t, g, "/mcp", i.token(t, g.url, "mcp:call")))
	type report struct {
		Resource, Scope, Refused, Text, Error string
		Tools                                 []string
	}
	signIn := func(version string) report {
		t.Helper()
		n := needNode(t)
		out, err := n.command(t, n.dir+"/signin.mjs", g.url, version, "up__echo").Output()
		if exit, failed := err.(*exec.ExitError); failed { //nolint:errorlint // Output wraps nothing
			t.Fatalf("%v\n%s", err, exit.Stderr)
		}
		must(t, err)
		var r report
		must(t, json.Unmarshal(out, &r))
		return r
	}
	for _, version := range []string{"v1", "v2"} {
		before := up.Ledger().Count("tools/call")
		got := signIn(version)
		if got.Text == "" || got.Error != "" || up.Ledger().Count("tools/call") != before+1 {
			t.Errorf("%s: %+v", version, got)
		}
		want := report{Resource: g.url, Scope: "mcp:call", Refused: "UnauthorizedError", Tools: []string{"up__echo"}, Text: got.Text, Error: got.Error}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", version, diff)
		}
	}
	before := up.Ledger().Count("tools/call")
	i.wish(t, object{"groups": []string{"sales"}})
	if got := signIn("v2"); len(got.Tools) != 0 || up.Ledger().Count("tools/call") != before {
		t.Errorf("somebody without the group: %+v", got)
	}
}

// The conformance suite has no scenario for servers that is about authorization: what it has of that are checks of clients and of authorization servers.
// When that changes, they must be run against weir.
func TestConformanceHasNoChecksOfResourceServers(t *testing.T) {
	n := needNode(t)
	out, err := n.command(t, n.module("conformance", "dist", "index.js"), "list").Output()
	must(t, err)
	servers, _, found := strings.Cut(string(out), "Client scenarios")
	if !found || !strings.Contains(servers, "server-initialize") {
		t.Fatalf("the list is another: %s", out)
	}
	for line := range strings.Lines(servers) {
		for _, word := range []string{"auth/", "authorization", "oauth", "token-", "resource-metadata"} {
			if strings.Contains(line, word) {
				t.Errorf("a new scenario for resource servers: %s", line)
			}
		}
	}
}
