package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"weir/upstream/upstreamtest"
)

// signedIn is an access token of a user for a resource, had with the authorization code in the user's browser, where they agree.
func (i *issuer) signedIn(t *testing.T, w *window, user, resource string) string {
	t.Helper()
	codes := make(chan url.Values, 1)
	client := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			codes <- r.URL.Query()
		}
		_, _ = rw.Write([]byte("back at the client"))
	}))
	t.Cleanup(client.Close)
	body := strings.NewReader(`{"client_name":"cli","redirect_uris":["` + client.URL + `/callback"],"token_endpoint_auth_method":"none","application_type":"native"}`)
	resp, err := i.client.Post(i.url+"/reg", "application/json", body)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	var registered struct {
		ID string `json:"client_id"`
	}
	must(t, json.NewDecoder(resp.Body).Decode(&registered))
	c := oauth2.Config{
		ClientID: registered.ID, RedirectURL: client.URL + "/callback", Scopes: []string{"mcp:call"},
		Endpoint: oauth2.Endpoint{AuthURL: i.url + "/auth", TokenURL: i.url + "/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	w.visit(c.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", resource)))
	w.agree(user)
	w.shows("back at the client")
	back := <-codes
	token, err := c.Exchange(context.WithValue(t.Context(), oauth2.HTTPClient, i.client), back.Get("code"), oauth2.VerifierOption(verifier), oauth2.SetAuthURLParam("resource", resource))
	must(t, err)
	return token.AccessToken
}

// agree tells the issuer who sits before the browser and that the client may act for them.
func (w *window) agree(user string) {
	w.t.Helper()
	w.shows("wants to act for you")
	w.fill("input[name=user]", user)
	w.click("#agree")
}

// calls is what a call of the server behind by who has a token comes to: the text of its result or error.
func calls(t *testing.T, g *gateway, e era, token string) string {
	t.Helper()
	p := dialHTTPAs(t, g.url, e, person{can: object{"elicitation": object{"url": object{}}}}, http.Header{"Authorization": {"Bearer " + token}})
	events, err := p.call("tools/call", object{"name": "far__up__echo", "arguments": object{"say": "hello"}})
	must(t, err)
	answer := events[len(events)-1]
	return string(answer.Result) + string(answer.Error)
}

// farServer is an MCP server with sign-in of its own, for three users and a client: a weir before a fake, which keeps a log of who called.
type farServer struct {
	*gateway
	path string
	up   *upstreamtest.Server
}

func newFarServer(t *testing.T, i *issuer) *farServer {
	t.Helper()
	up := upstreamtest.New(t, upstreamtest.Config{})
	user := "user:" + i.url + "|"
	path := configFile(t, object{
		"mcpServers": object{"up": object{"url": up.URL, "required": true}},
		"auth":       object{"oidc": object{"issuer": i.url}, "scopes": []string{"mcp:call"}},
		"policy": object{
			"roles":  object{"all": []string{"up/*"}},
			"grants": object{user + "root": []string{"all"}, user + "ana": []string{"all"}, user + "ben": []string{"all"}, "client:exchanger": []string{"all"}, "client:agent": []string{"all"}},
		},
		"requestLog": object{"database": filepath.Join(t.TempDir(), "far.db")},
	})
	g := serveFile(t, path)
	admitted(t, bearing(t, g, "/mcp", i.token(t, g.url, "mcp:call"))) // it has reached the issuer
	return &farServer{gateway: g, path: path, up: up}
}

