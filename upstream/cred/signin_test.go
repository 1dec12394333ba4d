package cred

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/catalog"
)

// authority is an authorization server and the MCP server that trusts it, both at one origin.
type authority struct {
	*httptest.Server
	mu         sync.Mutex
	document   map[string]any // changes to the metadata
	challenges map[string]string
	refresh    map[string]string // refresh token: user
	forms      []url.Values
	registered []map[string]any
	n          int
	life       int
	hold       time.Duration   // how long a refresh takes
	spent      map[string]bool // refresh tokens
	reused     int             // how often a spent one came again
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{document: map[string]any{}, challenges: map[string]string{}, refresh: map[string]string{}, spent: map[string]bool{}, life: 3600}
	mux := http.NewServeMux()
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+a.URL+`/.well-known/oauth-protected-resource/mcp"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	mux.HandleFunc("/.well-known/oauth-protected-resource/mcp", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"resource": a.URL + "/mcp", "authorization_servers": []string{a.URL + "/as"}, "scopes_supported": []string{"use"}})
	})
	mux.HandleFunc("/.well-known/oauth-authorization-server/as", func(w http.ResponseWriter, _ *http.Request) {
		m := map[string]any{
			"issuer": a.URL + "/as", "authorization_endpoint": a.URL + "/authorize", "token_endpoint": a.URL + "/token", "registration_endpoint": a.URL + "/register",
			"code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": true,
		}
		maps.Copy(m, a.document)
		_ = json.NewEncoder(w).Encode(m)
	})
	mux.HandleFunc("/register", func(w http.ResponseWriter, r *http.Request) {
		var m map[string]any
		_ = json.NewDecoder(r.Body).Decode(&m)
		a.registered = append(a.registered, m)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"client_id": "registered"})
	})
	mux.HandleFunc("/token", a.token)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// token gives tokens that name their user, and new refresh tokens, each good for once.
func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forms = append(a.forms, r.PostForm)
	user := ""
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if a.challenges[r.PostForm.Get("code")] == base64.RawURLEncoding.EncodeToString(sum[:]) {
			user = strings.TrimPrefix(r.PostForm.Get("code"), "code-")
		}
	case "refresh_token":
		old := r.PostForm.Get("refresh_token")
		if a.spent[old] {
			a.reused++
			clear(a.refresh)
		}
		user, a.spent[old] = a.refresh[old], true
		delete(a.refresh, old)
		if a.hold > 0 {
			a.mu.Unlock()
			time.Sleep(a.hold)
			a.mu.Lock()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if user == "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"canary"}`))
		return
	}
	a.n++
	next := fmt.Sprintf("canary-refresh-%d", a.n)
	a.refresh[next] = user
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprintf("canary-%s-%d", user, a.n), "token_type": "Bearer", "expires_in": a.life, "refresh_token": next})
}

