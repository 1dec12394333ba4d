package upstream

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/cred"
	"weir/upstream/upstreamtest"
)

// turnstile stands before a server: it answers calls itself, and compares whom each is made for with the token that came along.
type turnstile struct {
	behind  http.Handler
	calls   atomic.Int64
	refused atomic.Int64
	mu      sync.Mutex
	wrong   []string
}

func (s *turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct{ Arguments struct{ Owner string } }
	}
	if json.Unmarshal(body, &m) != nil || m.Method != "tools/call" {
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		s.behind.ServeHTTP(w, r)
		return
	}
	n := s.calls.Add(1)
	if want := "Bearer for-own-" + m.Params.Arguments.Owner + "-"; !strings.HasPrefix(r.Header.Get("Authorization"), want) {
		s.mu.Lock()
		s.wrong = append(s.wrong, m.Params.Arguments.Owner+" with "+r.Header.Get("Authorization"))
		s.mu.Unlock()
	}
	if n%499 == 0 { // the token is refused, and another one is had in the middle of everything
		s.refused.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","content":[]}}`, m.ID)
}

var interleaved = flag.Int("interleaved", 10_000, "calls that TestTokensOfOneCallerAreNoOthers makes in all")

// TestTokensOfOneCallerAreNoOthers: among the calls of a hundred callers at once, whose tokens are refused and had anew all the time, none has the token of
// another caller; in both eras.
// The long form: go test -race -run TestTokensOfOne ./upstream -interleaved=100000
func TestTokensOfOneCallerAreNoOthers(t *testing.T) {
	const owners = 100
	each := *interleaved / owners / 2
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		t.Run(string(era), func(t *testing.T) {
			i := newIssuer(t)
			var given atomic.Int64
			i.give = func(f url.Values) string {
				if f.Get("grant_type") == "client_credentials" {
					return "gateway"
				}
				return fmt.Sprintf("for-%s-%d", f.Get("subject_token"), given.Add(1))
			}
			fake := upstreamtest.New(t, upstreamtest.Config{Era: era})
			at, err := url.Parse(fake.URL)
			if err != nil {
				t.Fatal(err)
			}
			gate := &turnstile{behind: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: at.Scheme, Host: at.Host})}
			front := httptest.NewServer(gate)
			t.Cleanup(front.Close)
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {
				URL: front.URL + at.Path, Credentials: map[string]cred.Spec{cred.ForServer: {Grant: "token_exchange", ClientID: "c", ClientSecret: "s", TokenURL: i.URL}},
			}})})
			settle(t, s)
			entry, err := s.o.Catalog.Snapshot().Resolve(catalog.Tool, "up__echo", nil)
			if err != nil {
				t.Fatal(err)
			}
			var callers sync.WaitGroup
			var failed atomic.Int64
			for n := range owners {
				callers.Go(func() {
					owner := fmt.Sprintf("owner%d", n)
					for range each {
						if err := callWith(t, s, entry, owner); err != nil && failed.Add(1) > gate.refused.Load() { // who is refused twice hears of it
							t.Errorf("%s: %v", owner, err)
							return
						}
					}
				})
			}
			callers.Wait()
			if gate.calls.Load() < int64(owners*each) || gate.refused.Load() == 0 || len(gate.wrong) > 0 {
				t.Errorf("%d calls, %d refused, with the token of another caller: %q", gate.calls.Load(), gate.refused.Load(), gate.wrong)
			}
			t.Logf("%d calls of %d callers, %d tokens, %d refused", gate.calls.Load(), owners, given.Load(), gate.refused.Load())
		})
	}
}

// callWith calls a tool for an owner, and says so in the arguments.
func callWith(t *testing.T, s *Set, entry *catalog.Entry, owner string) error {
	var m rawjson.Message
	if err := rawjson.Scan(&m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{"owner":"`+owner+`"}}}`)); err != nil {
		return err
	}
	a, err := s.Call(t.Context(), &catalog.Call{
		Method: "tools/call", Entry: entry, Target: entry.Ref.Name, Message: &m, InputRequired: true,
		Client: &catalog.Client{Era: catalog.Modern, Capabilities: []byte(`{}`)}, Owner: owner, Token: catalog.Token("own-" + owner),
	})
	if err != nil {
		return err
	}
	a.Release()
	return nil
}
