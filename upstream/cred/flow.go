package cred

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Flow is one sign-in that is under way (RFC 6749, 4.1, with RFC 7636).
type Flow struct {
	// URL is where the user signs in, at the authorization server.
	URL string

	tokens   *tokens
	owner    string
	resource string
	state    string
	verifier string
	redirect string
	scopes   []string
	client   client
	server   *metadata
	began    time.Time
	browser  [sha256.Size]byte // hash of what the browser that began it has to show
}

// Begin begins the sign-in of an owner at the MCP server. redirect is where the authorization server sends the user back to, browser what that user's
// browser, and no other, will show there. An owner "" is the one who signs in for the gateway itself.
func (s *Server) Begin(ctx context.Context, owner, redirect, browser string) (*Flow, error) {
	t, in := s.tokens, s.tokens.signIn
	if s.spec.kind() != grantCode || in == nil {
		return nil, errors.New("nobody signs in there; set credentials.mcp.grant to authorization_code")
	}
	if owner == "" {
		owner = in.self
	}
	issuer, scopes, err := s.asked(ctx)
	if err != nil {
		return nil, err
	}
	m, err := t.metadata(ctx, issuer)
	switch {
	case err != nil:
		return nil, err
	case !secure(m.Authorization):
		return nil, errors.New("the authorization endpoint of the issuer is not https")
	case !slices.Contains(m.Challenges, "S256"):
		return nil, errors.New("the issuer does not say that it takes PKCE with S256")
	}
	c, err := t.register(ctx, &s.spec, m, redirect)
	if err != nil {
		return nil, err
	}
	f := &Flow{
		tokens: t, owner: owner, resource: s.spec.Resource, state: rand.Text(), verifier: oauth2.GenerateVerifier(), redirect: redirect, scopes: scopes,
		client: c, server: m, began: time.Now(), browser: sha256.Sum256([]byte(browser)),
	}
	u, err := url.Parse(m.Authorization)
	if err != nil {
		return nil, errors.New("the authorization endpoint of the issuer is no URL")
	}
	q := u.Query()
	for k, v := range map[string]string{
		"response_type": "code", "client_id": c.ID, "redirect_uri": redirect, "state": f.state, "resource": f.resource,
		"code_challenge": oauth2.S256ChallengeFromVerifier(f.verifier), "code_challenge_method": "S256",
	} {
		q.Set(k, v)
	}
	if len(scopes) > 0 {
		q.Set("scope", strings.Join(scopes, " "))
	}
	u.RawQuery = q.Encode()
	f.URL = u.String()
	in.begun(f)
	return f, nil
}

// asked is who gives tokens for the server, and with which scopes: what the configuration says, else what the server says.
func (s *Server) asked(ctx context.Context) (issuer string, scopes []string, err error) {
	issuer, scopes = s.spec.Issuer, s.spec.Scopes
	if issuer != "" && len(scopes) > 0 {
		return issuer, scopes, nil
	}
	found, err := s.tokens.protected(ctx, s.address)
	if err == nil && len(scopes) == 0 {
		scopes = found.Scopes
	}
	if issuer != "" { // then a server that tells nothing is asked without scopes
		return issuer, scopes, nil
	}
	if err != nil {
		return "", nil, err
	}
	return found.Servers[0], scopes, nil
}

// Finish takes what the authorization server sent the user back with, and keeps the tokens for the owner who began. browser is what the user's
// browser shows: whoever was sent a link by somebody else cannot finish. A state is good for once, also when it fails.
func (s *SignIn) Finish(ctx context.Context, answer url.Values, browser string) error {
	f, err := s.take(answer.Get("state"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(browser))
	if subtle.ConstantTimeCompare(sum[:], f.browser[:]) != 1 {
		return errors.New("the sign-in was begun in another browser")
	}
	// RFC 9207, 2.4: an issuer that is there must be the one that was asked, and must be there when that says so; of errors too.
	if iss, sent := answer["iss"]; f.server.SendsIssuer && !sent || sent && (len(iss) != 1 || iss[0] != f.server.Issuer) {
		return errors.New("the answer is not from the issuer that was asked")
	}
	if answer.Has("error") {
		return errors.New("the issuer refused the sign-in" + signInCode(answer.Get("error")))
	}
	code := answer.Get("code")
	if code == "" {
		return errors.New("the issuer sent no code")
	}
	c := oauth2.Config{
		ClientID: f.client.ID, ClientSecret: f.client.Secret, RedirectURL: f.redirect,
		Endpoint: oauth2.Endpoint{TokenURL: f.server.TokenEndpoint, AuthStyle: f.client.style()},
	}
	had := time.Now()
	defer f.tokens.client.CloseIdleConnections() // they are this flow's own
	token, err := usable(c.Exchange(context.WithValue(ctx, oauth2.HTTPClient, f.tokens.client), code,
		oauth2.VerifierOption(f.verifier), oauth2.SetAuthURLParam("resource", f.resource)))
	if err != nil {
		return err
	}
	g := &grantedTokens{Issuer: f.server.Issuer, Endpoint: f.server.TokenEndpoint, Client: f.client, Had: had}
	if err := s.store.put(ctx, f.owner, f.resource, g.with(token)); err != nil {
		return errors.New("the token store cannot be written")
	}
	return nil
}

// signInCode is the error code of RFC 6749, 4.1.2.1, when it is one.
func signInCode(code string) string {
	switch code {
	case "invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable", "invalid_target":
		return " (" + code + ")"
	}
	return ""
}

// protectedResource is what an MCP server says about who gives tokens for it (RFC 9728, 2).
type protectedResource struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
}

