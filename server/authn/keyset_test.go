package authn_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Ten thousand bad tokens a minute, of every kind that could make one look for keys, cause six fetches a minute at most (R14, T32).
func TestBadTokensCauseFewFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t, issuerURL)
		a := start(t, specOf(p), p)
		synctest.Wait()
		forged := newSigner(t, "k1")
		good := p.token(t, nil, nil)
		kinds := []func(n int) string{
			func(n int) string { // a key id of its own
				forged.id = fmt.Sprintf("kid-%d", n)
				return forged.sign(t, p.claims(nil), nil)
			},
			func(int) string { // always the same unknown key id
				forged.id = "unknown"
				return forged.sign(t, p.claims(nil), nil)
			},
			func(int) string { // a known key id and a wrong signature
				forged.id = "k1"
				return forged.sign(t, p.claims(nil), nil)
			},
			func(int) string { // none
				forged.id = ""
				return forged.sign(t, p.claims(nil), nil)
			},
			func(n int) string { return fmt.Sprintf("%s%d", good, n) },
			func(n int) string { return fmt.Sprintf("opaque-%d", n) },
		}
		const perMinute = 10_000
		for minute := range 3 {
			before := p.fetched("/jwks")
			for n := range perMinute {
				token := kinds[n%len(kinds)](minute*perMinute + n)
				if _, refusal := ask(t, a, "/mcp", "Bearer "+token); status(refusal) != http.StatusUnauthorized {
					t.Fatalf("a bad token got %d", status(refusal))
				}
				time.Sleep(time.Minute / perMinute)
			}
			if got := p.fetched("/jwks") - before; got > 6 || got == 0 {
				t.Errorf("minute %d: %d fetches, want 1 to 6", minute+1, got)
			}
		}
		if got := p.fetched("/.well-known/openid-configuration"); got != 1 {
			t.Errorf("%d discoveries", got)
		}
	})
}

// A token with a new key is good as soon as the key is published, and one whose key was withdrawn is not any more, remembered or not (S13).
func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t, issuerURL)
		a := start(t, specOf(p), p)
		synctest.Wait()
		old := p.token(t, object{"exp": time.Now().Add(24 * time.Hour).Unix()}, nil)
		want := func(token string, status int) {
			t.Helper()
			_, refusal := ask(t, a, "/mcp", "Bearer "+token)
			if got := http.StatusOK; refusal != nil {
				got = refusal.Status
				if got != status {
					t.Fatalf("%d %s, want %d", got, refusal.Reason, status)
				}
			} else if got != status {
				t.Fatalf("let in, want %d", status)
			}
		}
		want(old, 200)
		time.Sleep(time.Minute)
		p.do(func() { p.keys = append([]signer{newSigner(t, "k2")}, p.keys...) })
		next := p.token(t, object{"exp": time.Now().Add(24 * time.Hour).Unix()}, nil)
		want(next, 200)
		want(old, 200)
		p.do(func() { p.keys = p.keys[:1] })
		time.Sleep(12 * time.Minute) // it is noticed without any token's help
		want(old, 401)
		want(next, 200)
		p.do(func() { p.keys = nil })
		time.Sleep(12 * time.Minute)
		want(next, 401)
	})
}

// While the issuer is away, known keys work for an hour and new ones are refused; then nothing is verified until it is back. What says so changes with it.
func TestR14_IssuerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t, issuerURL)
		a := start(t, specOf(p), p)
		synctest.Wait()
		fresh := func() string { return p.token(t, object{"jti": time.Now().String()}, nil) }
		p.do(func() { p.away = true })
		stranger := newSigner(t, "k2")
		for range 50 {
			time.Sleep(time.Minute)
			if _, refusal := ask(t, a, "/mcp", "Bearer "+fresh()); refusal != nil {
				t.Fatalf("a known key: %v", refusal)
			}
			if _, refusal := ask(t, a, "/mcp", "Bearer "+stranger.sign(t, p.claims(nil), nil)); status(refusal) != 401 {
				t.Fatalf("an unknown key: %v", refusal)
			}
		}
		if err := a.Ready(); err == nil || !strings.Contains(err.Error(), issuerURL) {
			t.Errorf("Ready: %v", err)
		}
		if !a.Verifies() {
			t.Error("it says that nothing can be verified")
		}
		held := fresh()
		if _, refusal := ask(t, a, "/mcp", "Bearer "+held); refusal != nil {
			t.Fatal(refusal)
		}
		time.Sleep(25 * time.Minute)
		for _, token := range []string{fresh(), held} {
			_, refusal := ask(t, a, "/mcp", "Bearer "+token)
			if status(refusal) != 503 || refusal.RetryAfter == 0 || strings.Contains(refusal.Reason, "10.1.2.3") {
				t.Errorf("old keys: %+v", refusal)
			}
		}
		if a.Verifies() {
			t.Error("it says that something can be verified")
		}
		p.do(func() { p.away = false })
		time.Sleep(25 * time.Second)
		if _, refusal := ask(t, a, "/mcp", "Bearer "+fresh()); refusal != nil {
			t.Errorf("the issuer is back: %v", refusal)
		}
		if err := a.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
	})
}

