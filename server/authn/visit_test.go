package authn_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"

	"weir/server/authn"
)

// withClient is the spec for an issuer at which weir has a client of this name.
func withClient(p *idp, client string) authn.Spec {
	s := specOf(p)
	s.OIDC[0].SignIn = authn.SignIn{ClientID: client}
	if client != "" {
		s.OIDC[0].SignIn.ClientSecret = "canary"
	}
	return s
}

// TestVisit: who sits before a browser is whom the issuer's ID token names, if it is for this visit.
func TestVisit(t *testing.T) {
	for name, tc := range map[string]struct {
		back   url.Values // what comes back in place of the usual
		claims object     // of the ID token, in place of the usual
		code   string     // where the usual is not
		want   string
	}{
		"the user":            {want: "user:" + issuerURL + "|ana"},
		"another user":        {claims: object{"sub": "ben"}, want: "user:" + issuerURL + "|ben"},
		"another state":       {back: url.Values{"state": {"x"}}, want: "error: the state is another"},
		"no state":            {back: url.Values{"state": nil}, want: "error: the state is another"},
		"another issuer":      {back: url.Values{"iss": {"https://evil.example"}}, want: "error: another issuer answers"},
		"refused":             {back: url.Values{"code": nil, "error": {"access_denied"}}, want: "error: the issuer did not say who you are"},
		"a code of another":   {back: url.Values{"code": {"theirs"}}, want: "error: the issuer does not take its own code"},
		"nonce of another":    {claims: object{"nonce": "x"}, want: "error: the issuer's ID token is not good"},
		"no nonce":            {claims: object{"nonce": nil}, want: "error: the issuer's ID token is not good"},
		"for another client":  {claims: object{"aud": "other"}, want: "error: the issuer's ID token is not good"},
		"iss of another":      {claims: object{"iss": "https://evil.example"}, want: "error: the issuer's ID token is not good"},
		"expired":             {claims: object{"exp": 1}, want: "error: the issuer's ID token is not good"},
		"no subject":          {claims: object{"sub": nil}, want: "error: the token names nobody"},
		"no ID token":         {claims: object{}, code: "none", want: "error: the issuer's ID token is not good"},
		"signature of others": {claims: object{}, code: "forged", want: "error: the issuer's ID token is not good"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t, issuerURL)
			a := start(t, withClient(p, "weir"), p)
			const user = "user:" + issuerURL + "|ana"
			if a.Asks("user:ana") || a.Asks("client:agent") || !a.Asks(user) {
				t.Error("it asks about others than the issuer's users")
			}
			v, err := a.Visit(t.Context(), user, "https://weir.example.com/signin/callback")
			if err != nil {
				t.Fatal(err)
			}
			at, err := url.Parse(v.URL)
			if err != nil {
				t.Fatal(err)
			}
			q := at.Query()
			if q.Get("client_id") != "weir" || q.Get("code_challenge_method") != "S256" || q.Get("scope") != "openid" || strings.Contains(v.URL, "canary") {
				t.Errorf("the browser goes on to %s", v.URL)
			}
			claims := object{"iss": issuerURL, "sub": "ana", "aud": "weir", "nonce": q.Get("nonce"), "client_id": nil, "scope": nil, "groups": nil, "azp": nil}
			maps.Copy(claims, tc.claims)
			p.gives = func(form url.Values) object {
				switch signed := p.keys[0]; {
				case form.Get("code") != "good" || form.Get("code_verifier") == "":
					return nil
				case tc.code == "none":
					return object{"access_token": "x", "token_type": "Bearer"}
				case tc.code == "forged":
					signed = newSigner(t, signed.id)
					return object{"access_token": "x", "token_type": "Bearer", "id_token": signed.sign(t, p.claims(claims), nil)}
				default:
					return object{"access_token": "x", "token_type": "Bearer", "id_token": signed.sign(t, p.claims(claims), nil)}
				}
			}
			back := url.Values{"state": {v.State}, "code": {"good"}, "iss": {issuerURL}}
			maps.Copy(back, tc.back)
			got, err := v.Finish(t.Context(), back)
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != tc.want || strings.Contains(got, "canary") {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestVisitWithoutIssuer: an issuer that is away, or that has no client of weir's, cannot be asked.
func TestVisitWithoutIssuer(t *testing.T) {
	p := newIDP(t, issuerURL)
	a := start(t, withClient(p, ""), p)
	if _, err := a.Visit(t.Context(), "user:"+issuerURL+"|ana", "https://weir.example.com/"); err == nil || a.Asks("user:"+issuerURL+"|ana") {
		t.Error("an issuer without a client was asked")
	}
	p.do(func() { p.away = true })
	a = start(t, withClient(p, "weir"), p)
	if _, err := a.Visit(t.Context(), "user:"+issuerURL+"|ana", "https://weir.example.com/"); err == nil || strings.Contains(err.Error(), "10.1.2.3") {
		t.Errorf("got %v", err)
	}
}
