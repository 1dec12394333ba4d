package authn_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"weir/policy"
	"weir/server/authn"
)

// principal is what an identity must have become.
func principal(t *testing.T, id policy.Identity) policy.Principal {
	t.Helper()
	p, err := policy.Verified(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Claims become the identity where the configuration says: nested, in lists, missing, with dots in their names (S14).
func TestClaimsBecomeTheIdentity(t *testing.T) {
	tests := []struct {
		name   string
		issuer authn.Issuer
		claims object
		want   policy.Identity
		status int
	}{
		{name: "usual names", want: policy.Identity{Issuer: issuerURL, Subject: "ana", Client: "agent", Groups: []string{"eng"}, Scopes: []string{"mcp"}}},
		{
			name: "no groups", claims: object{"groups": nil},
			want: policy.Identity{Issuer: issuerURL, Subject: "ana", Client: "agent", Scopes: []string{"mcp"}},
		},
		{
			name: "one group as text, scopes as a list, azp", claims: object{"groups": "eng", "scope": nil, "scp": []string{"a", "b"}, "client_id": nil, "azp": "app"},
			want: policy.Identity{Issuer: issuerURL, Subject: "ana", Client: "app", Groups: []string{"eng"}, Scopes: []string{"a", "b"}},
		},
		{
			name: "nested, with dots, attributes",
			issuer: authn.Issuer{Claims: authn.Claims{
				Groups: "realm_access.roles", Roles: "https://example.com/roles", Tenant: "org.id",
				Attributes: map[string]string{"dept": "profile.dept", "level": "profile.level", "none": "profile.none"},
			}},
			claims: object{
				"realm_access": object{"roles": []string{"a", "b"}}, "https://example.com/roles": []string{"dev"}, "org": object{"id": "acme"},
				"profile": object{"dept": "x", "level": 7},
			},
			want: policy.Identity{
				Issuer: issuerURL, Subject: "ana", Client: "agent", Groups: []string{"a", "b"}, Roles: []string{"dev"}, Tenant: "acme", Scopes: []string{"mcp"},
				Attributes: map[string]json.RawMessage{"dept": json.RawMessage(`"x"`), "level": json.RawMessage(`7`)},
			},
		},
		{
			name: "a list of objects", issuer: authn.Issuer{Claims: authn.Claims{Groups: "teams.#.name"}},
			claims: object{"teams": []object{{"name": "a"}, {"name": "b"}}},
			want:   policy.Identity{Issuer: issuerURL, Subject: "ana", Client: "agent", Groups: []string{"a", "b"}, Scopes: []string{"mcp"}},
		},
		{
			name: "prefix", issuer: authn.Issuer{Prefix: "partner/"},
			want: policy.Identity{Issuer: issuerURL, Subject: "ana", Client: "partner/agent", Groups: []string{"partner/eng"}, Scopes: []string{"mcp"}},
		},
		{
			name: "a program", claims: object{"sub": nil, "groups": nil},
			want: policy.Identity{Client: "agent", Scopes: []string{"mcp"}},
		},
		{
			name: "subject that looks like a role", claims: object{"sub": "role:admin", "groups": []string{"user:ana"}},
			want: policy.Identity{Issuer: issuerURL, Subject: "role:admin", Client: "agent", Groups: []string{"user:ana"}, Scopes: []string{"mcp"}},
		},
		{
			name: "verified email", issuer: authn.Issuer{Claims: authn.Claims{Subject: "email"}}, claims: object{"email": "ana@example.com", "email_verified": true},
			want: policy.Identity{Issuer: issuerURL, Subject: "ana@example.com", Client: "agent", Groups: []string{"eng"}, Scopes: []string{"mcp"}},
		},
		{name: "email", issuer: authn.Issuer{Claims: authn.Claims{Subject: "email"}}, claims: object{"email": "ana@example.com"}, status: 403},
		{name: "required group", issuer: authn.Issuer{RequiredGroups: []string{"ops"}}, status: 403},
		{
			name: "required group of several", issuer: authn.Issuer{RequiredGroups: []string{"ops", "eng"}, Prefix: "x/"},
			want: policy.Identity{Issuer: issuerURL, Subject: "ana", Client: "x/agent", Groups: []string{"x/eng"}, Scopes: []string{"mcp"}},
		},
		{name: "roles of another type", issuer: authn.Issuer{Claims: authn.Claims{Roles: "roles"}}, claims: object{"roles": object{"a": 1}}, status: 403},
		{name: "tenant of another type", issuer: authn.Issuer{Claims: authn.Claims{Tenant: "org"}}, claims: object{"org": 7}, status: 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newIDP(t, issuerURL)
			spec := authn.Default()
			tt.issuer.Issuer = issuerURL
			spec.OIDC = []authn.Issuer{tt.issuer}
			a := start(t, spec, p)
			ready(t, a)
			c, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, tt.claims, nil))
			if tt.status != 0 {
				if status(refusal) != tt.status || refusal.Challenge != "" {
					t.Errorf("%+v, want %d without a challenge: no token would change it", refusal, tt.status)
				}
				return
			}
			if refusal != nil {
				t.Fatal(refusal)
			}
			if want := principal(t, tt.want); c.Principal != want {
				t.Errorf("%q\nwant %q", c.Principal.Key(), want.Key())
			}
		})
	}
}

