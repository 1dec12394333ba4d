package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"weir/cmd/weir/internal/app"
	"weir/upstream"
	"weir/upstream/upstreamtest"
)

// serve serves a until the test ends, and returns its URL without a path.
func serve(t *testing.T, a *app.App) string {
	t.Helper()
	ln, err := a.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// readiness is what /ready says.
type readiness struct {
	Status  int
	State   string
	Reasons []struct{ State, Reason string }
	Text    string
}

// get fetches a URL with a bearer token, "" for none, on a connection of its own.
func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return reply(t, r)
}

// reply makes a request, and returns status and body.
func reply(t testing.TB, r *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func ready(t *testing.T, url, token string) readiness {
	t.Helper()
	status, text := get(t, url+"/ready", token)
	r := readiness{Status: status, Text: text}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r
}

// /ready says 200 or 503 to everybody, and why to those who may see what belongs to others. /healthz says that the process answers.
func TestReady(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo")}})
	rests := upstreamtest.Stdio(t, upstreamtest.Config{})
	const operator, caller = "the-operator-has-a-key-of-32-letters", "a-caller-has-another-key-of-32-letters"
	hash := func(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }
	p := newPlace(t, object{
		"listen": "127.0.0.1:0",
		"mcpServers": object{
			"main": object{"url": up.URL, "required": true}, "aside": object{"command": "/nowhere/SECRET-less"},
			"rests": object{"command": rests.Command, "args": rests.Args, "idleStop": "50ms", "required": true},
		},
		"auth":   object{"apiKeys": []object{{"owner": "ops", "hash": hash(operator)}, {"owner": "ann", "hash": hash(caller)}}},
		"policy": object{"grants": object{"user:ops": []string{"weir/others"}, "user:ann": []string{"*"}, "user:local": []string{"main/*"}}, "deny": []object{{"match": "weir/*", "for": []string{"user:ann"}}}},
		"audit":  object{"dir": "audit"},
	})
	a := p.start(t)
	settled(t, a)
	url := serve(t, a)
	until(t, "the upstream that works is there, and the lazy one rests", func() bool {
		return slices.ContainsFunc(a.Status(), func(s upstream.Status) bool { return s.State == upstream.Idle })
	})
	check := func(when string, status int, state string, reasons ...string) {
		t.Helper()
		r := ready(t, url, operator)
		if r.Status != status || r.State != state || len(r.Reasons) != len(reasons) {
			t.Errorf("%s: %d %s", when, r.Status, r.Text)
			return
		}
		for i, want := range reasons {
			if !strings.Contains(r.Reasons[i].State+": "+r.Reasons[i].Reason, want) {
				t.Errorf("%s: %q, want %q", when, r.Reasons[i], want)
			}
		}
		for _, token := range []string{"", caller, "wrong"} {
			if s := ready(t, url, token); s.Status != status || s.Text != fmt.Sprintf("{\"state\":%q}\n", state) {
				t.Errorf("%s: %q is told %d %s", when, token, s.Status, s.Text)
			}
		}
	}
	const aside = "degraded: aside: "
	check("one that nobody requires is down", 200, "degraded", aside)
	up.Refuse()
	until(t, "the loss is seen", func() bool { return ready(t, url, "").Status == 503 })
	check("one that is required is down", 503, "not ready", "not ready: main: ", aside)
	up.Accept()
	until(t, "it is back", func() bool { return ready(t, url, "").Status == 200 })
	check("it is back", 200, "degraded", aside)

	lanes, err := filepath.Glob(filepath.Join(filepath.Dir(p.path), "audit", "lane-*"))
	if err != nil || len(lanes) != 1 {
		t.Fatal(lanes, err)
	}
	dir := lanes[0]
	if err := os.Symlink("/dev/full", filepath.Join(dir, "audit-00000001.jsonl")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Call(t.Context(), "main__echo", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	check("the audit log cannot be written", 503, "not ready", "not ready: audit: the log cannot be written (invalid argument), and no call goes unrecorded", aside)
	if status, text := get(t, url+"/healthz", ""); status != 200 || text != "ok\n" {
		t.Errorf("/healthz: %d %s", status, text)
	}
	if err := os.Remove(filepath.Join(dir, "audit-00000001.jsonl")); err != nil {
		t.Fatal(err)
	}
	until(t, "the disk has room again", func() bool {
		_, err := a.Call(t.Context(), "main__echo", []byte(`{}`))
		return err == nil && ready(t, url, "").Status == 200
	})
}

// issuer is an OpenID provider of which only the keys are there. It can be started at an address that was refused before.
func issuer(t *testing.T, ln net.Listener) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + ln.Addr().String()
	mux := http.NewServeMux()
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v) // the client may be gone
		}
	}
	mux.Handle("/.well-known/openid-configuration", answer(object{"issuer": url, "jwks_uri": url + "/jwks"}))
	mux.Handle("/jwks", answer(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}}))
	s := &http.Server{Handler: mux, ReadTimeout: within}
	go func() { _ = s.Serve(ln) }() // until Close
	t.Cleanup(func() { _ = s.Close() })
}

// unused is an address of this machine that nobody listened on a moment ago.
func unused(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

// The gateway starts without its issuer, says that it is not ready, and is ready soon after the issuer is there. One issuer of two makes it less good, not unready.
func TestR15_ReadyAfterTheIssuer(t *testing.T) {
	t.Parallel()
	address, gone := unused(t), unused(t)
	p := newPlace(t, object{
		"listen": "127.0.0.1:0", "mcpServers": object{},
		"auth":   object{"oidc": []object{{"issuer": "http://" + address}, {"issuer": "http://" + gone}}},
		"policy": object{"grants": object{"*": []string{"up/*"}}},
	})
	url := serve(t, p.start(t))
	if r := ready(t, url, ""); r.Status != 503 || r.State != "not ready" {
		t.Errorf("without an issuer: %+v", r)
	}
	until(t, "it tried", func() bool { return strings.Contains(p.log.String(), "issuer not reached") })
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	issuer(t, ln)
	until(t, "the gateway is ready", func() bool { return ready(t, url, "").Status == 200 })
	t.Logf("ready %v after the issuer", time.Since(began))
	if r := ready(t, url, ""); r.State != "degraded" || strings.Contains(r.Text, gone) {
		t.Errorf("with one of two: %+v", r)
	}
}
