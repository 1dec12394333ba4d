package cred_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"weir/catalog"
	"weir/upstream/cred"
)

// exchange answers with a token that names the one it was asked with.
type exchange struct {
	asked atomic.Int32
	give  func(subject string) string
}

func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	x.asked.Add(1)
	_ = r.ParseForm()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": x.give(r.PostForm.Get("subject_token")), "token_type": "Bearer", "expires_in": 600})
	return w.Result(), nil
}

func exchanging(t *testing.T, x *exchange) *cred.Server {
	t.Helper()
	s, err := cred.NewServer("up", cred.Spec{Grant: "token_exchange", ClientID: "c", ClientSecret: "s", TokenURL: "https://id.test/token"}, "https://h.test/mcp", x, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestT27_TokensOfUsersInterleaved: 100,000 requests of many callers at once, each with the token of its own caller.
func TestT27_TokensOfUsersInterleaved(t *testing.T) {
	const workers, each, users = 50, 2000, 37
	x := &exchange{give: func(s string) string { return "for-" + s }}
	s := exchanging(t, x)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for n := range each {
				user := fmt.Sprint("user", (w*31+n*7)%users)
				r := request(t, "https://h.test/mcp")
				r = r.WithContext(cred.For(t.Context(), catalog.Caller{Owner: user, Token: catalog.Token("own-" + user)}))
				if err := s.Authorize(r); err != nil {
					t.Error(err)
					return
				}
				if got := r.Header.Get("Authorization"); got != "Bearer for-own-"+user {
					t.Errorf("%s got %s", user, got)
					return
				}
			}
		})
	}
	all.Wait()
	if n := x.asked.Load(); n != users {
		t.Errorf("asked %d times for %d users", n, users)
	}
}

// TestT2_OwnTokenIsNotSentOn: a token endpoint that gives the caller's token back is not believed, and no error has it.
func TestT2_OwnTokenIsNotSentOn(t *testing.T) {
	s := exchanging(t, &exchange{give: func(s string) string { return s }})
	r := request(t, "https://h.test/mcp")
	caller := catalog.Caller{Owner: "a", Token: "canary"}
	err := s.Authorize(r.WithContext(cred.For(t.Context(), caller)))
	if err == nil || len(r.Header) > 0 {
		t.Errorf("got %v, %v", r.Header, err)
	}
	if all := fmt.Sprintf("%v %+v %#v %v", caller, caller, caller, errors.Unwrap(err)); strings.Contains(all, "canary") {
		t.Error(all)
	}
}

// TestTokensOfOneUser: another token of the same user, which may have fewer rights, is exchanged anew.
func TestTokensOfOneUser(t *testing.T) {
	s := exchanging(t, &exchange{give: func(s string) string { return "for-" + s }})
	for _, token := range []string{"wide", "narrow", "wide"} {
		r := request(t, "https://h.test/mcp").WithContext(cred.For(t.Context(), catalog.Caller{Owner: "a", Token: catalog.Token(token)}))
		if err := s.Authorize(r); err != nil || r.Header.Get("Authorization") != "Bearer for-"+token {
			t.Errorf("%s: %v, %v", token, r.Header, err)
		}
	}
}

// TestServerCredentialStaysAtHome: another origin gets nothing.
func TestServerCredentialStaysAtHome(t *testing.T) {
	s, err := cred.NewServer("up", cred.Spec{Value: "v"}, "https://h.test/mcp", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"http://h.test/mcp", "https://h.test:444/mcp", "https://i.test/mcp"} {
		if r := request(t, address); s.Authorize(r) != nil || len(r.Header) > 0 {
			t.Errorf("%s got %v", address, r.Header)
		}
	}
}
