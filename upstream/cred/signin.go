package cred

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"weir/catalog"
)

// errSignIn says that a user has to sign in first.
var errSignIn = errors.New("needs the user's own sign-in")

const (
	// flowLife is how long a sign-in that was begun can be finished, and maxFlows how many can be under way; the oldest are given up.
	flowLife = 10 * time.Minute
	maxFlows = 1000
)

// SignIn is where users sign in to upstreams: the tokens that they have, and the sign-ins that are under way. Safe for concurrent use.
type SignIn struct {
	store *Store
	self  string // the owner whose tokens the gateway uses for itself

	// Link returns where a user can begin to sign in to an upstream, "" where no browser can come; nil is that for everybody.
	Link func(upstream string, c catalog.Caller) string

	mu    sync.Mutex
	flows map[string]*Flow // by state
}

// NewSignIn returns one on a store. self is the owner who signs in for the gateway itself, so that it can read lists.
func NewSignIn(store *Store, self string) *SignIn {
	return &SignIn{store: store, self: self, flows: map[string]*Flow{}}
}

// owner is under whom the tokens for w are kept.
func (s *SignIn) owner(w *want) string {
	if w.caller.Owner != "" {
		return w.caller.Owner
	}
	return s.self
}

// signedIn returns the token of a user who has signed in, refreshed when it is about to end. The lock of the token is held: one refresh is under way at
// a time.
func (t *tokens) signedIn(ctx context.Context, w *want) (string, time.Time, error) {
	none := time.Time{}
	if t.signIn == nil {
		return "", none, errSignIn
	}
	owner := t.signIn.owner(w)
	g, err := t.signIn.store.get(ctx, owner, w.Resource, w.Issuer)
	switch {
	case errors.Is(err, errNone):
		return "", none, errSignIn
	case err != nil:
		return "", none, errors.New("the token store cannot be read")
	case g.fresh():
		return g.Access, g.Until, nil
	case g.Refresh == "":
		return "", none, errSignIn
	}
	next, err := t.refresh(ctx, w, owner, g)
	if err != nil {
		return "", none, err
	}
	return next.Access, next.Until, nil
}

// fresh reports whether the access token is good for a while.
func (g *grantedTokens) fresh() bool {
	if g.Access == "" {
		return false
	}
	if g.Until.IsZero() {
		return g.Refresh == "" || time.Since(g.Had) < unstated
	}
	return time.Now().Before(g.Until.Add(-leeway))
}

// refresh gets new tokens. They are kept before anybody uses them, so that a refresh token that is good for once is never lost in a crash after that. One
// process does it at a time: an authorization server that sees a refresh token twice may take all of the user's away (RFC 9700, 4.14.2). What another
// one got meanwhile is as good.
func (t *tokens) refresh(ctx context.Context, w *want, owner string, g *grantedTokens) (*grantedTokens, error) {
	store := t.signIn.store
	l := &lease{store: store, owner: owner, resource: w.Resource, issuer: g.Issuer}
	if err := l.wait(ctx); err != nil {
		return nil, cmp.Or(ctx.Err(), errors.New("the token store cannot be written"))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenTimeout) // a caller who leaves must not lose what comes
	defer cancel()
	defer l.release(ctx)
	switch now, err := store.get(ctx, owner, w.Resource, g.Issuer); {
	case err != nil && !errors.Is(err, errNone):
		return nil, errors.New("the token store cannot be read")
	case err == nil && now.fresh():
		return now, nil
	case err != nil || now.Refresh == "":
		return nil, errSignIn
	default:
		g = now
	}
	c := clientcredentials.Config{ // whose grant can be another, and which sends the resource too (RFC 8707, 2.2)
		ClientID: g.Client.ID, ClientSecret: g.Client.Secret, TokenURL: g.Endpoint, AuthStyle: g.Client.style(),
		EndpointParams: url.Values{"grant_type": {"refresh_token"}, "refresh_token": {g.Refresh}, "resource": {w.Resource}},
	}
	token, err := usable(c.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client)))
	if errors.Is(err, errGrant) {
		if err := store.remove(ctx, owner, w.Resource, g); err != nil {
			return nil, errors.New("the token store cannot be written")
		}
		return nil, errSignIn
	}
	if err != nil {
		return nil, err
	}
	next := g.with(token)
	if err := store.put(ctx, owner, w.Resource, next); err != nil {
		return nil, errors.New("the token store cannot be written")
	}
	return next, nil
}

// with is g after the endpoint gave token. A refresh token stays when no new one came (RFC 6749, 6).
func (g *grantedTokens) with(token *oauth2.Token) *grantedTokens {
	next := *g
	next.Access, next.Until, next.Had = token.AccessToken, token.Expiry, time.Now()
	if token.RefreshToken != "" {
		next.Refresh = token.RefreshToken
	}
	return &next
}

// doubt takes the access token of a user for ended, because the server refused it: the next call refreshes it.
func (t *tokens) doubt(w *want) {
	if t.signIn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tokenTimeout)
	defer cancel()
	owner := t.signIn.owner(w)
	if g, err := t.signIn.store.get(ctx, owner, w.Resource, w.Issuer); err == nil {
		g.Access = ""
		_ = t.signIn.store.put(ctx, owner, w.Resource, g) // else the old one is tried once more
	}
}

// style is how the client shows its secret, if it has one.
func (c client) style() oauth2.AuthStyle {
	if c.Secret == "" {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// begun keeps a flow until it is finished.
func (s *SignIn) begun(f *Flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest string
	for state, other := range s.flows {
		if time.Since(other.began) > flowLife {
			delete(s.flows, state)
		} else if oldest == "" || other.began.Before(s.flows[oldest].began) {
			oldest = state
		}
	}
	if len(s.flows) >= maxFlows {
		delete(s.flows, oldest)
	}
	s.flows[f.state] = f
}

// take returns the flow of a state, which is good for once.
func (s *SignIn) take(state string) (*Flow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flows[state]
	delete(s.flows, state)
	if f == nil || time.Since(f.began) > flowLife {
		return nil, errors.New("no sign-in is under way with this state")
	}
	return f, nil
}
