package authn

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"weir/policy"
)

// SignIn is weir's own client at an issuer, by which it asks who sits before a browser that opens a link made for one of the issuer's users.
type SignIn struct {
	ClientID     string `yaml:"clientID"`
	ClientSecret string `yaml:"clientSecret"`
}

// Visit is a browser whose user an issuer is asked about: the authorization code flow (OpenID Connect Core 1.0, 3.1) with PKCE.
type Visit struct {
	// URL is where the browser goes on, State with what it comes back.
	URL, State string

	issuer          *issuer
	client          oauth2.Config
	tokens          *oidc.IDTokenVerifier
	verifier, nonce string
}

// asks is the issuer of a user, as the policy names them, if weir can ask it; else nil.
func (a *Authenticator) asks(user string) *issuer {
	for _, i := range a.state.Load().issuers {
		if i.spec.SignIn.ClientID != "" && strings.HasPrefix(user, "user:"+i.spec.Issuer+"|") {
			return i
		}
	}
	return nil
}

// Asks reports whether the issuer of a user can be asked who sits before a browser.
func (a *Authenticator) Asks(user string) bool { return a.asks(user) != nil }

// Visit begins to ask the issuer of a user who sits before a browser. redirect is where the browser comes back.
func (a *Authenticator) Visit(ctx context.Context, user, redirect string) (*Visit, error) {
	i := a.asks(user)
	if i == nil {
		return nil, errors.New("the user's issuer cannot be asked")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.spec.Issuer)
	if err != nil {
		a.log.Warn("the issuer cannot be asked who opens a link", "issuer", i.spec.Issuer, "error", err)
		return nil, errors.New("the issuer does not answer")
	}
	at := p.Endpoint()
	for _, u := range []string{at.AuthURL, at.TokenURL} {
		if msg := issuerFault(u); msg != "" {
			return nil, fmt.Errorf("the issuer's endpoint: %s", msg)
		}
	}
	v := &Visit{
		issuer: i, State: oauth2.GenerateVerifier(), verifier: oauth2.GenerateVerifier(), nonce: oauth2.GenerateVerifier(),
		client: oauth2.Config{
			ClientID: i.spec.SignIn.ClientID, ClientSecret: i.spec.SignIn.ClientSecret, Endpoint: at, RedirectURL: redirect, Scopes: []string{oidc.ScopeOpenID},
		},
		tokens: p.VerifierContext(oidc.ClientContext(context.Background(), i.client), &oidc.Config{ClientID: i.spec.SignIn.ClientID}),
	}
	v.URL = v.client.AuthCodeURL(v.State, oidc.Nonce(v.nonce), oauth2.S256ChallengeOption(v.verifier))
	return v, nil
}

// Finish ends a visit with what the issuer sent back, and returns the user that it names.
func (v *Visit) Finish(ctx context.Context, back url.Values) (user string, err error) {
	switch {
	case subtle.ConstantTimeCompare([]byte(back.Get("state")), []byte(v.State)) == 0:
		return "", errors.New("the state is another")
	case back.Get("iss") != "" && back.Get("iss") != v.issuer.spec.Issuer: // RFC 9207
		return "", errors.New("another issuer answers")
	case back.Get("code") == "":
		return "", errors.New("the issuer did not say who you are")
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, v.issuer.client), fetchTimeout)
	defer cancel()
	answer, err := v.client.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(v.verifier))
	if err != nil {
		return "", errors.New("the issuer does not take its own code") // its text may hold what was sent
	}
	raw, _ := answer.Extra("id_token").(string)
	token, err := v.tokens.Verify(ctx, raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(v.nonce)) == 0 {
		return "", errors.New("the issuer's ID token is not good")
	}
	return v.user(token)
}

// user is whom an ID token names, by the claim that access tokens name users by.
func (v *Visit) user(token *oidc.IDToken) (string, error) {
	var claims json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return "", errors.New("the issuer's ID token is not good")
	}
	id, err := v.issuer.spec.identity(claims)
	if err != nil {
		return "", err
	}
	p, err := policy.Verified(policy.Identity{Issuer: id.Issuer, Subject: id.Subject})
	if err != nil {
		return "", errors.New("the issuer names nobody")
	}
	return p.String(), nil
}
