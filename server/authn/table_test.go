package authn_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// unsigned makes a JWT of a header and claims with any bytes as its signature.
func unsigned(t *testing.T, header string, claims object, signature []byte) string {
	t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString(b) + "." + enc.EncodeToString(signature)
}

// hmacToken is signed with the published key as if it were a shared secret (algorithm confusion).
func hmacToken(t *testing.T, p *idp) string {
	t.Helper()
	public, err := json.Marshal(p.set())
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: "k1"}}, new(jose.SignerOptions).WithType("at+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(p.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bad are Authorization headers that let nobody in, by what is wrong with them.
func bad(t *testing.T, p *idp, stranger signer) map[string][]string {
	t.Helper()
	token := func(claims, header object) []string { return []string{"Bearer " + p.token(t, claims, header)} }
	good := p.token(t, nil, nil)
	groups := make([]string, 5000)
	for n := range groups {
		groups[n] = fmt.Sprintf("g%d", n)
	}
	forged := stranger
	forged.id = "k1"
	public := jose.JSONWebKey{Key: stranger.key.Public(), KeyID: "evil", Algorithm: "ES256", Use: "sig"}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	cut := strings.LastIndexByte(good, '.')
	return map[string][]string{
		"none":                            nil,
		"basic":                           {"Basic YW5hOnNlY3JldA=="},
		"empty bearer":                    {"Bearer "},
		"bearer alone":                    {"Bearer"},
		"two headers":                     {"Bearer " + good, "Bearer " + good},
		"two tokens":                      {"Bearer " + good + ", Bearer " + good},
		"control character":               {"Bearer a\tb"},
		"malformed":                       {"Bearer abc"},
		"three parts of nothing":          {"Bearer a.b.c"},
		"signature cut off":               {"Bearer " + good[:cut+1]},
		"signature of another token":      {"Bearer " + good[:cut] + p.token(t, object{"sub": "bob"}, nil)[cut:]},
		"encrypted":                       {"Bearer a.b.c.d.e"},
		"expired":                         token(object{"exp": now.Add(-31 * time.Second).Unix()}, nil),
		"no exp":                          token(object{"exp": nil}, nil),
		"exp is text":                     token(object{"exp": "tomorrow"}, nil),
		"not yet":                         token(object{"nbf": now.Add(time.Minute).Unix()}, nil),
		"issued in the future":            token(object{"iat": now.Add(time.Minute).Unix()}, nil),
		"wrong issuer":                    token(object{"iss": "https://other.example.com"}, nil),
		"issuer with slash":               token(object{"iss": issuerURL + "/"}, nil),
		"no issuer":                       token(object{"iss": nil}, nil),
		"issuer is a list":                token(object{"iss": []string{issuerURL}}, nil),
		"wrong audience":                  token(object{"aud": "https://other.example.com/mcp"}, nil),
		"no audience":                     token(object{"aud": nil}, nil),
		"audience is a prefix":            token(object{"aud": "https://weir.example.com"}, nil),
		"audience is longer":              token(object{"aud": []string{resourceURL + "x", resourceURL + "//", "x" + resourceURL}}, nil),
		"token of a sibling":              token(object{"aud": resourceURL + "/finance"}, nil),
		"token of a sibling by name":      token(object{"aud": "lab"}, nil),
		"ID token":                        token(object{"nonce": "n", "at_hash": "h", "scope": nil, "client_id": nil}, object{"typ": "JWT"}),
		"ID token without a mark":         token(object{"scope": nil, "client_id": nil}, object{"typ": "JWT"}),
		"ID token with scope":             token(object{"at_hash": "h"}, object{"typ": "JWT"}),
		"logout token":                    token(nil, object{"typ": "logout+jwt"}),
		"DPoP proof":                      token(nil, object{"typ": "dpop+jwt"}),
		"bound token":                     token(object{"cnf": object{"jkt": "x"}}, nil),
		"alg none":                        {"Bearer " + unsigned(t, `{"alg":"none","typ":"at+jwt"}`, p.claims(nil), nil)},
		"alg None":                        {"Bearer " + unsigned(t, `{"alg":"None","typ":"at+jwt"}`, p.claims(nil), nil)},
		"no alg":                          {"Bearer " + unsigned(t, `{"typ":"at+jwt"}`, p.claims(nil), []byte("x"))},
		"HS256 with the public key":       {"Bearer " + hmacToken(t, p)},
		"RS256 with an ES256 key's id":    {"Bearer " + signer{"k1", jose.RS256, weak}.sign(t, p.claims(nil), nil)},
		"kid is a path":                   token(nil, object{"kid": "../../../dev/null"}),
		"kid is a query":                  token(nil, object{"kid": "k1' OR '1'='1"}),
		"kid is long":                     token(nil, object{"kid": strings.Repeat("k", 5000)}),
		"kid of a stranger":               {"Bearer " + stranger.sign(t, p.claims(nil), nil)},
		"known kid, stranger's key":       {"Bearer " + forged.sign(t, p.claims(nil), nil)},
		"swapped JWKS: jwk in the header": {"Bearer " + stranger.sign(t, p.claims(nil), object{"jwk": public})},
		"swapped JWKS: jku in the header": {"Bearer " + stranger.sign(t, p.claims(nil), object{"jku": "https://evil.example.com/jwks"})},
		"swapped JWKS: x5u in the header": {"Bearer " + stranger.sign(t, p.claims(nil), object{"x5u": "https://evil.example.com/x"})},
		"crit":                            {"Bearer " + unsigned(t, `{"alg":"ES256","kid":"k1","typ":"at+jwt","crit":["exp"],"exp":1}`, p.claims(nil), []byte("x"))},
		"key stands twice":                {"Bearer " + unsigned(t, `{"alg":"ES256","alg":"none","kid":"k1"}`, p.claims(nil), []byte("x"))},
		"key differs by case":             token(object{"AUD": "https://other.example.com"}, nil),
		"huge token":                      {"Bearer " + strings.Repeat("a", 70_000)},
		"large token":                     token(object{"pad": strings.Repeat("x", 40_000)}, object{"typ": "JWT", "kid": "other"}),
		"5,000 groups":                    token(object{"groups": groups}, nil),
		"groups overage":                  token(object{"groups": nil, "_claim_names": object{"groups": "s"}, "_claim_sources": object{"s": object{"endpoint": "https://evil.example.com"}}}, nil),
		"groups are numbers":              token(object{"groups": []int{1}}, nil),
		"subject is a number":             token(object{"sub": 7}, nil),
		"subject has a control character": token(object{"sub": "a\nb"}, nil),
		"names nobody":                    token(object{"sub": nil, "client_id": nil}, nil),
		"an API key that nobody has":      {"Bearer " + strings.Repeat("k", 43)},
	}
}

// TestRefusals is the token table: every answer is golden, headers included, and none is a success. It goes through a real server, whose limits
// are part of the answer.
func TestRefusals(t *testing.T) {
	p := newIDP(t, issuerURL)
	spec := specOf(p)
	spec.Scopes = []string{"mcp"}
	a := start(t, spec, p)
	ready(t, a)
	served := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.Authenticate("/mcp", r); err != nil {
			refusal, ok := err.(http.Handler)
			if !ok {
				t.Errorf("%T is no refusal", err)
				return
			}
			refusal.ServeHTTP(w, r)
			return
		}
		served++
		w.WriteHeader(http.StatusOK)
	}))
	s.Config.MaxHeaderBytes = 64 << 10
	s.Start()
	t.Cleanup(s.Close)

	table := bad(t, p, newSigner(t, "evil"))
	var got bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(table)) {
		fmt.Fprintf(&got, "# %s\n%s\n", name, answer(t, s.Listener.Addr().String(), table[name]))
	}
	lacking := p.token(t, object{"scope": "other"}, nil)
	fmt.Fprintf(&got, "# no scope\n%s\n", answer(t, s.Listener.Addr().String(), []string{"Bearer " + lacking}))
	if served != 0 {
		t.Errorf("%d bad tokens were let in", served)
	}
	golden(t, "refusals.txt", got.Bytes())

	// The table means nothing when good tokens are refused too.
	for _, good := range []string{p.token(t, nil, nil), p.token(t, nil, object{"typ": "JWT"}), p.token(t, object{"aud": []string{"x", resourceURL + "/"}}, nil)} {
		if text := answer(t, s.Listener.Addr().String(), []string{"bearer " + good}); !strings.HasPrefix(text, "HTTP/1.1 200") {
			t.Errorf("a good token: %s", text)
		}
	}
}

// answer sends a request as it is and returns the answer without what changes with every run.
func answer(t *testing.T, addr string, authorization []string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	go func() { // a server that refuses a long header does not read it to its end
		_, _ = fmt.Fprint(c, "POST /mcp HTTP/1.1\r\nHost: weir.example.com\r\nContent-Length: 0\r\n")
		for _, v := range authorization {
			_, _ = fmt.Fprintf(c, "Authorization: %s\r\n", v)
		}
		_, _ = fmt.Fprint(c, "\r\n")
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Header.Del("Date")
	b, err := httputil.DumpResponse(resp, true)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), rewrite with -update:\n%s", name, diff)
	}
}

// hash is what an API key is configured as.
func hash(key string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key)))
}
