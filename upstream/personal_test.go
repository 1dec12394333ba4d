package upstream

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/cred"
	"weir/upstream/upstreamtest"
)

// callFor calls echo for an owner who signed in with a token, as a modern client does.
func callFor(t testing.TB, s *Set, owner, token string) error {
	t.Helper()
	e, err := s.o.Catalog.Snapshot().Resolve(catalog.Tool, "up__echo", nil)
	if err != nil {
		return err
	}
	var m rawjson.Message
	if err := rawjson.Scan(&m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{}}}`)); err != nil {
		t.Fatal(err)
	}
	a, err := s.Call(t.Context(), &catalog.Call{
		Method: "tools/call", Entry: e, Target: e.Ref.Name, Message: &m, InputRequired: true,
		Client: &catalog.Client{Era: catalog.Modern, Capabilities: []byte(`{}`)}, Owner: owner, Token: catalog.Token(token),
	})
	if err != nil {
		return err
	}
	a.Release()
	return nil
}

// TestExchangedTokens: every request for a caller carries the token that was had for this caller's own, in both eras and in sessions too; the caller's
// own is seen by nobody but the token endpoint, and asked for once.
func TestExchangedTokens(t *testing.T) {
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		t.Run(string(era), func(t *testing.T) {
			i := newIssuer(t)
			i.give = func(f url.Values) string {
				if f.Get("grant_type") == "client_credentials" {
					return "gateway"
				}
				return "for-" + f.Get("subject_token")
			}
			fake := upstreamtest.New(t, upstreamtest.Config{Era: era})
			wrong := ""
			g := newGate(t, fake.URL, httptest.NewServer, func(*http.Request) bool { return true })
			g.want = func(r *http.Request) bool {
				token := r.Header.Get("Authorization")
				if r.Header.Get("Mcp-Method") == "tools/call" && token == "Bearer gateway" || !strings.HasPrefix(token, "Bearer for-") && token != "Bearer gateway" {
					wrong = r.Method + " " + token
				}
				return true
			}
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {
				URL: g.at(fake.URL), Credentials: map[string]cred.Spec{cred.ForServer: {Grant: "token_exchange", ClientID: "c", ClientSecret: "s", TokenURL: i.URL}},
			}})})
			settle(t, s)
			var callers sync.WaitGroup
			for n := range 8 {
				callers.Go(func() {
					owner := fmt.Sprint("owner", n%4)
					for range 50 {
						if err := callFor(t, s, owner, "own-"+owner); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			callers.Wait()
			if err := callFor(t, s, "owner9", ""); err == nil || !strings.Contains(err.Error(), "did not") {
				t.Errorf("without a token: %v", err)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if wrong != "" {
				t.Errorf("a request had %s", wrong)
			}
			for n := range 4 {
				if g.seen[fmt.Sprint("Bearer for-own-owner", n)] < 100 {
					t.Errorf("owner%d: %v", n, g.seen)
				}
			}
			i.mu.Lock()
			defer i.mu.Unlock()
			if len(i.forms) != 5 {
				t.Errorf("%d tokens were asked for", len(i.forms))
			}
		})
	}
}
