package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"weir/upstream/cred"
	"weir/upstream/upstreamtest"
)

// gate stands before an MCP server and lets requests through that have what it wants.
type gate struct {
	*httptest.Server
	mu   sync.Mutex
	want func(*http.Request) bool
	seen map[string]int // Authorization
}

func newGate(t *testing.T, fake string, start func(http.Handler) *httptest.Server, want func(*http.Request) bool) *gate {
	t.Helper()
	u, err := url.Parse(fake)
	if err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: u.Scheme, Host: u.Host})
	next.FlushInterval = -1
	transport := &http.Transport{}
	next.Transport = transport
	g := &gate{want: want, seen: map[string]int{}}
	g.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.seen[r.Header.Get("Authorization")]++
		ok := g.want(r)
		g.mu.Unlock()
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(g.Close)
	return g
}

// at is the URL of the fake's endpoint behind the gate.
func (g *gate) at(fake string) string {
	u, _ := url.Parse(fake) // it is the fake's
	return g.URL + u.Path
}

func has(header, value string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get(header) == value }
}

// issuer is a token endpoint that keeps what it was sent.
type issuer struct {
	*httptest.Server
	mu    sync.Mutex
	forms []url.Values
	give  func(url.Values) string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{give: func(url.Values) string { return "given" }}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		i.mu.Lock()
		defer i.mu.Unlock()
		i.forms = append(i.forms, r.PostForm)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": i.give(r.PostForm), "token_type": "Bearer", "expires_in": 3600})
	}))
	t.Cleanup(i.Close)
	return i
}

// pair makes a key and a certificate for 127.0.0.1 that signs itself, as PEM files.
func pair(t *testing.T) (cert, key string, pool *x509.CertPool, private *ecdsa.PrivateKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(cert, block, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(block)
	return cert, key, pool, private
}

// TestCredentialsOfServers: an MCP server gets each kind of credential with every request, of both eras.
func TestCredentialsOfServers(t *testing.T) {
	_, keyFile, _, private := pair(t)
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	i := newIssuer(t)
	given := has("Authorization", "Bearer given")
	assertion := func(r *http.Request) bool {
		c, err := claims(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), private)
		return err == nil && c.Issuer == "weir" && c.Subject == "weir" && c.Audience.Contains("backend")
	}
	tests := map[string]struct {
		spec cred.Spec
		want func(*http.Request) bool
	}{
		"bearer":             {cred.Spec{Value: "v"}, has("Authorization", "Bearer v")},
		"header":             {cred.Spec{Value: "v", Header: "X-Key"}, has("X-Key", "v")},
		"query":              {cred.Spec{Value: "v&", Query: "k"}, func(r *http.Request) bool { return r.URL.RawQuery == "k=v%26" }},
		"basic":              {cred.Spec{Username: "u", Password: "p"}, has("Authorization", "Basic dTpw")},
		"client credentials": {cred.Spec{ClientID: "c", ClientSecret: "s", TokenURL: i.URL}, given},
		"private_key_jwt":    {cred.Spec{ClientID: "c", Key: cred.Secret(key), TokenURL: i.URL}, given},
		"jwt bearer":         {cred.Spec{Grant: "jwt_bearer", ClientID: "c", Subject: "ana", Key: cred.Secret(key), TokenURL: i.URL}, given},
		"assertion":          {cred.Spec{Key: cred.Secret(key), Audience: "backend"}, assertion},
	}
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		for name, tt := range tests {
			t.Run(string(era)+" "+name, func(t *testing.T) {
				fake := upstreamtest.New(t, upstreamtest.Config{Era: era})
				g := newGate(t, fake.URL, httptest.NewServer, tt.want)
				s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: g.at(fake.URL), Credentials: map[string]cred.Spec{cred.ForServer: tt.spec}}})})
				settle(t, s)
				if st := statusOf(s, "up"); st.State != Ready {
					t.Fatalf("%s: %s", st.State, st.Reason)
				}
				mustCall(t, s, "up__echo")
			})
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	grants := map[string]bool{}
	for _, f := range i.forms {
		if !strings.HasSuffix(f.Get("resource"), "/mcp") {
			t.Errorf("the token is for %q", f.Get("resource"))
		}
		grants[f.Get("grant_type")+" "+f.Get("client_assertion_type")] = true
		for _, text := range []string{f.Get("assertion"), f.Get("client_assertion")} {
			if text == "" {
				continue
			}
			c, err := claims(text, private)
			if err != nil || c.Issuer != "c" || !c.Audience.Contains(i.URL) || (c.Subject == "ana") != (f.Get("assertion") != "") {
				t.Errorf("assertion %+v: %v", c, err)
			}
		}
	}
	if got := slices.Sorted(maps.Keys(grants)); len(got) != 3 {
		t.Errorf("got grants %q", got)
	}
}

