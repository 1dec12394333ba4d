package mcphttp

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/policy"
	"weir/server/authn"
)

// gate answers who calls, and changes its mind.
type gate struct {
	mu     sync.Mutex
	caller authn.Caller
	err    error
}

func (g *gate) authenticate(*http.Request) (authn.Caller, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.caller, g.err
}

func (g *gate) set(c authn.Caller, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.caller, g.err = c, err
}

func member(t *testing.T, groups ...string) policy.Principal {
	t.Helper()
	p, err := policy.Verified(policy.Identity{Subject: "ana", Groups: groups})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const listenAll = `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + meta + `}}`

// A held stream ends within five seconds of the end of its client's identity or of a change of its rights, and at once when the identity said when it
// would end (T33).
func TestStreamEndsWithTheIdentity(t *testing.T) {
	eng, nobody := member(t, "eng"), &authn.Refusal{Status: 401, Challenge: "Bearer", Reason: "the token has expired"}
	for _, tt := range []struct {
		name   string
		good   time.Duration // how long the first identity says it is good
		after  authn.Caller
		err    error
		ends   bool
		within time.Duration
	}{
		{"token revoked", 0, authn.Caller{}, nobody, true, 5 * time.Second},
		{"group removed", 0, authn.Caller{Principal: member(t)}, nil, true, 5 * time.Second},
		{"issuer away", 0, authn.Caller{}, errors.New("no answer"), true, 5 * time.Second},
		{"token expires", 300 * time.Millisecond, authn.Caller{}, nobody, true, 2 * time.Second},
		{"token is good for longer", 300 * time.Millisecond, authn.Caller{Principal: eng}, nil, false, time.Second},
	} {
		for _, kind := range []string{"listen", "GET"} {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				f := start(t, echo(t), nil)
				g := &gate{caller: authn.Caller{Principal: eng}}
				f.end.identify = g.authenticate
				header := []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen"}
				method, body := "POST", listenAll
				if kind == "GET" {
					method, body, header = "GET", "", f.session("2025-11-25")
				}
				first := authn.Caller{Principal: eng}
				if tt.good > 0 {
					first.Until = time.Now().Add(tt.good)
				}
				g.set(first, nil)
				c := f.stream(method, body, header...)
				if c.status != http.StatusOK {
					t.Fatalf("status %d", c.status)
				}
				c.must()
				g.set(tt.after, tt.err)
				ended := make(chan string, 1)
				began := time.Now()
				go func() {
					var last string
					for e, ok := c.next(); ok; e, ok = c.next() {
						last = e.data
					}
					ended <- last
				}()
				select {
				case last := <-ended:
					if !tt.ends || time.Since(began) > tt.within {
						t.Errorf("ended after %v", time.Since(began))
					}
					if kind == "listen" && !strings.Contains(last, `"id":"l"`) {
						t.Errorf("the last message is %q, not the completion", last)
					}
				case <-time.After(tt.within):
					if tt.ends {
						t.Errorf("still open after %v", tt.within)
					}
				}
			})
		}
	}
}

// Whatever goes wrong with signing in, nobody is let in and no session is opened (T11).
func TestFailedSignIn(t *testing.T) {
	called := false
	f := start(t, nil, nil)
	f.end.identify = func(*http.Request) (authn.Caller, error) { called = true; return authn.Caller{}, nil }
	body, header := modernCall("1", "up__echo", "")
	for _, method := range []string{"POST", "GET", "DELETE", "PUT"} {
		if a, _ := f.do(method, body, header...); a.Status != http.StatusServiceUnavailable || !called {
			t.Errorf("%s as the zero principal: %+v", method, a)
		}
	}
	f.end.identify = func(*http.Request) (authn.Caller, error) {
		return authn.Caller{Principal: policy.LocalUser()}, errors.New("db: password wrong at 10.1.2.3")
	}
	if a, _ := f.do("POST", body, header...); a.Status != http.StatusServiceUnavailable || strings.Contains(a.Body, "10.1.2.3") {
		t.Errorf("an unknown error: %+v", a)
	}
	f.end.identify = func(*http.Request) (authn.Caller, error) {
		return authn.Caller{}, &authn.Refusal{Status: 401, Challenge: `Bearer scope="x"`, Reason: "no"}
	}
	if a, h := f.do("POST", body, header...); a.Status != 401 || h.Get("Www-Authenticate") != `Bearer scope="x"` {
		t.Errorf("a refusal: %+v %v", a, h)
	}
}