// Which tokens are taken depends on what the issuer marks them with.
func TestTokenTypes(t *testing.T) {
	id := object{"nonce": "n", "at_hash": "h", "scope": nil, "client_id": nil}
	tests := []struct {
		name   string
		issuer authn.Issuer
		typ    string
		claims object
		status int
	}{
		{"at+jwt", authn.Issuer{}, "at+jwt", nil, 200},
		{"application/AT+JWT", authn.Issuer{}, "application/AT+JWT", nil, 200},
		{"JWT with scope", authn.Issuer{}, "JWT", object{"client_id": nil}, 200},
		{"own type", authn.Issuer{TokenType: "mine+jwt"}, "mine+jwt", nil, 200},
		{"not the own type", authn.Issuer{TokenType: "mine+jwt"}, "at+jwt", nil, 401},
		{"ID token", authn.Issuer{}, "JWT", id, 401},
		{"ID token where that is said", authn.Issuer{AcceptIDTokens: true}, "JWT", id, 200},
		{"logout token where ID tokens are good", authn.Issuer{AcceptIDTokens: true}, "logout+jwt", id, 401},
		{"identity assertion", authn.Issuer{AcceptIDTokens: true}, "oauth-id-jag+jwt", nil, 401},
		{"algorithm that is not allowed", authn.Issuer{Algorithms: []string{"RS256"}}, "at+jwt", nil, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newIDP(t, issuerURL)
			tt.issuer.Issuer = issuerURL
			spec := authn.Default()
			spec.OIDC = []authn.Issuer{tt.issuer}
			a := start(t, spec, p)
			ready(t, a)
			if _, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, tt.claims, object{"typ": tt.typ})); status(refusal) != tt.status {
				t.Errorf("%v, want %d", refusal, tt.status)
			}
		})
	}
}

// Each resource takes tokens for itself alone (T1), and two issuers' users of one name are two users.
func TestAudiencesAndIssuers(t *testing.T) {
	p, q := newIDP(t, issuerURL), newIDP(t, "https://partner.example.com")
	spec := specOf(p)
	spec.OIDC = append(spec.OIDC, authn.Issuer{Issuer: q.url, Audience: "weir"})
	a := start(t, spec, several{p, q})
	ready(t, a)
	tests := []struct {
		issuer *idp
		aud    any
		path   string
		status int
	}{
		{p, resourceURL, "/mcp", 200},
		{p, resourceURL, "/mcp/finance", 401},
		{p, resourceURL, "/mcp/lab", 401},
		{p, resourceURL + "/finance", "/mcp/finance", 200},
		{p, resourceURL + "/finance/", "/mcp/finance", 200},
		{p, resourceURL + "/finance", "/mcp", 401},
		{p, "lab", "/mcp/lab", 200},
		{p, "lab/", "/mcp/lab", 401},
		{p, resourceURL + "/lab", "/mcp/lab", 401},
		{p, "weir", "/mcp", 401},
		{q, "weir", "/mcp", 200},
		{q, resourceURL, "/mcp", 401},
		{q, "weir", "/mcp/finance", 401},
		{q, []string{"weir", "lab"}, "/mcp/lab", 200},
		{p, resourceURL, "/mcp/", 404},
	}
	for _, tt := range tests {
		for range 2 { // the second time it is remembered
			token := tt.issuer.token(t, object{"aud": tt.aud, "scope": "finance"}, nil)
			if _, refusal := ask(t, a, tt.path, "Bearer "+token); status(refusal) != tt.status {
				t.Errorf("%s for %v at %s: %v, want %d", tt.issuer.url, tt.aud, tt.path, refusal, tt.status)
			}
		}
	}
	// One token for two resources is remembered for each, with the tenant of each.
	both := "Bearer " + p.token(t, object{"aud": []string{resourceURL, resourceURL + "/finance"}, "scope": "finance"}, nil)
	main, _ := ask(t, a, "/mcp", both)
	finance, _ := ask(t, a, "/mcp/finance", both)
	again, _ := ask(t, a, "/mcp", both)
	if main.Principal == finance.Principal || main.Principal != again.Principal {
		t.Errorf("%q, %q, %q", main.Principal.Key(), finance.Principal.Key(), again.Principal.Key())
	}
	one, _ := ask(t, a, "/mcp", "Bearer "+p.token(t, nil, nil))
	other, _ := ask(t, a, "/mcp", "Bearer "+q.token(t, object{"aud": "weir"}, nil))
	if one.Principal.Owner() == other.Principal.Owner() {
		t.Errorf("both are %s", one.Principal)
	}
}

