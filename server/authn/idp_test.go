package authn_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"weir/server/authn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is a JSON object.
type object = map[string]any

const (
	issuerURL   = "https://login.example.com"
	resourceURL = "https://weir.example.com/mcp"
)

// idp is an issuer behind a RoundTripper: no sockets, so that it works with the clock of synctest too.
type idp struct {
	url string

	mu      sync.Mutex
	keys    []signer
	away    bool                         // connections fail
	broken  func() string                // the body of /jwks in place of the keys
	answers map[string]any               // of introspection, by token
	seen    map[string]int               // requests by path
	auth    string                       // Authorization of the last introspection
	gives   func(form url.Values) object // what /token answers, nil to refuse
}

// signer is a private key of an issuer.
type signer struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

func newSigner(t testing.TB, id string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, jose.ES256, key}
}

func newIDP(t testing.TB, url string) *idp {
	t.Helper()
	return &idp{url: url, keys: []signer{newSigner(t, "k1")}, answers: map[string]any{}, seen: map[string]int{}}
}

// RoundTrip answers as the issuer.
func (p *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	base := r.URL.Scheme + "://" + r.URL.Host
	if base != p.url {
		return nil, errors.New("no such host: " + r.URL.Host)
	}
	p.seen[r.URL.Path]++
	if p.away {
		return nil, errors.New("connection refused: 10.1.2.3:443")
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(object{
			"issuer": p.url, "jwks_uri": p.url + "/jwks", "introspection_endpoint": p.url + "/introspect",
			"authorization_endpoint": p.url + "/auth", "token_endpoint": p.url + "/token", "id_token_signing_alg_values_supported": []string{"ES256"},
		})
	case "/jwks":
		if p.broken != nil {
			_, _ = io.WriteString(w, p.broken())
			break
		}
		_ = json.NewEncoder(w).Encode(p.set())
	case "/introspect":
		p.auth = r.Header.Get("Authorization")
		body, _ := io.ReadAll(r.Body)
		token, _, _ := strings.Cut(strings.TrimPrefix(string(body), "token="), "&")
		answer, ok := p.answers[token]
		if !ok {
			answer = object{"active": false}
		}
		if text, raw := answer.(string); raw {
			_, _ = io.WriteString(w, text)
			break
		}
		_ = json.NewEncoder(w).Encode(answer)
	case "/token":
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		answer := p.gives(form)
		if answer == nil {
			w.WriteHeader(http.StatusBadRequest)
			answer = object{"error": "invalid_grant", "error_description": "canary"}
		}
		_ = json.NewEncoder(w).Encode(answer)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	return w.Result(), nil
}

func (p *idp) set() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, s := range p.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.key.Public(), KeyID: s.id, Algorithm: string(s.alg), Use: "sig"})
	}
	return set
}

func (p *idp) do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// fetched is how often a path was asked for.
func (p *idp) fetched(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[path]
}

// claims are those of a good access token; more replaces them, nil removes one.
func (p *idp) claims(more object) object {
	now := time.Now()
	c := object{
		"iss": p.url, "sub": "ana", "aud": resourceURL, "client_id": "agent", "scope": "mcp", "groups": []string{"eng"},
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(c, more)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// token signs claims with the issuer's first key; header replaces members of the header.
func (p *idp) token(t testing.TB, more object, header object) string {
	t.Helper()
	return p.keys[0].sign(t, p.claims(more), header)
}

func (s signer) sign(t testing.TB, claims, header object) string {
	t.Helper()
	o := new(jose.SignerOptions).WithType("at+jwt")
	if s.id != "" {
		o = o.WithHeader("kid", s.id)
	}
	for name, value := range header {
		o = o.WithHeader(jose.HeaderKey(name), value)
	}
	j, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, o)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := j.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// several are issuers by URL.
type several []*idp

func (s several) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, p := range s {
		if r.URL.Scheme+"://"+r.URL.Host == p.url {
			return p.RoundTrip(r)
		}
	}
	return nil, errors.New("no such host: " + r.URL.Host)
}

// specOf is the shortest spec for an issuer.
func specOf(p *idp) authn.Spec {
	s := authn.Default()
	s.OIDC = []authn.Issuer{{Issuer: p.url}}
	return s
}

// start makes an authenticator for the main resource and two others, and ends it with the test.
func start(t testing.TB, s authn.Spec, transport http.RoundTripper) *authn.Authenticator {
	t.Helper()
	a, err := authn.New(authn.Options{
		Spec: s, Transport: transport, Log: slog.New(slog.DiscardHandler), Resources: resources(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func resources() []authn.Resource {
	return []authn.Resource{
		{Path: "/mcp", URL: resourceURL},
		{Path: "/mcp/finance", URL: resourceURL + "/finance", Scopes: []string{"finance"}, Tenant: "finance"},
		{Path: "/mcp/lab", URL: resourceURL + "/lab", Audience: "lab"},
	}
}

// ready waits for the keys of the issuers.
func ready(t testing.TB, a *authn.Authenticator) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		err := a.Ready()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not ready: %v", err)
		}
	}
}

// ask authenticates a request with these Authorization headers.
func ask(t testing.TB, a *authn.Authenticator, path string, authorization ...string) (authn.Caller, *authn.Refusal) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, nil)
	for _, v := range authorization {
		r.Header.Add("Authorization", v)
	}
	return outcome(t, a, path, r)
}

func outcome(t testing.TB, a *authn.Authenticator, path string, r *http.Request) (authn.Caller, *authn.Refusal) {
	t.Helper()
	c, err := a.Authenticate(path, r)
	if err == nil {
		if c.Principal.IsNobody() {
			t.Fatal("nobody was let in")
		}
		return c, nil
	}
	refusal := new(authn.Refusal)
	if !errors.As(err, &refusal) || !c.Principal.IsNobody() {
		t.Fatalf("refused as %+v with %T: %v", c, err, err)
	}
	return c, refusal
}

// status is 200 for a caller who is let in.
func status(r *authn.Refusal) int {
	if r == nil {
		return http.StatusOK
	}
	return r.Status
}
