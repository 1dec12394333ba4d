package cred

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Secret is a text that never shows.
type Secret string

// String returns a placeholder.
func (Secret) String() string { return "[redacted]" }

// GoString returns a placeholder.
func (Secret) GoString() string { return "[redacted]" }

// MarshalText returns a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Spec is one credential: for one security scheme of a description, or for an MCP server. What is set decides the kind: Value for an API key or
// bearer token, Username for basic, Grant or ClientID for tokens that an authorization server gives, Key without them for an identity assertion.
type Spec struct {
	Value    Secret `yaml:"value"`
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`
	// Header and Query say where Value stands in requests to an MCP server; as a bearer token when neither is set.
	Header string `yaml:"header"`
	Query  string `yaml:"query"`

	// Grant is how a token is had: client_credentials (of a ClientID, by default), jwt_bearer, token_exchange, or authorization_code, where each user
	// signs in (of an MCP server only).
	Grant        string `yaml:"grant"`
	ClientID     string `yaml:"clientId"`
	ClientSecret Secret `yaml:"clientSecret"`
	// TokenURL is the token endpoint, or Issuer the authorization server whose metadata names it.
	TokenURL string   `yaml:"tokenUrl"`
	Issuer   string   `yaml:"issuer"`
	Scopes   []string `yaml:"scopes"`
	// Audience is whom the token is for, as the authorization server calls it; of an assertion its aud. Resource is the same as a URL (RFC 8707).
	Audience string `yaml:"audience"`
	Resource string `yaml:"resource"`

	// Key is a private key in PEM form that signs assertions: of jwt_bearer, of the client with the other grants (private_key_jwt), and with neither grant
	// nor clientId of who is calling, for a backend that trusts weir itself. KeyID is its name in the key set of whoever verifies them.
	Key   Secret `yaml:"key"`
	KeyID string `yaml:"keyId"`
	// Subject is whom a jwt_bearer assertion is about; the client itself when empty.
	Subject string `yaml:"subject"`

	// Certificate says that the client certificate of the backend's TLS settings is the credential (mutualTLS).
	Certificate bool `yaml:"certificate"`
}

// The kinds that are no grants.
const (
	kindValue       = "value"
	kindBasic       = "basic"
	kindCertificate = "certificate"
	kindAssertion   = "assertion"
)

// The grants.
const (
	grantClient   = "client_credentials"
	grantJWT      = "jwt_bearer"
	grantExchange = "token_exchange"
	grantCode     = "authorization_code"
)

// Grants lists what Spec.Grant may be.
func Grants() []string { return []string{grantClient, grantJWT, grantExchange, grantCode} }

// kind is what s is a credential of: value, basic, certificate, assertion, or a grant.
func (s *Spec) kind() string {
	switch {
	case s.Certificate:
		return kindCertificate
	case s.Username != "":
		return kindBasic
	case s.Value != "":
		return kindValue
	case s.Grant != "":
		return s.Grant
	case s.ClientID != "":
		return grantClient
	case s.Key != "":
		return kindAssertion
	}
	return ""
}

// SignIn reports whether users sign in for it.
func (s *Spec) SignIn() bool { return s.kind() == grantCode }

// Personal reports whether each caller has a credential of its own.
func (s *Spec) Personal() bool {
	k := s.kind()
	return k == grantExchange || k == grantCode || k == kindAssertion
}

// Check says what contradicts itself in s, never a value. The key is left to New: it may not be readable while the configuration is checked.
func (s *Spec) Check() error {
	kinds := 0
	for _, set := range [...]bool{s.Value != "", s.Username != "", s.Grant != "" || s.ClientID != "" || s.Key != "", s.Certificate} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("set one of value, username, clientId, grant, key and certificate")
	case hasControl(string(s.Value)) || hasControl(s.Username) || hasControl(string(s.Password)):
		return errors.New("the credential has control characters")
	case strings.Contains(s.Username, ":"):
		return errors.New("a user name for basic authentication has no colon")
	case s.Value == "" && (s.Header != "" || s.Query != ""):
		return errors.New("header and query say where a value goes; there is none")
	case s.Header != "" && s.Query != "":
		return errors.New("set one of header and query")
	}
	for _, address := range [...]string{s.TokenURL, s.Issuer} {
		if address != "" && !secure(address) {
			return errors.New("tokenUrl and issuer are https, or http on the own machine")
		}
	}
	return s.checkGrant()
}

// checkGrant says what a grant lacks.
func (s *Spec) checkGrant() error {
	k := s.kind()
	switch k {
	case kindValue, kindBasic, kindCertificate:
		return nil
	case kindAssertion:
		if s.Audience == "" {
			return errors.New("an assertion needs audience, which says whom it is for")
		}
		return nil
	case grantClient, grantJWT, grantExchange:
	case grantCode:
		if s.TokenURL != "" || s.Key != "" || s.Audience != "" {
			return errors.New("authorization_code takes issuer, clientId, clientSecret, scopes and resource only")
		}
		return nil
	default:
		return fmt.Errorf("grant is one of %s", strings.Join(Grants(), ", "))
	}
	switch {
	case s.ClientID == "":
		return fmt.Errorf("%s needs clientId", k)
	case (s.TokenURL == "") == (s.Issuer == ""):
		return fmt.Errorf("%s needs one of tokenUrl and issuer", strings.ReplaceAll(k, "_", " "))
	case k == grantJWT && s.Key == "":
		return errors.New("jwt_bearer needs key, which signs the assertion")
	case s.Key != "" && s.ClientSecret != "":
		return errors.New("set one of key and clientSecret")
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// secure reports whether secrets may be sent to an address.
func secure(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false
	}
	host := u.Hostname()
	return u.Scheme == "https" || u.Scheme == "http" && (host == "127.0.0.1" || host == "::1" || host == "localhost")
}