// calledBy wants that these users called tools, in this order. The log is written a moment later.
func (f *farServer) calledBy(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(callTimeout); len(got) < len(want) && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out, err := exec.Command(weirBinary, "log", "--json", "--config", f.path).Output()
		must(t, err)
		got = nil
		for line := range strings.Lines(string(out)) {
			var row struct{ Method, Who string }
			must(t, json.Unmarshal([]byte(line), &row))
			if _, name, user := strings.Cut(row.Who, "|"); user && row.Method == "tools/call" {
				got = append(got, name)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who called behind the gateway (-want +got)\n%s", diff)
	}
}

var signinLink = regexp.MustCompile(`http://127\.0\.0\.1:\d+/signin\?ticket=\w+`)

// Users of one gateway sign in to a server behind it, each in a real browser, in which they agree; everybody's calls go with their own sign-in, in
// both eras. Whoever is sent a link of somebody else lends nobody their account (T3): not where the link leads, and, where the issuer can be asked
// who opens it, not the link itself.
func TestUsersSignInUpstream(t *testing.T) {
	for name, asked := range map[string]object{"link": nil, "link of one user": {"clientID": "weir", "clientSecret": "a-secret-of-32-characters-or-more"}} {
		t.Run(name, func(t *testing.T) { usersSignInUpstream(t, asked) })
	}
}

func usersSignInUpstream(t *testing.T, asked object) {
	i := newIssuer(t)
	i.wish(t, object{"asks": true})
	far := newFarServer(t, i)
	config := object{
		"tokens":     object{"dir": filepath.Join(t.TempDir(), "tokens")},
		"mcpServers": object{"far": object{"url": far.url, "required": true, "credentials": object{"mcp": object{"grant": "authorization_code", "issuer": i.url}}}},
		"auth":       object{"oidc": object{"issuer": i.url, "signIn": asked}, "scopes": []string{"mcp:call"}},
		"policy":     object{"roles": object{"all": []string{"far/*"}}, "grants": object{"group:eng": []string{"all"}}},
	}
	path := configFile(t, config)
	root, ana, ben := newWindow(t), newWindow(t), newWindow(t)
	login := start(t, exec.Command(weirBinary, "login", "far", "--no-browser", "--config", path))
	root.visit(waitFor(t, login.stderr, signinLink))
	root.agree("root")
	root.shows("You are signed in")

	g := serveFile(t, path)
	tokens := map[string]string{"ana": i.signedIn(t, ana, "ana", g.url), "ben": i.signedIn(t, ben, "ben", g.url)}
	link := func(e era, user string) string {
		t.Helper()
		said := calls(t, g, e, tokens[user])
		link := signinLink.FindString(said)
		if link == "" || e == modern != strings.Contains(said, `"input_required"`) || e == legacy != strings.Contains(said, `{"code":-32042,`) {
			t.Fatalf("%s, %s: %s", user, e, said)
		}
		return link
	}
	works := func(user string) {
		t.Helper()
		for _, e := range []era{modern, legacy} {
			if said := calls(t, g, e, tokens[user]); !strings.Contains(said, `"hello"`) {
				t.Errorf("%s, %s: %s", user, e, said)
			}
		}
	}
	// Ben, who attacks, sends Ana his link, or begins to sign in and has her follow where it goes on. She has a session at the issuer, so nothing asks her.
	bens := link(modern, "ben")
	if asked != nil {
		ana.visit(bens)
		ana.refused("This link is not for you")
	}
	sentOn := beginsSignIn(t, bens)
	ana.visit(sentOn)
	ana.refused("another browser")
	ben.visit(sentOn)
	ben.refused("") // it was good for once
	link(legacy, "ben")
	link(legacy, "ana")

	signIn := func(w *window, e era, user string) {
		t.Helper()
		w.visit(link(e, user))
		w.shows("|" + user + ". Go on only if that is you.")
		w.click("#go")
		w.shows("You are signed in")
		works(user)
	}
	signIn(ana, modern, "ana")
	link(modern, "ben") // he has nothing of hers
	signIn(ben, legacy, "ben")
	works("ana")
	far.calledBy(t, "agent", "ana", "ana", "ben", "ben", "ana", "ana")
	far.keptFrom(t, tokens)
}

// refused wants that the page says so, with status 403.
func (w *window) refused(text string) {
	w.t.Helper()
	at := w.shows(text)
	if status := w.eval(`String(performance.getEntriesByType("navigation")[0].responseStatus)`); status != "403" {
		w.t.Errorf("%s: status %s", at, status)
	}
}

// beginsSignIn follows a link up to where it leads to the issuer, as a program can, and returns that.
func beginsSignIn(t *testing.T, link string) string {
	t.Helper()
	at, err := url.Parse(link)
	must(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport, Timeout: callTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ticket := at.Query()
	at.RawQuery = ""
	resp, err := c.PostForm(at.String(), ticket)
	must(t, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("a sign-in begins with %s", resp.Status)
	}
	return resp.Header.Get("Location")
}

// keptFrom wants that none of the tokens reached the server, nor anything that the servers wrote.
func (f *farServer) keptFrom(t *testing.T, tokens map[string]string) {
	t.Helper()
	reached, err := json.Marshal(f.up.Ledger().Entries())
	must(t, err)
	for user, token := range tokens {
		if strings.Contains(f.stderr.String(), token) || strings.Contains(string(reached), token) {
			t.Errorf("the token of %s went further than it was for", user)
		}
	}
}

// A caller's token is exchanged, at a real issuer, for one that the server behind takes (RFC 8693): the server knows the user, and never sees the token
// that was for the gateway.
func TestTokensAreExchanged(t *testing.T) {
	i := newIssuer(t)
	i.wish(t, object{"asks": true})
	far := newFarServer(t, i)
	g := serve(t, object{
		"mcpServers": object{"far": object{"url": far.url, "required": true, "credentials": object{"mcp": object{
			"grant": "token_exchange", "clientId": "exchanger", "clientSecret": "a-secret-of-32-characters-or-more", "tokenUrl": i.url + "/token", "scopes": []string{"mcp:call"},
		}}}},
		"auth":   object{"oidc": object{"issuer": i.url}},
		"policy": object{"roles": object{"all": []string{"far/*"}}, "grants": object{"group:eng": []string{"all"}}},
	})
	tokens := map[string]string{"ana": i.signedIn(t, newWindow(t), "ana", g.url), "ben": i.signedIn(t, newWindow(t), "ben", g.url)}
	for _, e := range []era{modern, legacy} {
		for _, user := range []string{"ana", "ben", "ana"} {
			if said := calls(t, g, e, tokens[user]); !strings.Contains(said, `"hello"`) {
				t.Errorf("%s, %s: %s", user, e, said)
			}
		}
	}
	far.calledBy(t, "agent", "ana", "ben", "ana", "ana", "ben", "ana")
	before := i.wish(t, object{})["/token"]
	calls(t, g, modern, tokens["ana"])
	if after := i.wish(t, object{})["/token"]; after != before {
		t.Errorf("%d tokens were asked for again", after-before)
	}
	if code, text := status(t, bearing(t, far.gateway, "/mcp", tokens["ana"])); code != http.StatusUnauthorized || !strings.Contains(text, "another audience") {
		t.Errorf("the token for the gateway at the server behind it: %d %s", code, text)
	}
	far.keptFrom(t, tokens)
}