func claims(text string, key *ecdsa.PrivateKey) (c jwt.Claims, err error) {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err == nil {
		err = token.Claims(key.Public(), &c)
	}
	if err == nil {
		err = c.Validate(jwt.Expected{Time: time.Now()})
	}
	return c, err
}

// TestMutualTLSOfServers: the server trusts our certificate, and we trust its authority, and nobody else.
func TestMutualTLSOfServers(t *testing.T) {
	cert, key, pool, _ := pair(t)
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	fake := upstreamtest.New(t, upstreamtest.Config{})
	g := newGate(t, fake.URL, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.StartTLS()
		return s
	}, func(*http.Request) bool { return true })
	s := run(t, Options{Namespace: space(map[string]Spec{
		"good":    {URL: g.at(fake.URL), TLS: TLS{CA: cert, Cert: cert, Key: key}},
		"nobody":  {URL: g.at(fake.URL), TLS: TLS{CA: cert}},
		"unknown": {URL: g.at(fake.URL)},
	})})
	settle(t, s)
	mustCall(t, s, "good__echo")
	for _, name := range []string{"nobody", "unknown"} {
		if st := statusOf(s, name); st.State == Ready {
			t.Errorf("%s is ready", name)
		}
	}
}

// TestRefusedTokenIsReplaced: a token that ends before its time costs one repeat, and no call runs twice.
func TestRefusedTokenIsReplaced(t *testing.T) {
	i := newIssuer(t)
	n := 0
	i.give = func(url.Values) string { n++; return fmt.Sprint("t", n) }
	fake := upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Modern})
	good := "Bearer t1"
	g := newGate(t, fake.URL, httptest.NewServer, func(r *http.Request) bool { return r.Header.Get("Authorization") == good })
	s := run(t, Options{Namespace: space(map[string]Spec{
		"up": {URL: g.at(fake.URL), Credentials: map[string]cred.Spec{cred.ForServer: {ClientID: "c", ClientSecret: "s", TokenURL: i.URL}}},
	})})
	settle(t, s)
	deadline := time.Now().Add(5 * time.Second) // a token that was just had is not replaced
	g.mu.Lock()
	good = "Bearer t2"
	g.mu.Unlock()
	for {
		a, err := callTool(t, s, "up__echo")
		if err == nil {
			a.Release()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if calls := fake.Ledger().Count("tools/call"); calls != 1 {
		t.Errorf("executed %d times", calls)
	}
}

// TestT12_ServersHaveGuardedWays: neither a redirect nor a name that is no longer what it was leads away from the declared origin.
func TestT12_ServersHaveGuardedWays(t *testing.T) {
	hit := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	t.Cleanup(other.Close)
	moved := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)
	metadata := "http://metadata.test/mcp"
	s := run(t, Options{Namespace: space(map[string]Spec{
		"moved": {URL: moved.URL, Credentials: map[string]cred.Spec{cred.ForServer: {Value: "secret"}}},
		"there": {URL: other.URL, Disabled: true},
		"odd":   {URL: metadata},
	})})
	settle(t, s)
	if hit || statusOf(s, "moved").State == Ready || statusOf(s, "odd").State == Ready {
		t.Error("a redirect was followed")
	}
	var cfg outlet
	if err := cfg.open("up", outletSpec{URL: other.URL}, nil); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"169.254.169.254:80", "127.0.0.1:1", "[fd00:ec2::254]:80", "10.0.0.1:80"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		c, err := cfg.way.Dial(ctx, "tcp", address)
		cancel()
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "not allowed") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