// weir starts without the issuer, says so, and is ready five seconds after it.
func TestR15_IssuerStartsLater(t *testing.T) {
	for _, discovered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := newIDP(t, issuerURL)
			p.away = true
			spec := specOf(p)
			if !discovered {
				spec.OIDC[0].JWKSURL = issuerURL + "/jwks"
			}
			a := start(t, spec, p)
			time.Sleep(3*time.Minute + 100*time.Millisecond)
			if a.Ready() == nil || a.Verifies() {
				t.Error("ready without keys")
			}
			if _, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, nil, nil)); status(refusal) != 503 {
				t.Errorf("a token that cannot be verified: %v", refusal)
			}
			p.do(func() { p.away = false })
			time.Sleep(5 * time.Second)
			if err := a.Ready(); err != nil || !a.Verifies() {
				t.Error(err)
			}
			if _, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, nil, nil)); refusal != nil {
				t.Errorf("a good token: %v", refusal)
			}
		})
	}
}

// A broken answer changes nothing; keys that are of no use are left out.
func TestBrokenKeySets(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON": `<html>`, "empty": ``, "no list": `{}`, "a list": `[]`, "huge": `{"keys":[],"pad":"` + strings.Repeat("x", 2<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newIDP(t, issuerURL)
				a := start(t, specOf(p), p)
				synctest.Wait()
				p.do(func() { p.broken = func() string { return body } })
				time.Sleep(15 * time.Minute)
				if _, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, nil, nil)); refusal != nil {
					t.Errorf("a token with a key from before: %v", refusal)
				}
				if a.Ready() == nil {
					t.Error("nothing is said about it")
				}
			})
		})
	}
	p := newIDP(t, issuerURL)
	mine, err := json.Marshal(p.set().Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	p.broken = func() string {
		return `{"keys":[7,{"kty":"quantum"},{"kty":"oct","k":"c2VjcmV0","kid":"k1","alg":"HS256"},` + strings.Replace(string(mine), `"sig"`, `"enc"`, 1) + `,` + string(mine) + `]}`
	}
	a := start(t, specOf(p), p)
	ready(t, a)
	if _, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, nil, nil)); refusal != nil {
		t.Error(refusal)
	}
}

// In a closed network the keys come from a file, and nothing is asked for (S14).
func TestKeysOfAFile(t *testing.T) {
	p := newIDP(t, issuerURL)
	p.away = true
	path := filepath.Join(t.TempDir(), "jwks.json")
	write := func() {
		t.Helper()
		b, err := json.Marshal(p.set())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	spec := specOf(p)
	spec.OIDC[0].JWKSFile = path
	a := start(t, spec, p)
	old := "Bearer " + p.token(t, nil, nil)
	if _, refusal := ask(t, a, "/mcp", old); refusal != nil {
		t.Fatal(refusal)
	}
	p.do(func() { p.keys = []signer{newSigner(t, "k2")} })
	write()
	if err := a.Reload(spec, resources(), nil); err != nil {
		t.Fatal(err)
	}
	if _, refusal := ask(t, a, "/mcp", old); status(refusal) != 401 {
		t.Errorf("a key that is not in the file any more: %v", refusal)
	}
	if _, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, nil, nil)); refusal != nil {
		t.Error(refusal)
	}
	for name, content := range map[string]string{"empty": `{"keys":[]}`, "not JSON": "x"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := a.Reload(spec, resources(), nil); err == nil || !strings.Contains(err.Error(), "jwks.json") {
			t.Errorf("%s: %v", name, err)
		}
		if _, refusal := ask(t, a, "/mcp", "Bearer "+p.token(t, nil, nil)); refusal != nil {
			t.Errorf("%s: the keys in force are gone: %v", name, refusal)
		}
	}
	if n := p.fetched("/jwks") + p.fetched("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("%d requests to the issuer", n)
	}
}