// signs is the user's browser: what the authorization server sends back after the consent of user.
func (a *authority) signs(t *testing.T, f *Flow, user string) url.Values {
	t.Helper()
	u, err := url.Parse(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("resource") != a.URL+"/mcp" || q.Get("scope") != "use" {
		t.Errorf("asked for %v", q)
	}
	a.challenges["code-"+user] = q.Get("code_challenge")
	return url.Values{"code": {"code-" + user}, "state": {q.Get("state")}, "iss": {a.URL + "/as"}}
}

func newStore(t testing.TB, dir string) *Store {
	t.Helper()
	store := NewStore(dir, "")
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func (a *authority) server(t testing.TB, in *SignIn, spec Spec) *Server {
	t.Helper()
	spec.Grant = grantCode
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s, err := NewServer("up", spec, a.URL+"/mcp", transport, in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sent is what a request for an owner carries.
func sent(t testing.TB, s *Server, owner string) (string, error) {
	t.Helper()
	return sentWithin(t, s, owner, time.Minute)
}

// sentWithin is sent of a caller who waits so long.
func sentWithin(t testing.TB, s *Server, owner string, d time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	r, err := http.NewRequestWithContext(For(ctx, catalog.Caller{Owner: owner, Token: "own"}), http.MethodPost, s.address.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Authorize(r)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), err
}

func TestSignIn(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	in := NewSignIn(newStore(t, dir), "local")
	s := a.server(t, in, Spec{})
	_, err := sent(t, s, "ana")
	if own, ok := errors.AsType[*catalog.Error](err); !ok || own.Code != catalog.NeedsLogin || own.Hint != "weir login up" {
		t.Fatalf("before: %v", err)
	}
	for _, owner := range []string{"ana", "ben"} {
		f, err := s.Begin(t.Context(), owner, "http://127.0.0.1:1/callback", "browser of "+owner)
		if err != nil {
			t.Fatal(err)
		}
		answer := a.signs(t, f, owner)
		if err := in.Finish(t.Context(), answer, "browser of "+owner); err != nil {
			t.Fatal(err)
		}
		if in.Finish(t.Context(), answer, "browser of "+owner) == nil {
			t.Error("a state is good twice")
		}
		if got, err := sent(t, s, owner); !strings.HasPrefix(got, "canary-"+owner) || err != nil {
			t.Errorf("%s sends %q, %v", owner, got, err)
		}
	}
	if _, err := sent(t, s, "eve"); !errors.Is(err, errSignIn) {
		t.Errorf("eve: %v", err)
	}
	if len(a.registered) != 1 || a.registered[0]["application_type"] != "native" {
		t.Errorf("registered %v", a.registered)
	}
	again := a.server(t, NewSignIn(newStore(t, dir), "local"), Spec{}) // after a restart
	if got, err := sent(t, again, "ben"); !strings.HasPrefix(got, "canary-ben") || err != nil {
		t.Errorf("after a restart: %q, %v", got, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		stat, failed := os.Stat(name)
		if err != nil || failed != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, stat.Mode(), err)
		}
		for _, secret := range []string{"canary", "ana", "/mcp", "registered"} {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s has %s in clear text", name, secret)
			}
		}
	}
}

// TestT3_AnswersThatAreNotOurs: who did not begin a sign-in cannot finish it, and no issuer can answer for another one.
func TestT3_AnswersThatAreNotOurs(t *testing.T) {
	a := newAuthority(t)
	in := NewSignIn(newStore(t, t.TempDir()), "local")
	s := a.server(t, in, Spec{})
	for name, change := range map[string]func(url.Values) string{
		"another browser": func(url.Values) string { return "victim" },
		"no browser":      func(url.Values) string { return "" },
		"another issuer":  func(q url.Values) string { q.Set("iss", a.URL); return "attacker" },
		"no issuer":       func(q url.Values) string { q.Del("iss"); return "attacker" },
		"two issuers":     func(q url.Values) string { q.Add("iss", a.URL); return "attacker" },
		"another state":   func(q url.Values) string { q.Set("state", "x"); return "attacker" },
		"an error":        func(q url.Values) string { q.Set("error", "<canary>"); return "attacker" },
		"no code":         func(q url.Values) string { q.Del("code"); return "attacker" },
		"another code":    func(q url.Values) string { q.Set("code", "code-victim"); return "attacker" },
	} {
		f, err := s.Begin(t.Context(), "attacker", "https://weir.test/callback", "attacker")
		if err != nil {
			t.Fatal(err)
		}
		answer := a.signs(t, f, "victim2")
		browser := change(answer)
		if err := in.Finish(t.Context(), answer, browser); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := sent(t, s, "attacker"); !errors.Is(err, errSignIn) {
			t.Errorf("%s: signed in, %v", name, err)
		}
	}
	for name, change := range map[string]map[string]any{
		"no PKCE": {"code_challenge_methods_supported": []string{"plain"}}, "another issuer": {"issuer": "https://other.test"},
		"plain http": {"authorization_endpoint": "http://h.test/"}, "no client": {"registration_endpoint": ""},
	} {
		a.document = change
		if _, err := s.Begin(t.Context(), "ana", "https://weir.test/callback", "b"); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestRegistrationOrder: what is registered already, then a document behind a URL, then registration.
func TestRegistrationOrder(t *testing.T) {
	a := newAuthority(t)
	in := NewSignIn(newStore(t, t.TempDir()), "local")
	id := func(spec Spec) string {
		f, err := a.server(t, in, spec).Begin(t.Context(), "ana", "https://weir.test/callback", "b")
		if err != nil {
			t.Fatal(err)
		}
		return f.client.ID
	}
	const document = "https://weir.test/client.json"
	if got := id(Spec{ClientID: "c", ClientSecret: "s"}); got != "c" {
		t.Errorf("got %s", got)
	}
	if got := id(Spec{ClientID: document}); got != "registered" {
		t.Errorf("where documents are not read: %s", got)
	}
	a.document["client_id_metadata_document_supported"] = true
	if got := id(Spec{ClientID: document}); got != document {
		t.Errorf("where they are: %s", got)
	}
}

// TestRefresh: a token that ends is refreshed once for all who wait, what came is kept before it is used, and a refresh token that is good no more asks
// for a sign-in.
func TestRefresh(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	in := NewSignIn(newStore(t, dir), "local")
	s := a.server(t, in, Spec{})
	a.life = 1 // less than leeway: every use refreshes
	f, err := s.Begin(t.Context(), "ana", "http://127.0.0.1:1/callback", "b")
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Finish(t.Context(), a.signs(t, f, "ana"), "b"); err != nil {
		t.Fatal(err)
	}
	a.life = 3600
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := sent(t, s, "ana"); got != "canary-ana-2" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	all.Wait()
	if n := len(a.forms); n != 2 || a.forms[1].Get("resource") != a.URL+"/mcp" {
		t.Errorf("%d requests: %v", n, a.forms)
	}
	other := a.server(t, NewSignIn(newStore(t, dir), "local"), Spec{}) // one that crashed here would find the new one
	if got, err := sent(t, other, "ana"); got != "canary-ana-2" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	g, err := in.store.get(t.Context(), "ana", a.URL+"/mcp", "")
	if err != nil {
		t.Fatal(err)
	}
	g.Until = time.Now()
	if err := in.store.put(t.Context(), "ana", a.URL+"/mcp", g); err != nil {
		t.Fatal(err)
	}
	a.refresh = map[string]string{}
	third := a.server(t, in, Spec{})
	if _, err := sent(t, third, "ana"); !errors.Is(err, errSignIn) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	if _, err := in.store.get(t.Context(), "ana", a.URL+"/mcp", ""); !errors.Is(err, errNone) {
		t.Errorf("a dead token is kept: %v", err)
	}
}

// TestT27_SignedInUsersInterleaved: 100,000 requests of many users at once, each with the token of its own user.
func TestT27_SignedInUsersInterleaved(t *testing.T) {
	const workers, each, users = 50, 2000, 41
	a := newAuthority(t)
	in := NewSignIn(newStore(t, t.TempDir()), "local")
	s := a.server(t, in, Spec{})
	for n := range users {
		user := fmt.Sprint("user", n)
		g := &grantedTokens{Access: "token of " + user, Issuer: a.URL + "/as", Had: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := in.store.put(t.Context(), user, a.URL+"/mcp", g); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for n := range each {
				user := fmt.Sprint("user", (w*31+n*7)%users)
				if got, err := sent(t, s, user); got != "token of "+user || err != nil {
					t.Errorf("%s sends %q, %v", user, got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestStoreKey: a store is of no use with another key, and a key that others can read is not used.
func TestStoreKey(t *testing.T) {
	dir := t.TempDir()
	store := NewStore(dir, "one")
	if err := store.putClient(t.Context(), "i", "r", client{ID: "c"}); err != nil {
		t.Fatal(err)
	}
	_ = store.Close()
	other := NewStore(dir, "two")
	defer func() { _ = other.Close() }()
	if c, err := other.getClient(t.Context(), "i", "r"); err == nil {
		t.Errorf("got %v", c)
	}
	if err := os.WriteFile(filepath.Join(dir, keyName), make([]byte, keySize), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, keyName), 0o644); err != nil {
		t.Fatal(err)
	}
	third := NewStore(dir, "")
	defer func() { _ = third.Close() }()
	if err := third.putClient(t.Context(), "i", "r", client{}); err == nil {
		t.Error("a key that others can read was used")
	}
}
