package authn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"weir/policy"
	"weir/server/authn"
)

// authority signs client certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return authority{c, key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// leaf signs a client certificate; change may change it.
func (a authority) leaf(t testing.TB, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	u, err := url.Parse("spiffe://example.org/agent")
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour).Truncate(time.Second),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, URIs: []*url.URL{u}, DNSNames: []string{"agent.example.org"},
		EmailAddresses: []string{"agent@example.org"},
	}
	if change != nil {
		change(c)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}

// A client certificate names its user by one name of one kind, and counts only as long as it and its authority do (S41).
func TestCertificates(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	spec := authn.Default()
	spec.Certificates = authn.Certificates{Name: "uri", Groups: []string{"agents"}}
	a, err := authn.New(authn.Options{Spec: spec, Resources: resources(), ClientCA: ca.pool(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	good := ca.leaf(t, nil)
	ask := func(c *x509.Certificate, authorization string) (authn.Caller, *authn.Refusal) {
		t.Helper()
		r := httptest.NewRequest("POST", "/mcp", nil)
		r.TLS = &tls.ConnectionState{}
		if c != nil {
			r.TLS.PeerCertificates = []*x509.Certificate{c}
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		return outcome(t, a, "/mcp", r)
	}
	agent := policy.Identity{Subject: "spiffe://example.org/agent", Groups: []string{"agents"}}
	for range 2 {
		c, refusal := ask(good, "")
		if refusal != nil || c.Principal != principal(t, agent) || !c.Until.Equal(good.NotAfter) {
			t.Fatalf("%+v %v", c, refusal)
		}
	}
	another, err := url.Parse("spiffe://example.org/another")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*x509.Certificate{
		"none":           nil,
		"another CA":     other.leaf(t, nil),
		"expired":        ca.leaf(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not yet":        ca.leaf(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
		"for servers":    ca.leaf(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"without a name": ca.leaf(t, func(c *x509.Certificate) { c.URIs = nil }),
		"two names":      ca.leaf(t, func(c *x509.Certificate) { c.URIs = append(c.URIs, another) }),
	} {
		if _, refusal := ask(c, ""); status(refusal) != 401 || refusal.Challenge == "" {
			t.Errorf("%s: %+v", name, refusal)
		}
	}
	// A wrong token is refused, whatever the certificate says.
	if _, refusal := ask(good, "Bearer wrong"); status(refusal) != 401 {
		t.Errorf("a wrong token beside a good certificate: %v", refusal)
	}
	for kind, name := range map[string]string{"dns": "agent.example.org", "email": "agent@example.org"} {
		spec.Certificates.Name = kind
		if err := a.Reload(spec, resources(), ca.pool()); err != nil {
			t.Fatal(err)
		}
		if c, refusal := ask(good, ""); refusal != nil || c.Principal.String() != "user:"+name {
			t.Errorf("%s: %s %v", kind, c.Principal, refusal)
		}
	}
	// The authority is taken away while the connection stays.
	if err := a.Reload(spec, resources(), other.pool()); err != nil {
		t.Fatal(err)
	}
	if _, refusal := ask(good, ""); status(refusal) != 401 {
		t.Errorf("an authority that is not trusted any more: %v", refusal)
	}
}
