package authn_test

import (
	"encoding/base64"
	"maps"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"weir/server/authn"
)

// asking is an issuer that judges opaque tokens.
func asking(t *testing.T) (*idp, authn.Spec) {
	t.Helper()
	p := newIDP(t, issuerURL)
	spec := specOf(p)
	spec.OIDC[0].Introspection = authn.Introspection{ClientID: "weir", ClientSecret: "s:e c"}
	return p, spec
}

// Every doubt about an opaque token is a no (RFC 7662, 4).
func TestIntrospection(t *testing.T) {
	now := time.Now()
	full := object{"active": true, "iss": issuerURL, "aud": resourceURL, "sub": "ana", "client_id": "agent", "scope": "mcp", "exp": now.Add(time.Hour).Unix(), "token_type": "Bearer"}
	with := func(more object) object {
		o := maps.Clone(full)
		maps.Copy(o, more)
		maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
		return o
	}
	tests := map[string]struct {
		answer any
		status int
	}{
		"active":            {full, 200},
		"no token_type":     {with(object{"token_type": nil}), 200},
		"inactive":          {object{"active": false}, 401},
		"active absent":     {with(object{"active": nil}), 401},
		"active is text":    {with(object{"active": "true"}), 401},
		"active is 1":       {with(object{"active": 1}), 401},
		"no iss":            {with(object{"iss": nil}), 401},
		"another iss":       {with(object{"iss": "https://other.example.com"}), 401},
		"no aud":            {with(object{"aud": nil}), 401},
		"another aud":       {with(object{"aud": "agent"}), 401},
		"no exp":            {with(object{"exp": nil}), 401},
		"exp over":          {with(object{"exp": now.Add(-time.Hour).Unix()}), 401},
		"exp is text":       {with(object{"exp": "9999999999"}), 401},
		"not yet":           {with(object{"nbf": now.Add(time.Hour).Unix()}), 401},
		"bound":             {with(object{"cnf": object{"jkt": "x"}}), 401},
		"DPoP":              {with(object{"token_type": "DPoP"}), 401},
		"refresh token":     {with(object{"token_type": "refresh_token"}), 401},
		"names nobody":      {with(object{"sub": nil, "client_id": nil}), 403},
		"twice":             {`{"active":false,"active":true}`, 503},
		"twice by case":     {`{"active":false,"Active":true}`, 503},
		"empty":             {``, 503},
		"a list":            {`[{"active":true}]`, 503},
		"true":              {`true`, 503},
		"not JSON":          {`<html>`, 503},
		"something follows": {`{"active":true} {"active":true}`, 503},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, spec := asking(t)
			a := start(t, spec, p)
			ready(t, a)
			p.do(func() { p.answers["opaque"] = tt.answer })
			if _, refusal := ask(t, a, "/mcp", "Bearer opaque"); status(refusal) != tt.status {
				t.Errorf("%v, want %d", refusal, tt.status)
			}
			if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("weir:s%3Ae+c")); p.auth != want {
				t.Errorf("Authorization %q, want %q (RFC 6749, 2.3.1)", p.auth, want)
			}
		})
	}
}

// Answers are believed for a few seconds; a revoked token is refused soon after, by the time that its caller was told to be good until.
func TestIntrospectionIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, spec := asking(t)
		a := start(t, spec, p)
		synctest.Wait()
		exp := time.Now().Add(9 * time.Second)
		p.do(func() {
			p.answers["opaque"] = object{"active": true, "iss": issuerURL, "aud": resourceURL, "sub": "ana", "exp": exp.Unix()}
		})
		for range 100 {
			c, refusal := ask(t, a, "/mcp", "Bearer opaque")
			if refusal != nil || !c.Until.Equal(time.Now().Add(4*time.Second)) {
				t.Fatalf("%v until %v", refusal, c.Until)
			}
		}
		if n := p.fetched("/introspect"); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		time.Sleep(4 * time.Second)
		if _, refusal := ask(t, a, "/mcp", "Bearer opaque"); refusal != nil || p.fetched("/introspect") != 2 {
			t.Errorf("%v after %d questions", refusal, p.fetched("/introspect"))
		}
		p.do(func() { delete(p.answers, "opaque") })
		time.Sleep(4 * time.Second)
		if _, refusal := ask(t, a, "/mcp", "Bearer opaque"); status(refusal) != 401 {
			t.Errorf("revoked: %v", refusal)
		}
		// The refusal is remembered too, and no longer than that.
		asked := p.fetched("/introspect")
		_, _ = ask(t, a, "/mcp", "Bearer opaque")
		if n := p.fetched("/introspect"); n != asked {
			t.Errorf("asked again at once")
		}
		p.do(func() { p.away = true })
		time.Sleep(6 * time.Second)
		if _, refusal := ask(t, a, "/mcp", "Bearer opaque"); status(refusal) != 503 {
			t.Errorf("the issuer is away: %v", refusal)
		}
	})
}

// One address cannot have the issuer asked without end, and does not keep others out (T32).
func TestIntrospectionIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, spec := asking(t)
		p.answers["good"] = object{"active": true, "iss": issuerURL, "aud": resourceURL, "sub": "ana", "exp": time.Now().Add(time.Hour).Unix()}
		a := start(t, spec, p)
		synctest.Wait()
		limited := 0
		for n := range 1000 {
			if _, refusal := ask(t, a, "/mcp", "Bearer opaque-"+time.Duration(n).String()); status(refusal) == 429 {
				limited++
			}
		}
		if n := p.fetched("/introspect"); n > 60 || limited != 940 {
			t.Errorf("%d questions, %d answered with 429", n, limited)
		}
		r := httptest.NewRequest("POST", "/mcp", nil)
		r.RemoteAddr = "[2001:db8::1]:7"
		r.Header.Set("Authorization", "Bearer good")
		if _, refusal := outcome(t, a, "/mcp", r); refusal != nil {
			t.Errorf("somebody else: %v", refusal)
		}
		time.Sleep(2 * time.Second)
		if _, refusal := ask(t, a, "/mcp", "Bearer good"); refusal != nil {
			t.Errorf("a moment later: %v", refusal)
		}
	})
}

// JWTs that are asked about too end when they are revoked.
func TestRevokedJWT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, spec := asking(t)
		spec.OIDC[0].Introspection.JWTs = true
		a := start(t, spec, p)
		synctest.Wait()
		token := p.token(t, nil, nil)
		p.do(func() {
			p.answers[token] = object{"active": true, "iss": issuerURL, "aud": resourceURL, "exp": time.Now().Add(time.Hour).Unix()}
		})
		if _, refusal := ask(t, a, "/mcp", "Bearer "+token); refusal != nil {
			t.Fatal(refusal)
		}
		p.do(func() { delete(p.answers, token) })
		time.Sleep(4 * time.Second)
		if _, refusal := ask(t, a, "/mcp", "Bearer "+token); status(refusal) != 401 {
			t.Errorf("revoked: %v", refusal)
		}
		if _, refusal := ask(t, a, "/mcp", "Bearer opaque"); status(refusal) != 401 {
			t.Errorf("opaque: %v", refusal)
		}
	})
}
