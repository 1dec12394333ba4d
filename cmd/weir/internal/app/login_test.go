package app

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
)

// identityProvider answers for an MCP server that has none; it consents at once.
func identityProvider(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	var s *httptest.Server
	mux.HandleFunc("/.well-known/oauth-protected-resource/mcp", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"resource": s.URL + "/mcp", "authorization_servers": []string{s.URL}})
	})
	mux.HandleFunc("/.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "code_challenge_methods_supported": []string{"S256"},
		})
	})
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		http.Redirect(w, r, q.Get("redirect_uri")+"?code=c&iss="+url.QueryEscape(s.URL)+"&state="+q.Get("state"), http.StatusFound)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"canary","token_type":"Bearer","expires_in":3600}`)
	})
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	s = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// loginFile is a configuration whose one upstream wants its users' sign-in.
func loginFile(t *testing.T, s *httptest.Server) (*config.File, config.Env) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.yaml")
	text := `tokens: { dir: tokens }
mcpServers: { up: { url: "` + s.URL + `/mcp", credentials: { mcp: { grant: authorization_code, clientId: weir } } } }
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := config.Env{Lookup: os.LookupEnv, Dir: dir, Home: dir}
	file, err := config.Read(path, env)
	if err != nil {
		t.Fatal(err)
	}
	return file, env
}

// browser is one user's: it has its own cookies, and follows redirects.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, Timeout: 10 * time.Second}
}

func visit(t *testing.T, b *http.Client, link string) (status int, body string) {
	t.Helper()
	resp, err := b.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestLogin(t *testing.T) {
	s := identityProvider(t)
	file, env := loginFile(t, s)
	err := Login(t.Context(), file, Env{Config: env, Log: slog.New(slog.DiscardHandler)}, "up", func(link string) {
		status, body := visit(t, browser(t), link)
		if status != http.StatusOK || !strings.Contains(body, "signed in") {
			t.Errorf("%d %s", status, body)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(env.Dir, "tokens", "tokens.db")); err != nil {
		t.Error(err)
	}
	err = Login(t.Context(), file, Env{Config: env, Log: slog.New(slog.DiscardHandler)}, "none", func(link string) { visit(t, browser(t), link) })
	if err == nil || !strings.Contains(err.Error(), "no such upstream") {
		t.Errorf("got %v", err)
	}
}

// TestLoginElsewhere: a browser that cannot reach this machine signs in all the same, when its user brings the address here that it ended at.
func TestLoginElsewhere(t *testing.T) {
	s := identityProvider(t)
	file, env := loginFile(t, s)
	elsewhere := browser(t)
	elsewhere.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, tc := range []struct {
		paste func(ended string) string
		want  string
	}{
		{func(ended string) string { return " " + ended + "\n" }, ""},
		{func(ended string) string { return strings.Replace(ended, "state=", "state=x", 1) }, "up: "},
		{func(string) string { return "hello" }, "up: this is not where the browser ended"},
		{nil, "up: nobody signed in"},
	} {
		pasted := make(chan string, 1)
		err := LoginElsewhere(t.Context(), file, Env{Config: env, Log: slog.New(slog.DiscardHandler)}, "up", func(link string) {
			if tc.paste == nil {
				close(pasted)
				return
			}
			resp, err := elsewhere.Get(link)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			pasted <- tc.paste(resp.Header.Get("Location"))
		}, pasted)
		_, kept := os.Stat(filepath.Join(env.Dir, "tokens", "tokens.db"))
		if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) || (kept == nil) != (tc.want == "") {
			t.Errorf("%q: %v, tokens kept: %v", tc.want, err, kept == nil)
		}
		_ = os.RemoveAll(filepath.Join(env.Dir, "tokens"))
	}
}

// TestT3_TwoBrowsers: who takes a link up, and sends on where it leads, does not get the account of who goes there; and a link is good once.
func TestT3_TwoBrowsers(t *testing.T) {
	s := identityProvider(t)
	file, env := loginFile(t, s)
	a, err := New(file, Env{Config: env, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc(loginPath, a.logins.begin)
	mux.HandleFunc(callbackPath, a.logins.callback)
	web := httptest.NewServer(mux)
	defer web.Close()
	a.logins.serveAt(web.URL)
	link := a.logins.link("up", catalog.Caller{Owner: "attacker", Name: "user:<b>attacker"})
	attacker, victim := browser(t), browser(t)

	status, body := visit(t, attacker, link)
	if status != http.StatusOK || !strings.Contains(body, "user:&lt;b&gt;attacker") {
		t.Fatalf("%d %s", status, body)
	}
	name := regexp.MustCompile(`name="ticket" value="([A-Z0-9]+)"`).FindStringSubmatch(body)
	if name == nil {
		t.Fatal(body)
	}
	attacker.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := attacker.PostForm(web.URL+loginPath, url.Values{"ticket": name[1:]})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	sentOn := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(sentOn, s.URL+"/authorize?") {
		t.Fatalf("%d %s", resp.StatusCode, sentOn)
	}
	if status, body := visit(t, victim, sentOn); status != http.StatusForbidden || !strings.Contains(body, "another browser") {
		t.Errorf("the victim: %d %s", status, body)
	}
	attacker.CheckRedirect = nil
	if status, _ := visit(t, attacker, sentOn); status != http.StatusForbidden {
		t.Errorf("the attacker, later: %d", status)
	}
	if status, _ := visit(t, attacker, link); status != http.StatusForbidden {
		t.Errorf("the link, once more: %d", status)
	}
	cross, err := http.NewRequest(http.MethodPost, a.logins.link("up", catalog.Caller{Owner: "ben"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	if resp, err := victim.Do(cross); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}