// The challenge names all scopes at once, broad scopes stand for narrow ones, and the metadata names nothing more.
func TestScopes(t *testing.T) {
	p := newIDP(t, issuerURL)
	spec := specOf(p)
	spec.Scopes = []string{"mcp:call", "mcp:list"}
	spec.ScopeIncludes = map[string][]string{"all": {"mcp", "all"}, "mcp": {"mcp:call", "mcp:list", "finance"}}
	a := start(t, spec, p)
	ready(t, a)
	for scope, want := range map[string]int{
		"mcp:call mcp:list": 200, "mcp": 200, "all": 200, "mcp:call": 403, "": 403, "MCP": 403, "mcp:call,mcp:list": 403, "mcp:call  mcp:list": 200,
	} {
		_, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, object{"scope": scope}, nil))
		if status(refusal) != want {
			t.Errorf("scope %q: %v, want %d", scope, refusal, want)
		}
		if refusal != nil && !strings.Contains(refusal.Challenge, `error="insufficient_scope"`) || refusal != nil && !strings.Contains(refusal.Challenge, `scope="mcp:call mcp:list"`) {
			t.Errorf("scope %q: %s", scope, refusal.Challenge)
		}
	}
	finance := object{"aud": resourceURL + "/finance", "scope": "mcp:call mcp:list"}
	_, refusal := ask(t, a, "/mcp/finance", "Bearer "+p.token(t, finance, nil))
	want := `Bearer error="insufficient_scope", error_description="the token lacks a scope that this needs", ` +
		`resource_metadata="https://weir.example.com/.well-known/oauth-protected-resource/mcp/finance", scope="finance mcp:call mcp:list"`
	if status(refusal) != 403 || refusal.Challenge != want {
		t.Errorf("%+v\nwant %s", refusal, want)
	}
	finance["scope"] = "all"
	c, refusal := ask(t, a, "/mcp/finance", "Bearer "+p.token(t, finance, nil))
	if refusal != nil {
		t.Fatal(refusal)
	}
	full := principal(t, policy.Identity{
		Issuer: issuerURL, Subject: "ana", Client: "agent", Groups: []string{"eng"}, Tenant: "finance",
		Scopes: []string{"all", "mcp", "mcp:call", "mcp:list", "finance"},
	})
	if c.Principal != full {
		t.Errorf("%q\nwant %q", c.Principal.Key(), full.Key())
	}
}

