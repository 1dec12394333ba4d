package authn_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/server/authn"
)

func TestFaults(t *testing.T) {
	spec := authn.Spec{
		Resource: "weir", ClockSkew: 2 * time.Minute, Scopes: []string{"ok", "two words", `q"`},
		OIDC: []authn.Issuer{
			{Issuer: "http://login.example.com", Algorithms: []string{"RS256", "HS256", "none"}, JWKSFile: "x", JWKSURL: "ftp://x"},
			{Issuer: "http://127.0.0.1:9/x", AcceptIDTokens: true, TokenType: "x", Introspection: authn.Introspection{ClientID: "a"}},
			{Issuer: "http://127.0.0.1:9/x", Introspection: authn.Introspection{ClientID: "a", ClientSecret: "hidden", Cache: time.Hour}},
			{Issuer: "https://u:hidden@x", JWKSFile: "x", Introspection: authn.Introspection{ClientID: "a", ClientSecret: "hidden"}},
			{Introspection: authn.Introspection{URL: "https://x"}},
		},
		APIKeys:      []authn.APIKey{{Hash: "hidden-key-in-the-wrong-place", Owner: ""}, {Hash: hash("x"), Owner: "x", Expires: "soon"}},
		Certificates: authn.Certificates{Name: "cn"},
	}
	var got []string
	for _, f := range spec.Faults() {
		got = append(got, f.String())
	}
	want := []string{
		"auth.resource: want a URL such as https://login.example.com",
		"auth.clockSkew: at most 1m0s",
		`auth.scopes[1]: "two words" is no scope (RFC 6749, 3.3)`,
		`auth.scopes[2]: "q\"" is no scope (RFC 6749, 3.3)`,
		"auth.oidc[0].issuer: want https://; plain http is for this machine only",
		"auth.oidc[0].jwksURL: does nothing beside jwksFile; remove one",
		"auth.oidc[0].jwksURL: want a URL that starts with https://",
		"auth.oidc[0].algorithms[1]: want one of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512, EdDSA",
		"auth.oidc[0].algorithms[2]: want one of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512, EdDSA",
		"auth.oidc[1].tokenType: does nothing beside acceptIDTokens; remove one",
		"auth.oidc[1].introspection: needs clientID and clientSecret",
		"auth.oidc[2].introspection.cache: at most 30s",
		"auth.oidc[2].issuer: stands twice",
		"auth.oidc[2].introspection: opaque tokens do not say whose they are; ask one issuer about them, or set jwts",
		"auth.oidc[3].issuer: want a URL without user, query and fragment",
		"auth.oidc[3].introspection.url: is missing: without discovery it cannot be found",
		"auth.oidc[3].introspection: opaque tokens do not say whose they are; ask one issuer about them, or set jwts",
		"auth.oidc[4].issuer: is missing",
		"auth.oidc[4].introspection: needs clientID and clientSecret",
		"auth.apiKeys[0].hash: want the SHA-256 of the key in hex, 64 digits",
		"auth.apiKeys[0].owner: is missing",
		"auth.apiKeys[1].expires: want a day such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z",
		"auth.certificates.name: want one of uri, dns, email",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(strings.Join(got, ""), "hidden") {
		t.Error("a secret is in a message")
	}
}

// A spec that is wrong is never in force, not even in parts.
func TestReloadIsWholeOrNothing(t *testing.T) {
	p := newIDP(t, issuerURL)
	a := start(t, specOf(p), p)
	ready(t, a)
	token := "Bearer " + p.token(t, nil, nil)
	key := strings.Repeat("k", 40)
	for name, change := range map[string]func(*authn.Spec) []authn.Resource{
		"fault":          func(s *authn.Spec) []authn.Resource { s.OIDC[0].Issuer = "x"; return resources() },
		"no resource":    func(*authn.Spec) []authn.Resource { return nil },
		"resource":       func(*authn.Spec) []authn.Resource { return []authn.Resource{{Path: "/mcp", URL: "mcp"}} },
		"owner":          func(s *authn.Spec) []authn.Resource { s.APIKeys[0].Owner = "local"; return resources() },
		"file of keys":   func(s *authn.Spec) []authn.Resource { s.OIDC[1].JWKSFile = "/nonexistent"; return resources() },
		"another issuer": func(s *authn.Spec) []authn.Resource { s.OIDC[0].Prefix = "x"; return []authn.Resource{{URL: "::"}} },
	} {
		spec := specOf(p)
		spec.OIDC = append(spec.OIDC, authn.Issuer{Issuer: "https://partner.example.com"})
		spec.APIKeys = []authn.APIKey{{Hash: hash(key), Owner: "ci"}}
		if err := a.Reload(spec, change(&spec), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, refusal := ask(t, a, "/mcp", token); refusal != nil {
			t.Errorf("%s: %v", name, refusal)
		}
		if _, refusal := ask(t, a, "/mcp", "Bearer "+key); status(refusal) != 401 {
			t.Errorf("%s: the key is in force: %v", name, refusal)
		}
	}
	// An issuer that stays keeps its keys, one that goes is not trusted any more.
	spec := specOf(p)
	spec.Scopes = []string{"mcp"}
	fetched := p.fetched("/jwks")
	if err := a.Reload(spec, resources(), nil); err != nil {
		t.Fatal(err)
	}
	if _, refusal := ask(t, a, "/mcp", token); refusal != nil || p.fetched("/jwks") != fetched {
		t.Errorf("%v after %d fetches", refusal, p.fetched("/jwks"))
	}
	spec = authn.Default()
	spec.APIKeys = []authn.APIKey{{Hash: hash(key), Owner: "ci"}}
	if err := a.Reload(spec, resources(), nil); err != nil {
		t.Fatal(err)
	}
	if _, refusal := ask(t, a, "/mcp", token); status(refusal) != 401 {
		t.Errorf("an issuer that was removed: %v", refusal)
	}
}

func TestNewRefusesWhatIsWrong(t *testing.T) {
	_, err := authn.New(authn.Options{Spec: authn.Spec{OIDC: []authn.Issuer{{}}}, Resources: resources(), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "auth.oidc[0].issuer") {
		t.Errorf("%v", err)
	}
}

// FuzzAuthenticate holds that nothing but the two good tokens lets anybody in, and that refusals are ones.
func FuzzAuthenticate(f *testing.F) {
	p := newIDP(f, issuerURL)
	spec := specOf(p)
	spec.OIDC[0].Introspection = authn.Introspection{ClientID: "weir", ClientSecret: "s"}
	a := start(f, spec, p)
	ready(f, a)
	good := p.token(f, nil, nil)
	for _, seed := range []string{"", "Bearer ", "Bearer " + good, "bearer a.b.c", "Basic x", "Bearer " + good[:len(good)-1], "Bearer " + good + "=", "Bearer e30.e30.", "Bearer\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		r := httptest.NewRequest("POST", "/mcp", nil)
		r.Header["Authorization"] = []string{authorization}
		_, refusal := outcome(t, a, "/mcp", r)
		if refusal == nil && !strings.Contains(authorization, good[:strings.LastIndexByte(good, '.')]) {
			t.Fatalf("%q was let in", authorization)
		}
		if refusal != nil && (refusal.Status < 400 || strings.ContainsAny(refusal.Challenge+refusal.Reason, "\r\n\x00")) {
			t.Fatalf("%+v", refusal)
		}
	})
}

// BenchmarkAuthenticate is what sign-in adds to a call whose token is remembered: a hash and a look-up.
func BenchmarkAuthenticate(b *testing.B) {
	p := newIDP(b, issuerURL)
	spec := specOf(p)
	key := strings.Repeat("k", 43)
	spec.APIKeys = []authn.APIKey{{Hash: hash(key), Owner: "ci"}}
	a := start(b, spec, p)
	ready(b, a)
	for name, token := range map[string]string{"JWT": p.token(b, nil, nil), "APIKey": key, "JWT-2KiB": p.token(b, object{"pad": strings.Repeat("x", 1200)}, nil)} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("POST", "/mcp", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			authenticate := a.At("/mcp")
			b.ReportAllocs()
			b.SetBytes(int64(len(token)))
			for b.Loop() {
				if _, err := authenticate(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A remembered token costs no allocation.
func TestRememberedTokenAllocatesNothing(t *testing.T) {
	p := newIDP(t, issuerURL)
	a := start(t, specOf(p), p)
	ready(t, a)
	r := httptest.NewRequest("POST", "/mcp", nil)
	r.Header.Set("Authorization", "Bearer "+p.token(t, nil, nil))
	authenticate := a.At("/mcp")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := authenticate(r); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
