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
	t, err := newTokens(transport, specs)
	if err != nil {
		return nil, err
	}
	s := &Schemes{specs: specs, origins: make(map[string]bool, len(origins)), tokens: t}
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("cred: origin %q is no URL", o)
		}
		s.origins[origin(u)] = true
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
	return s.tokens.authorize(ctx, r, &spec, scheme)
}

// authorize puts the credential of s on a request whose header and URL are its own.
func (t *tokens) authorize(ctx context.Context, r *http.Request, s *Spec, scheme translate.SecurityScheme) error {
	switch s.kind() {
	case kindCertificate:
		return nil
	case kindBasic:
		r.SetBasicAuth(s.Username, string(s.Password))
		return nil
	case kindValue:
		return put(r, scheme, string(s.Value))
	}
	token, err := t.get(ctx, wanted(ctx, s, scheme.Scopes))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
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
func (s *Schemes) Renew(ctx context.Context, scheme translate.SecurityScheme, _ string) bool {
	spec, ok := s.specs[scheme.Name]
	return ok && s.tokens.renew(ctx, &spec, scheme.Scopes)
}

// renew drops a token that was refused, and reports whether another one can be had.
func (t *tokens) renew(ctx context.Context, s *Spec, scopes []string) bool {
	switch s.kind() {
	case kindCertificate, kindBasic, kindValue:
		return false
	}
	return t.drop(wanted(ctx, s, scopes))
}
