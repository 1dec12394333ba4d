package authn

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Fault is one thing that is wrong with a Spec.
type Fault struct {
	// Path is the key below auth, such as oidc[0].issuer.
	Path string
	Msg  string
}

func (f Fault) String() string { return "auth." + f.Path + ": " + f.Msg }

// maxSkew and maxIntrospected bound what may be configured.
const (
	maxSkew         = time.Minute
	maxIntrospected = 30 * time.Second
)

// Faults lists what is wrong with s, whose references are resolved. No message holds a secret.
func (s *Spec) Faults() []Fault {
	var faults []Fault
	report := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	if s.Resource != "" {
		if msg := urlFault(s.Resource); msg != "" {
			report("resource", "%s", msg)
		}
	}
	if s.ClockSkew > maxSkew {
		report("clockSkew", "at most %v", maxSkew)
	}
	for i, scope := range s.Scopes {
		if !isScope(scope) {
			report(fmt.Sprintf("scopes[%d]", i), "%q is no scope (RFC 6749, 3.3)", scope)
		}
	}
	introspects, seen := 0, map[string]bool{}
	for i := range s.OIDC {
		path := fmt.Sprintf("oidc[%d]", i)
		s.OIDC[i].faults(path, report)
		if seen[s.OIDC[i].Issuer] {
			report(path+".issuer", "stands twice")
		}
		seen[s.OIDC[i].Issuer] = true
		if s.OIDC[i].Introspection.ClientID != "" && !s.OIDC[i].Introspection.JWTs {
			introspects++
		}
		if introspects > 1 {
			report(path+".introspection", "opaque tokens do not say whose they are; ask one issuer about them, or set jwts")
			introspects = 1
		}
	}
	for i := range s.APIKeys {
		s.APIKeys[i].faults(fmt.Sprintf("apiKeys[%d]", i), report)
	}
	if n := s.Certificates.Name; n != "" && !slices.Contains(CertificateNames(), n) {
		report("certificates.name", "want one of %s", strings.Join(CertificateNames(), ", "))
	} else if n == "" && len(s.Certificates.Groups) > 0 {
		report("certificates.name", "is missing")
	}
	return faults
}

func (i *Issuer) faults(path string, report func(path, format string, args ...any)) {
	if msg := issuerFault(i.Issuer); msg != "" {
		report(path+".issuer", "%s", msg)
	}
	if i.JWKSFile != "" && i.JWKSURL != "" {
		report(path+".jwksURL", "does nothing beside jwksFile; remove one")
	}
	for key, u := range map[string]string{"jwksURL": i.JWKSURL, "introspection.url": i.Introspection.URL} {
		if msg := issuerFault(u); u != "" && msg != "" {
			report(path+"."+key, "%s", msg)
		}
	}
	for n, a := range i.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			report(fmt.Sprintf("%s.algorithms[%d]", path, n), "want one of %s", strings.Join(Algorithms(), ", "))
		}
	}
	if i.AcceptIDTokens && i.TokenType != "" {
		report(path+".tokenType", "does nothing beside acceptIDTokens; remove one")
	}
	if s := i.SignIn; s.ClientID == "" && s.ClientSecret != "" {
		report(path+".signIn.clientID", "is missing")
	}
	in := i.Introspection
	switch {
	case (in.ClientID == "") != (in.ClientSecret == ""):
		report(path+".introspection", "needs clientID and clientSecret")
	case in.ClientID == "" && (in.URL != "" || in.JWTs || in.Cache != 0):
		report(path+".introspection", "needs clientID and clientSecret")
	case in.Cache > maxIntrospected:
		report(path+".introspection.cache", "at most %v", maxIntrospected)
	case in.ClientID != "" && in.URL == "" && (i.JWKSFile != "" || i.JWKSURL != ""):
		report(path+".introspection.url", "is missing: without discovery it cannot be found")
	}
}

func (k *APIKey) faults(path string, report func(path, format string, args ...any)) {
	if _, err := parseHash(k.Hash); err != nil {
		report(path+".hash", "%v", err)
	}
	if k.Owner == "" {
		report(path+".owner", "is missing")
	}
	if _, err := parseExpiry(k.Expires); err != nil {
		report(path+".expires", "want a day such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z")
	}
}

// parseHash reads a SHA-256 in hex; sha256: may stand before it.
func parseHash(text string) (sum [32]byte, err error) {
	b, err := hex.DecodeString(strings.TrimPrefix(text, "sha256:"))
	if err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("want the SHA-256 of the key in hex, %d digits", 2*len(sum))
	}
	return [32]byte(b), nil
}

// parseExpiry reads a day or a moment; "" is the zero time, never.
func parseExpiry(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	return time.Parse(time.RFC3339, text)
}

// Algorithms are the signature algorithms that tokens may have: the asymmetric ones. Whoever can check an HMAC can make one.
func Algorithms() []string {
	return []string{
		oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
	}
}

// CertificateNames are the kinds of names that a certificate may be known by.
func CertificateNames() []string { return []string{"uri", "dns", "email"} }

// issuerFault says what is wrong with a URL of an issuer, "" when nothing is. Who stands in the way of plain http can put keys of his own there.
func issuerFault(raw string) string {
	msg := urlFault(raw)
	if msg != "" {
		return msg
	}
	u, err := url.Parse(raw)
	ip, _ := netip.ParseAddr(u.Hostname()) // a name is no address of this machine
	if err != nil || u.Scheme != "https" && u.Hostname() != "localhost" && !ip.IsLoopback() {
		return "want https://; plain http is for this machine only"
	}
	return ""
}

// urlFault says what is wrong with a URL, "" when nothing is.
func urlFault(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "is missing"
	case err != nil || u.Host == "" || u.Opaque != "":
		return "want a URL such as https://login.example.com"
	case u.Scheme != "https" && u.Scheme != "http":
		return "want a URL that starts with https://"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "want a URL without user, query and fragment"
	}
	return ""
}

// isScope reports whether s can be a scope (RFC 6749, 3.3).
func isScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}