// Clocks may differ by so much and no more, which the refusal says; clocks that are seen to be ahead are measured. A caller is known until the token is over.
func TestR13_ClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{0, 30 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			p := newIDP(t, issuerURL)
			spec := specOf(p)
			spec.ClockSkew = skew
			reader := sdkmetric.NewManualReader()
			a, err := authn.New(authn.Options{
				Spec: spec, Transport: p, Log: slog.New(slog.DiscardHandler), Resources: resources(),
				Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("weir"),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			synctest.Wait()
			now := time.Now()
			reasons := map[string]string{"exp": "the token has expired", "nbf": "the token is not valid yet", "iat": "the token was issued in the future"}
			for claim, sign := range map[string]int{"exp": 1, "nbf": -1, "iat": -1} {
				for _, beyond := range []int{0, 2} { // seconds
					at := now.Add(-time.Duration(sign) * (skew + time.Duration(beyond-1)*time.Second)).Unix()
					_, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, object{claim: at}, nil))
					want := map[int]int{0: 200, 2: 401}[beyond]
					if status(refusal) != want {
						t.Errorf("skew %v, %s %ds: %v, want %d", skew, claim, at-now.Unix(), refusal, want)
					}
					if refusal != nil && (refusal.Reason != reasons[claim] || !strings.Contains(refusal.Challenge, `error_description="`+reasons[claim]+`"`)) {
						t.Errorf("skew %v, %s: %+v", skew, claim, refusal)
					}
				}
			}
			ahead := int(skew / time.Second) // nbf and iat, good and bad: one second within the limit and one beyond it
			want := map[bool]float64{false: float64(2 * (ahead + 1))}
			if ahead > 1 {
				want[true] = float64(2 * (ahead - 1))
			}
			if diff := cmp.Diff(want, skews(t, reader)); diff != "" {
				t.Errorf("skew %v: measured seconds (-want +got)\n%s", skew, diff)
			}
			token := "Bearer " + p.token(t, object{"exp": now.Add(time.Minute).Unix()}, nil)
			c, _ := ask(t, a, "/mcp", token)
			if until := now.Add(time.Minute + skew); !c.Until.Equal(until) {
				t.Errorf("until %v, want %v", c.Until, until)
			}
			time.Sleep(time.Minute + skew - time.Second)
			if _, refusal := ask(t, a, "/mcp", token); refusal != nil {
				t.Error(refusal)
			}
			time.Sleep(time.Second)
			if _, refusal := ask(t, a, "/mcp", token); status(refusal) != 401 {
				t.Errorf("expired while it was remembered: %v", refusal)
			}
		})
	}
}

// skews sums up how far issuers were ahead, by whether their tokens were accepted.
func skews(t *testing.T, reader *sdkmetric.ManualReader) map[bool]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[bool]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			h, ok := m.Data.(metricdata.Histogram[float64])
			if m.Name == "weir.auth.refusals" {
				continue
			}
			if !ok || m.Name != "weir.auth.clock_skew" {
				t.Errorf("%s is measured", m.Name)
			}
			for _, point := range h.DataPoints {
				accepted, _ := point.Attributes.Value("weir.accepted")
				got[accepted.AsBool()] += point.Sum
			}
		}
	}
	return got
}

// API keys are known by their hash, until they expire, and only where their whole text is sent.
func TestAPIKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, late := strings.Repeat("k3y-", 10), strings.Repeat("late", 10)
		spec := authn.Default()
		spec.APIKeys = []authn.APIKey{
			{Hash: hash(key), Owner: "ci", Groups: []string{"robots"}, Roles: []string{"reader"}},
			{Hash: strings.TrimPrefix(hash(late), "sha256:"), Owner: "late", Expires: time.Now().Add(time.Hour).Format(time.RFC3339)},
			{Hash: hash("short"), Owner: "short"},
			{Hash: hash(""), Owner: "empty"},
		}
		a := start(t, spec, nil)
		c, refusal := ask(t, a, "/mcp", "Bearer "+key)
		if refusal != nil || c.Principal != principal(t, policy.Identity{Subject: "ci", Groups: []string{"robots"}, Roles: []string{"reader"}}) || !c.Until.IsZero() {
			t.Errorf("%+v %v", c, refusal)
		}
		if c, _ := ask(t, a, "/mcp/finance", "Bearer "+key); c.Principal != principal(t, policy.Identity{Subject: "ci", Groups: []string{"robots"}, Roles: []string{"reader"}, Tenant: "finance"}) {
			t.Errorf("at another endpoint: %q", c.Principal.Key())
		}
		for _, wrong := range []string{key[1:], key + "x", strings.ToUpper(key), "short", hash(key), strings.TrimPrefix(hash(key), "sha256:")} {
			if _, refusal := ask(t, a, "/mcp", "Bearer "+wrong); status(refusal) != 401 || refusal.Challenge == "" || strings.Contains(refusal.Challenge, "resource_metadata") {
				t.Errorf("%q: %+v", wrong, refusal)
			}
		}
		if _, refusal := ask(t, a, "/mcp", "Bearer "+late); refusal != nil {
			t.Error(refusal)
		}
		time.Sleep(time.Hour)
		if _, refusal := ask(t, a, "/mcp", "Bearer "+late); status(refusal) != 401 || !strings.Contains(refusal.Reason, "expired") {
			t.Errorf("expired: %v", refusal)
		}
		// Groups change with the next request, and so does the key itself.
		spec.APIKeys = []authn.APIKey{{Hash: hash(key), Owner: "ci"}}
		if err := a.Reload(spec, resources(), nil); err != nil {
			t.Fatal(err)
		}
		if c, _ := ask(t, a, "/mcp", "Bearer "+key); c.Principal != principal(t, policy.Identity{Subject: "ci"}) {
			t.Errorf("after a change of groups: %q", c.Principal.Key())
		}
		spec.APIKeys[0].Hash = hash(late)
		if err := a.Reload(spec, resources(), nil); err != nil {
			t.Fatal(err)
		}
		if _, refusal := ask(t, a, "/mcp", "Bearer "+key); status(refusal) != 401 {
			t.Errorf("a key that was taken away: %v", refusal)
		}
	})
}