// protected asks an MCP server who gives tokens for it: at the address in its refusal, else at the well-known ones.
func (t *tokens) protected(ctx context.Context, address *url.URL) (*protectedResource, error) {
	const known = "/.well-known/oauth-protected-resource"
	root := address.Scheme + "://" + address.Host
	places := []string{root + known + strings.TrimSuffix(address.EscapedPath(), "/"), root + known}
	if named := t.challenge(ctx, address); named != "" {
		places = append([]string{named}, places...)
	}
	want := resource(address)
	for _, place := range slices.Compact(places) {
		found := new(protectedResource)
		if status, err := t.read(ctx, place, found); err != nil || status != http.StatusOK || len(found.Servers) == 0 {
			continue
		}
		if strings.TrimSuffix(found.Resource, "/") != strings.TrimSuffix(want, "/") && found.Resource != root && found.Resource != root+"/" {
			return nil, errors.New("the server's metadata is about another resource")
		}
		if !secure(found.Servers[0]) {
			return nil, errors.New("the issuer that the server names is not https")
		}
		return found, nil
	}
	return nil, errors.New("the server does not say who gives tokens for it; set credentials.mcp.issuer")
}

// challenge is the address of the metadata in a server's refusal (RFC 9728, 5.1), if that is one of the server's own; "" for none.
func (t *tokens) challenge(ctx context.Context, address *url.URL) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, resource(address), nil)
	if err != nil {
		return ""
	}
	response, err := t.client.Do(r)
	if err != nil {
		return ""
	}
	_ = response.Body.Close()
	for _, v := range response.Header.Values("Www-Authenticate") {
		_, after, ok := strings.Cut(v, `resource_metadata="`)
		text, _, closed := strings.Cut(after, `"`)
		if u, err := url.Parse(text); ok && closed && err == nil && origin(u) == origin(address) {
			return text
		}
	}
	return ""
}

// register says what weir is to an authorization server: what the configuration says, a document behind a URL, or what it registers as.
func (t *tokens) register(ctx context.Context, s *Spec, m *metadata, redirect string) (client, error) {
	document := strings.HasPrefix(s.ClientID, "https://")
	switch {
	case s.ClientID != "" && (!document || m.Documents):
		return client{ID: s.ClientID, Secret: string(s.ClientSecret)}, nil
	case m.Registration == "":
		return client{}, errors.New("the issuer lets nobody register; register weir there and set credentials.mcp.clientId")
	case !secure(m.Registration):
		return client{}, errors.New("the registration endpoint of the issuer is not https")
	}
	if c, err := t.signIn.store.getClient(ctx, m.Issuer, redirect); err == nil {
		return c, nil
	}
	kind := "web"
	if u, err := url.Parse(redirect); err == nil && u.Scheme == "http" {
		kind = "native" // RFC 8252, 8.4
	}
	body, err := json.Marshal(map[string]any{
		"client_name": self, "redirect_uris": []string{redirect}, "application_type": kind, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	})
	if err != nil {
		return client{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Registration, bytes.NewReader(body))
	if err != nil {
		return client{}, errors.New("the registration endpoint of the issuer is no URL")
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := t.client.Do(r)
	if err != nil {
		return client{}, errors.New("the registration endpoint could not be asked")
	}
	defer func() { _ = response.Body.Close() }()
	var given struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxMetadata))
	if err != nil || response.StatusCode/100 != 2 || json.Unmarshal(data, &given) != nil || given.ID == "" {
		return client{}, fmt.Errorf("the registration endpoint answered %d", response.StatusCode)
	}
	c := client{ID: given.ID, Secret: given.Secret}
	if err := t.signIn.store.putClient(ctx, m.Issuer, redirect, c); err != nil {
		return client{}, errors.New("the token store cannot be written")
	}
	return c, nil
}
