package cred

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"weir/translate"
)

// Secret is a text that never shows.
type Secret string

// String returns a placeholder.
func (Secret) String() string { return "[redacted]" }

// GoString returns a placeholder.
func (Secret) GoString() string { return "[redacted]" }

// MarshalText returns a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Spec is the credential for one security scheme of a description. What is set decides the kind: Value for an API key or bearer token, Username
// for basic, ClientID for OAuth client credentials.
type Spec struct {
	Value    Secret `yaml:"value"`
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`

	ClientID     string `yaml:"clientId"`
	ClientSecret Secret `yaml:"clientSecret"`
	// TokenURL is the token endpoint, or Issuer the OpenID provider whose configuration names it.
	TokenURL string   `yaml:"tokenUrl"`
	Issuer   string   `yaml:"issuer"`
	Scopes   []string `yaml:"scopes"`
	Audience string   `yaml:"audience"`

	// Certificate says that the client certificate of the backend's TLS settings is the credential (mutualTLS).
	Certificate bool `yaml:"certificate"`
}

// Schemes are the credentials of one backend. Safe for concurrent use.
type Schemes struct {
	specs   map[string]Spec
	origins map[string]bool
	tokens  *tokens
}

var _ translate.Credentials = (*Schemes)(nil)

// New returns the credentials of one backend. origins are the addresses that they may go to (scheme, host and port count); transport reaches
// token endpoints. The error names a scheme whose settings contradict each other, never a value.
func New(specs map[string]Spec, origins []string, transport http.RoundTripper) (*Schemes, error) {
	s := &Schemes{specs: specs, origins: make(map[string]bool, len(origins)), tokens: newTokens(transport)}
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("cred: origin %q is no URL", o)
		}
		s.origins[origin(u)] = true
	}
	for name, spec := range specs {
		if err := spec.Check(); err != nil {
			return nil, fmt.Errorf("cred: %s: %w", name, err)
		}
	}
	return s, nil
}

// origin is scheme, host and port, with the port written out.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// Check says what contradicts itself in s, never a value.
func (s *Spec) Check() error {
	kinds := 0
	for _, set := range [...]bool{s.Value != "", s.Username != "", s.ClientID != "", s.Certificate} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("set one of value, username, clientId and certificate")
	case s.ClientID != "" && (s.TokenURL == "") == (s.Issuer == ""):
		return errors.New("client credentials need one of tokenUrl and issuer")
	case hasControl(string(s.Value)) || hasControl(s.Username) || hasControl(string(s.Password)):
		return errors.New("the credential has control characters")
	case strings.Contains(s.Username, ":"):
		return errors.New("a user name for basic authentication has no colon")
	}
	for _, address := range [...]string{s.TokenURL, s.Issuer} {
		if address != "" && !secure(address) {
			return errors.New("tokenUrl and issuer are https, or http on the own machine")
		}
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

// Has implements [translate.Credentials].
func (s *Schemes) Has(scheme string) bool {
	_, ok := s.specs[scheme]
	return ok
}

// Authorize implements [translate.Credentials].
func (s *Schemes) Authorize(ctx context.Context, r *http.Request, scheme translate.SecurityScheme, _ string) error {
	spec, ok := s.specs[scheme.Name]
	if !ok {
		return errors.New("none is configured")
	}
	if !s.origins[origin(r.URL)] {
		return fmt.Errorf("it is not meant for %s://%s", r.URL.Scheme, r.URL.Host)
	}
	switch {
	case spec.Certificate:
		return nil
	case spec.Username != "":
		r.SetBasicAuth(spec.Username, string(spec.Password))
		return nil
	case spec.ClientID != "":
		token, err := s.tokens.get(ctx, scheme, spec)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
	return put(r, scheme, string(spec.Value))
}

// put puts a fixed value where the scheme wants it.
func put(r *http.Request, scheme translate.SecurityScheme, value string) error {
	if scheme.Type != "apiKey" {
		prefix := "Bearer "
		if scheme.HTTP != "" && scheme.HTTP != "bearer" {
			prefix = scheme.HTTP + " "
		}
		r.Header.Set("Authorization", prefix+value)
		return nil
	}
	switch scheme.In {
	case "query":
		pair := url.QueryEscape(scheme.Param) + "=" + url.QueryEscape(value)
		if r.URL.RawQuery != "" {
			pair = r.URL.RawQuery + "&" + pair
		}
		r.URL.RawQuery = pair
	case "cookie":
		r.AddCookie(&http.Cookie{Name: scheme.Param, Value: value}) //nolint:gosec // a request has no cookie attributes
	default:
		r.Header.Set(scheme.Param, value)
	}
	return nil
}

// Renew implements [translate.Credentials]: only tokens can be had anew.
func (s *Schemes) Renew(_ context.Context, scheme translate.SecurityScheme, _ string) bool {
	spec, ok := s.specs[scheme.Name]
	return ok && spec.ClientID != "" && s.tokens.drop(scheme, spec)
}
