package cred_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/translate"
	"weir/upstream/cred"
)

func request(t *testing.T, address string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAuthorize(t *testing.T) {
	s, err := cred.New(map[string]cred.Spec{"key": {Value: "k&1"}, "basic": {Username: "u", Password: "p"}, "tls": {Certificate: true}}, []string{"https://h.test/v1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		scheme translate.SecurityScheme
		want   string
	}{
		{translate.SecurityScheme{Name: "key", Type: "apiKey", In: "header", Param: "X-Key"}, "?a=1 X-Key=k&1"},
		{translate.SecurityScheme{Name: "key", Type: "apiKey", In: "query", Param: "api key"}, "?a=1&api+key=k%261"},
		{translate.SecurityScheme{Name: "key", Type: "apiKey", In: "cookie", Param: "sid"}, "?a=1 Cookie=sid=k&1"},
		{translate.SecurityScheme{Name: "key", Type: "http", HTTP: "bearer"}, "?a=1 Authorization=Bearer k&1"},
		{translate.SecurityScheme{Name: "basic", Type: "http", HTTP: "basic"}, "?a=1 Authorization=Basic dTpw"},
		{translate.SecurityScheme{Name: "tls", Type: "mutualTLS"}, "?a=1"},
	}
	for _, tt := range tests {
		r := request(t, "https://h.test:443/v1/x?a=1")
		if err := s.Authorize(t.Context(), r, tt.scheme, ""); err != nil {
			t.Error(err)
		}
		got := "?" + r.URL.RawQuery
		for name, values := range r.Header {
			got += " " + name + "=" + values[0]
		}
		if got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.scheme, got, tt.want)
		}
	}
	for _, address := range []string{"https://other.test/", "http://h.test/", "https://h.test:444/"} {
		r := request(t, address)
		if err := s.Authorize(t.Context(), r, tests[0].scheme, ""); err == nil || len(r.Header) > 0 {
			t.Errorf("%s got the credential", address)
		}
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	spec := cred.Spec{Value: "hunter2", Password: "hunter2", ClientSecret: "hunter2"}
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprintf("%v %+v %#v %s", spec, spec, spec, data); strings.Contains(all, "hunter2") {
		t.Error(all)
	}
}

func TestContradictions(t *testing.T) {
	for name, spec := range map[string]cred.Spec{
		"nothing": {}, "two": {Value: "a", Username: "b"}, "no endpoint": {ClientID: "a"}, "plain http": {ClientID: "a", TokenURL: "http://h.test/token"},
		"a line break": {Value: "a\r\nX: y"}, "a colon": {Username: "a:b"},
	} {
		if _, err := cred.New(map[string]cred.Spec{"s": spec}, nil, nil); err == nil {
			t.Errorf("%s was taken", name)
		} else if strings.Contains(err.Error(), "X: y") {
			t.Error("the error tells the value")
		}
	}
}

// provider gives tokens and counts.
type provider struct {
	given  atomic.Int32
	status int
	body   string
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if strings.HasSuffix(r.URL.Path, "openid-configuration") {
		_, _ = io.WriteString(w, `{"issuer":"https://id.test","token_endpoint":"https://id.test/token"}`)
		return w.Result(), nil
	}
	if strings.Contains(r.URL.Path, "/.well-known/") {
		w.WriteHeader(http.StatusNotFound)
		return w.Result(), nil
	}
	n := p.given.Add(1)
	w.Header().Set("Content-Type", "application/json")
	if p.status != 0 {
		w.WriteHeader(p.status)
		_, _ = io.WriteString(w, p.body)
		return w.Result(), nil
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":3600}`, n)
	return w.Result(), nil
}

// TestTokens: one request for many callers, kept until shortly before its end, anew after a refusal but not for one that was just had.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		s, err := cred.New(map[string]cred.Spec{"o": {ClientID: "c", ClientSecret: "s", Issuer: "https://id.test"}}, []string{"https://h.test"}, p)
		if err != nil {
			t.Fatal(err)
		}
		scheme := translate.SecurityScheme{Name: "o", Type: "oauth2"}
		token := func() string {
			r := request(t, "https://h.test/")
			if err := s.Authorize(t.Context(), r, scheme, ""); err != nil {
				t.Error(err)
			}
			return r.Header.Get("Authorization")
		}
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				if got := token(); got != "Bearer t1" {
					t.Errorf("got %s", got)
				}
			})
		}
		callers.Wait()
		if s.Renew(t.Context(), scheme, "") {
			t.Error("a token that was just had is replaced")
		}
		time.Sleep(10 * time.Minute)
		if !s.Renew(t.Context(), scheme, "") || token() != "Bearer t2" {
			t.Error("a refused token is kept")
		}
		time.Sleep(time.Hour)
		if token() != "Bearer t3" {
			t.Error("an old token is kept")
		}
		scheme.Scopes = []string{"write"}
		if token() != "Bearer t4" {
			t.Error("a token is used for other scopes")
		}
	})
}

func TestTokenErrorsTellNothing(t *testing.T) {
	p := &provider{status: 401, body: `{"error":"invalid_client","error_description":"secret hunter2 is wrong"}`}
	s, err := cred.New(map[string]cred.Spec{"o": {ClientID: "c", ClientSecret: "hunter2", TokenURL: "https://id.test/token"}}, []string{"https://h.test"}, p)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Authorize(t.Context(), request(t, "https://h.test/"), translate.SecurityScheme{Name: "o", Type: "oauth2"}, "")
	if err == nil || err.Error() != "the token endpoint answered 401 (invalid_client)" {
		t.Errorf("got %v", err)
	}
}
