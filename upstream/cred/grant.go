package cred

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// ask gets a token from an endpoint: for the client itself (RFC 6749, 4.4), for a signed assertion (RFC 7523, 2.1), or for a caller's token (RFC 8693).
func (t *tokens) ask(ctx context.Context, w *want) (*oauth2.Token, error) {
	endpoint, audience := w.TokenURL, w.TokenURL
	if endpoint == "" {
		m, err := t.metadata(ctx, w.Issuer)
		if err != nil {
			return nil, err
		}
		endpoint, audience = m.TokenEndpoint, w.Issuer
	}
	form, err := t.form(w, audience)
	if err != nil {
		return nil, err
	}
	c := clientcredentials.Config{ClientID: w.ClientID, ClientSecret: string(w.ClientSecret), TokenURL: endpoint, Scopes: w.scopes, EndpointParams: form}
	if w.ClientSecret == "" {
		c.AuthStyle = oauth2.AuthStyleInParams
	}
	token, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	return usable(token, err)
}

// form is what is sent beside client and scopes. audience is whom assertions for the authorization server are for.
func (t *tokens) form(w *want, audience string) (url.Values, error) {
	form := url.Values{}
	if w.Audience != "" && w.Grant != grantJWT {
		form.Set("audience", w.Audience)
	}
	if w.Resource != "" {
		form.Set("resource", w.Resource)
	}
	switch {
	case w.Grant == grantJWT:
		subject := w.Subject
		if subject == "" {
			subject = w.ClientID
		}
		if w.Audience != "" {
			audience = w.Audience
		}
		assertion, _, err := t.signer(w.Spec).sign(w.ClientID, subject, audience)
		form.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
		form.Set("assertion", assertion)
		return form, err
	case w.Grant == grantExchange && w.caller.Owner != "":
		if w.caller.Token == "" {
			return nil, errors.New("a token is exchanged for callers who signed in with one, and this one did not")
		}
		form.Set("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
		form.Set("subject_token", string(w.caller.Token))
		form.Set("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
		form.Set("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
	}
	if w.Key == "" {
		return form, nil
	}
	assertion, _, err := t.signer(w.Spec).sign(w.ClientID, w.ClientID, audience) // RFC 7523, 2.2
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return form, err
}

// errGrant says that what was to be exchanged for a token is good no more.
var errGrant = errors.New("")

// usable is the token that an endpoint gave, or why there is none. What the endpoint writes is not told: it may hold what was sent.
func usable(token *oauth2.Token, err error) (*oauth2.Token, error) {
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response != nil:
		err := fmt.Errorf("the token endpoint answered %d%s", refused.Response.StatusCode, errorCode(refused.ErrorCode))
		if refused.ErrorCode == "invalid_grant" {
			err = fmt.Errorf("%w%w", err, errGrant)
		}
		return nil, err
	case err != nil:
		return nil, errors.New("the token endpoint could not be asked")
	case token.AccessToken == "" || hasControl(token.AccessToken):
		return nil, errors.New("the token endpoint gave no usable token")
	}
	return token, nil
}

// errorCode is the code of RFC 6749 section 5.2, RFC 8693 section 2.2.2 or RFC 8707 section 2, when it is one.
func errorCode(code string) string {
	switch code {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_target":
		return " (" + code + ")"
	}
	return ""
}
