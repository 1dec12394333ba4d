package mcphttp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/server"
)

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate that by signs, or that signs itself.
func issue(t *testing.T, name string, by *pair, change func(*x509.Certificate)) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: by == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/" + name}},
	}
	if change != nil {
		change(c)
	}
	if by == nil {
		by = &pair{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return pair{c, key}
}

func (p pair) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw})
}

func (p pair) keyPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (p pair) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Client certificates are asked for, and refused when another authority signed them or they are over; the server's own and the authorities are replaced
// while it runs, and a broken file changes nothing (S41).
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	spec := server.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), ClientCA: filepath.Join(dir, "ca.pem")}
	ca, other := issue(t, "CA", nil, nil), issue(t, "other CA", nil, nil)
	own := issue(t, "first", &ca, nil)
	write(t, spec.Cert, own.certPEM())
	write(t, spec.Key, own.keyPEM(t))
	write(t, spec.ClientCA, ca.certPEM())
	certs, err := ReadCertificates(spec)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		_, _ = io.WriteString(w, who+" "+r.Proto)
	})}
	go func() { _ = s.Serve(certs.Listen(ln)) }()
	t.Cleanup(func() { _ = s.Close() })

	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	roots.AddCert(other.cert)
	get := func(newest uint16, client ...tls.Certificate) (answer, name string, err error) {
		transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
			RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: newest,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(client) == 0 {
					return &tls.Certificate{}, nil
				}
				return &client[0], nil
			},
		}}
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+ln.Addr().String(), nil)
		if err != nil {
			return "", "", err
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return "", "", err
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		return string(b), resp.TLS.PeerCertificates[0].Subject.CommonName, err
	}
	agent, foreign := issue(t, "agent", &ca, nil), issue(t, "foreign", &other, nil)
	over := issue(t, "over", &ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })

	for name, tc := range map[string]struct {
		client []tls.Certificate
		want   string // "" for a handshake that fails
	}{
		"none": {nil, "nobody HTTP/1.1"}, "good": {[]tls.Certificate{agent.tls()}, "agent HTTP/1.1"},
		"another authority": {[]tls.Certificate{foreign.tls()}, ""}, "over": {[]tls.Certificate{over.tls()}, ""},
	} {
		if got, _, err := get(tls.VersionTLS13, tc.client...); got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, _, err := get(tls.VersionTLS11); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
	// Everything changes while the server runs.
	next := issue(t, "second", &other, nil)
	write(t, spec.Cert, next.certPEM())
	if err := certs.Reload(); err == nil {
		t.Error("a certificate with another's key was taken")
	}
	if _, name, err := get(tls.VersionTLS13); name != "first" {
		t.Errorf("after a broken change: %q, %v", name, err)
	}
	write(t, spec.Key, next.keyPEM(t))
	write(t, spec.ClientCA, other.certPEM())
	if err := certs.Reload(); err != nil {
		t.Fatal(err)
	}
	if got, name, err := get(tls.VersionTLS13, foreign.tls()); got != "foreign HTTP/1.1" || name != "second" {
		t.Errorf("after the change: %q from %q, %v", got, name, err)
	}
	if got, _, err := get(tls.VersionTLS13, agent.tls()); err == nil {
		t.Errorf("an authority that was taken away: %q", got)
	}
	write(t, spec.ClientCA, []byte("nothing"))
	if err := certs.Reload(); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("%v", err)
	}
}
