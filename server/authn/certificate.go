package authn

import (
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"time"

	"weir/policy"
)

// certified says who calls by the client certificate of the connection. It is checked with the authorities of now: the connection may be older.
func (s *state) certified(res *resource, r *http.Request) (Caller, *cause) {
	if s.spec.Certificates.Name == "" || s.authority == nil || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return Caller{}, &cause{status: http.StatusUnauthorized, reason: "sign in to call this", bare: true}
	}
	leaf := r.TLS.PeerCertificates[0]
	h := sha256.New()
	_, _ = h.Write([]byte("certificate\x00" + res.Path + "\x00")) // a hash takes everything
	_, _ = h.Write(leaf.Raw)
	sum, now := [sha256.Size]byte(h.Sum(nil)), time.Now()
	if k, ok := s.verified.Get(sum); ok && k.good(now) {
		return k.caller, nil
	}
	k, err := s.verifyCertificate(res, r.TLS.PeerCertificates)
	if err != nil {
		return Caller{}, causeOf(err)
	}
	s.verified.Add(sum, k)
	return k.caller, nil
}

// verifyCertificate checks the chain that starts with a client's certificate and takes the name from it.
func (s *state) verifyCertificate(res *resource, chain []*x509.Certificate) (known, error) {
	refused := func(reason string, detail error) (known, error) {
		return known{}, &cause{status: http.StatusUnauthorized, reason: reason, detail: detail}
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: s.authority, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return refused("the client certificate is not valid here", err)
	}
	var names []string
	switch s.spec.Certificates.Name {
	case "uri":
		for _, u := range chain[0].URIs {
			names = append(names, u.String())
		}
	case "dns":
		names = chain[0].DNSNames
	case "email":
		names = chain[0].EmailAddresses
	default:
	}
	if len(names) != 1 {
		return refused("the client certificate does not have exactly one name of the kind that is used here", nil)
	}
	p, err := policy.Verified(policy.Identity{Subject: names[0], Groups: s.spec.Certificates.Groups})
	if err != nil {
		return refused("the client certificate has a name that cannot be used", err)
	}
	return known{caller: Caller{Principal: p, Until: chain[0].NotAfter}}.at(res)
}
