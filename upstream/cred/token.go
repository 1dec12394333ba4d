package cred

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"weir/translate"
)

const (
	// leeway is how long before its end a token is replaced.
	leeway = 30 * time.Second
	// unstated is how long a token is kept whose end the endpoint does not tell.
	unstated     = 5 * time.Minute
	tokenTimeout = 15 * time.Second
	// freshness is how young a token must be for a refusal not to replace it: the fault is another one then.
	freshness    = 2 * time.Second
	maxDiscovery = 1 << 20
)

// tokens are those of one backend.
type tokens struct {
	client *http.Client
	mu     sync.Mutex
	held   map[[sha256.Size]byte]*held
}

// held is one token. Its lock is kept while it is asked for, so that one request is under way at a time.
type held struct {
	mu    chan struct{} // holds one value while unlocked
	token string
	had   time.Time
	until time.Time
}

func newTokens(transport http.RoundTripper) *tokens {
	return &tokens{
		client: &http.Client{
			Transport:     transport,
			Timeout:       tokenTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		held: make(map[[sha256.Size]byte]*held),
	}
}

// key is a hash of everything that decides which token is given.
func key(scheme translate.SecurityScheme, s Spec) [sha256.Size]byte {
	parts := append([]string{s.ClientID, string(s.ClientSecret), s.TokenURL, s.Issuer, s.Audience, "scopes"}, scopes(scheme, s)...)
	return sha256.Sum256([]byte(strings.Join(parts, "\x00")))
}

// scopes are the configured ones, else those that the operation asks for.
func scopes(scheme translate.SecurityScheme, s Spec) []string {
	if len(s.Scopes) > 0 {
		return s.Scopes
	}
	return scheme.Scopes
}

func (t *tokens) entry(scheme translate.SecurityScheme, s Spec) *held {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := key(scheme, s)
	h := t.held[k]
	if h == nil {
		h = &held{mu: make(chan struct{}, 1)}
		h.mu <- struct{}{}
		t.held[k] = h
	}
	return h
}

// get returns a token that is good for a while.
func (t *tokens) get(ctx context.Context, scheme translate.SecurityScheme, s Spec) (string, error) {
	h := t.entry(scheme, s)
	select {
	case <-h.mu:
	case <-ctx.Done():
		return "", errors.New("the token did not come in time")
	}
	defer func() { h.mu <- struct{}{} }()
	now := time.Now()
	if h.token != "" && now.Before(h.until) {
		return h.token, nil
	}
	token, err := t.ask(ctx, scheme, s)
	if err != nil {
		return "", err
	}
	h.token, h.had, h.until = token.AccessToken, now, token.Expiry.Add(-leeway)
	if token.Expiry.IsZero() {
		h.until = now.Add(unstated)
	}
	return h.token, nil
}

// drop forgets a token that was refused and reports whether asking for another makes sense.
func (t *tokens) drop(scheme translate.SecurityScheme, s Spec) bool {
	h := t.entry(scheme, s)
	<-h.mu
	defer func() { h.mu <- struct{}{} }()
	if h.token == "" {
		return true // another call has dropped it
	}
	if time.Since(h.had) < freshness {
		return false
	}
	h.token = ""
	return true
}

// ask gets a token from the endpoint (RFC 6749 section 4.4).
func (t *tokens) ask(ctx context.Context, scheme translate.SecurityScheme, s Spec) (*oauth2.Token, error) {
	endpoint := s.TokenURL
	if endpoint == "" {
		var err error
		if endpoint, err = t.discover(ctx, s.Issuer); err != nil {
			return nil, err
		}
	}
	c := clientcredentials.Config{ClientID: s.ClientID, ClientSecret: string(s.ClientSecret), TokenURL: endpoint, Scopes: scopes(scheme, s)}
	if s.Audience != "" {
		c.EndpointParams = url.Values{"audience": {s.Audience}}
	}
	token, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response != nil:
		return nil, fmt.Errorf("the token endpoint answered %d%s", refused.Response.StatusCode, errorCode(refused.ErrorCode))
	case err != nil:
		return nil, errors.New("the token endpoint could not be asked")
	case token.AccessToken == "" || hasControl(token.AccessToken):
		return nil, errors.New("the token endpoint gave no usable token")
	}
	return token, nil
}

// errorCode is the code of RFC 6749 section 5.2, when it is one.
func errorCode(code string) string {
	switch code {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
		return " (" + code + ")"
	}
	return ""
}

// discover finds the token endpoint of an OpenID provider (OpenID Connect Discovery 1.0, section 4).
func (t *tokens) discover(ctx context.Context, issuer string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", nil)
	if err != nil {
		return "", errors.New("the issuer is no URL")
	}
	response, err := t.client.Do(r)
	if err != nil {
		return "", errors.New("the issuer could not be asked")
	}
	defer func() { _ = response.Body.Close() }()
	var found struct {
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxDiscovery))
	switch {
	case err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(data, &found) != nil:
		return "", fmt.Errorf("the configuration of the issuer cannot be read (status %d)", response.StatusCode)
	case found.Issuer != issuer:
		return "", errors.New("the configuration of the issuer names another issuer")
	case !secure(found.TokenEndpoint):
		return "", errors.New("the token endpoint of the issuer is not https")
	}
	return found.TokenEndpoint, nil
}