// Nothing that a client can choose for itself makes it somebody (R9).
func TestHeadersNameNobody(t *testing.T) {
	p := newIDP(t, issuerURL)
	a := start(t, specOf(p), p)
	ready(t, a)
	token := p.token(t, nil, nil)
	r := httptest.NewRequest("POST", "/mcp?access_token="+token, strings.NewReader("access_token="+token))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, name := range []string{"X-Forwarded-User", "X-Remote-User", "X-Auth-Request-Email", "X-Api-Key", "X-Forwarded-Access-Token", "Cookie", "Proxy-Authorization", "X-Forwarded-Client-Cert"} {
		r.Header.Set(name, "Bearer "+token)
	}
	r.RemoteAddr = "127.0.0.1:1"
	if _, refusal := outcome(t, a, "/mcp", r); status(refusal) != 401 {
		t.Errorf("%v", refusal)
	}
	// Nor does a connection on which somebody was before.
	r.Header.Set("Authorization", "Bearer "+token)
	if _, refusal := outcome(t, a, "/mcp", r); refusal != nil {
		t.Fatal(refusal)
	}
	r.Header.Del("Authorization")
	if _, refusal := outcome(t, a, "/mcp", r); status(refusal) != 401 {
		t.Errorf("the second request: %v", refusal)
	}
}

// The metadata is found at the root and before the path of each resource (RFC 9728, 3.1).
func TestMetadata(t *testing.T) {
	p := newIDP(t, issuerURL)
	spec := specOf(p)
	spec.OIDC = append(spec.OIDC, authn.Issuer{Issuer: "https://partner.example.com"})
	spec.Scopes = []string{"mcp"}
	a := start(t, spec, several{p, newIDP(t, "https://partner.example.com")})
	get := func(method, path string) string {
		w := httptest.NewRecorder()
		a.Metadata().ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return fmt.Sprintf("%d %s %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	doc := func(resource, scopes string) string {
		return `200 application/json {"resource":"` + resource + `","authorization_servers":["https://login.example.com","https://partner.example.com"],` +
			`"scopes_supported":[` + scopes + `],"bearer_methods_supported":["header"],"resource_name":"weir"}` + "\n"
	}
	const root = authn.WellKnown
	for path, want := range map[string]string{
		root: doc(resourceURL, `"mcp"`), root + "/": doc(resourceURL, `"mcp"`), root + "/mcp": doc(resourceURL, `"mcp"`),
		root + "/mcp/finance": doc(resourceURL+"/finance", `"finance","mcp"`),
		root + "/other":       "404 text/plain; charset=utf-8 there is no such resource\n",
		root + "/mcp/":        "404 text/plain; charset=utf-8 there is no such resource\n",
		root + "x":            "404 text/plain; charset=utf-8 there is no such resource\n",
	} {
		if diff := cmp.Diff(want, get("GET", path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if got := get("POST", root); !strings.HasPrefix(got, "405") {
		t.Error(got)
	}
	// A canonical URL has no slash at its end and a small host.
	if err := a.Reload(spec, []authn.Resource{{Path: "/mcp", URL: "HTTPS://Weir.Example.COM/mcp/"}}, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(doc(resourceURL, `"mcp"`), get("GET", root+"/mcp")); diff != "" {
		t.Error(diff)
	}
	// Without issuers there is nothing to learn.
	keys := authn.Default()
	keys.APIKeys = []authn.APIKey{{Hash: hash("x"), Owner: "x"}}
	if err := a.Reload(keys, resources(), nil); err != nil {
		t.Fatal(err)
	}
	if got := get("GET", root); !strings.HasPrefix(got, "404") {
		t.Error(got)
	}
}
