package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// needDex builds Dex from its own module. It is large: a person who does not want to wait for it runs the tests with -short.
func needDex(t *testing.T) string {
	t.Helper()
	if testing.Short() && os.Getenv("CI") != "true" {
		t.Skip("builds Dex")
	}
	binary := filepath.Join(t.TempDir(), "dex")
	build := exec.Command("go", "build", "-C", filepath.Join(root, ".github", "tools", "dex"), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// dexToken signs in at Dex with the authorization code, as its one user, and returns the tokens.
func dexToken(t *testing.T, web *http.Client, issuer string) (access, id string) {
	t.Helper()
	back, err := authorize(t.Context(), issuer+"/auth?"+url.Values{
		"client_id": {"weir"}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "response_type": {"code"}, "scope": {"openid groups"}, "state": {"x"},
	}.Encode())
	must(t, err)
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {"http://127.0.0.1:1/callback"}}
	req, err := http.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	must(t, err)
	req.SetBasicAuth("weir", "a-secret-of-32-characters-or-more")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := web.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}
	must(t, json.NewDecoder(resp.Body).Decode(&answer))
	if answer.Access == "" || answer.ID == "" {
		t.Fatalf("status %s and no tokens", resp.Status)
	}
	return answer.Access, answer.ID
}

// Dex is an ordinary provider: no resource indicators, access tokens that look like ID tokens, groups, keys that rotate. Its tokens are taken where the
// configuration says that they are, and refused where it does not.
func TestSignInAtDex(t *testing.T) {
	binary := needDex(t)
	addr := freeAddr(t)
	start(t, exec.Command(binary, addr)).listening(t, addr)
	issuer := "http://" + addr + "/dex"
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	web := &http.Client{Transport: transport, Timeout: callTimeout}
	up := upstreamtest.New(t, upstreamtest.Config{})
	gatewayFor := func(oidc object, group string) *gateway {
		return serve(t, object{
			"mcpServers": object{"up": object{"url": up.URL}}, "auth": object{"oidc": oidc},
			"policy": object{"roles": object{"all": []string{"up/*"}}, "grants": object{"group:" + group: []string{"all"}}},
		})
	}
	good := gatewayFor(object{"issuer": issuer, "audience": "weir", "acceptIDTokens": true}, "authors")
	strict := gatewayFor(object{"issuer": issuer, "audience": "weir"}, "authors")
	own := gatewayFor(object{"issuer": issuer, "acceptIDTokens": true}, "authors")
	prefixed := gatewayFor(object{"issuer": issuer, "audience": "weir", "acceptIDTokens": true, "prefix": "dex/"}, "dex/authors")
	outside := gatewayFor(object{"issuer": issuer, "audience": "weir", "acceptIDTokens": true, "requiredGroups": []string{"editors"}}, "authors")

	access, id := dexToken(t, web, issuer)
	admitted(t, bearing(t, good, "/mcp", access))
	admitted(t, bearing(t, prefixed, "/mcp", access))
	for name, tc := range map[string]struct {
		g      *gateway
		token  string
		status int
		text   string
	}{
		"an ID token":            {strict, id, 401, "not an access token"},
		"a token that looks so":  {strict, access, 401, "not an access token"},
		"for weir's own URL":     {own, access, 401, "another audience"},
		"not in the right group": {outside, access, 403, "group"},
	} {
		var code int
		var text string
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if code, text = status(t, bearing(t, tc.g, "/mcp", tc.token)); code != http.StatusServiceUnavailable { // its keys may not be there yet
				break
			}
		}
		if code != tc.status || !strings.Contains(text, tc.text) {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	// Dex rotates: tokens of the next key are good too, and the first still is.
	kid := func(token string) string {
		header, _, _ := strings.Cut(token, ".")
		return header
	}
	next := access
	for deadline := time.Now().Add(60 * time.Second); kid(next) == kid(access) && time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		next, _ = dexToken(t, web, issuer)
	}
	if kid(next) == kid(access) {
		t.Fatal("Dex did not rotate its keys")
	}
	admitted(t, bearing(t, good, "/mcp", next))
	admitted(t, bearing(t, good, "/mcp", access))
}
