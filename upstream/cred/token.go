package cred

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"weir/catalog"
)

const (
	// leeway is how long before its end a token is replaced.
	leeway = 30 * time.Second
	// unstated is how long a token is kept whose end the endpoint does not tell.
	unstated     = 5 * time.Minute
	tokenTimeout = 15 * time.Second
	// freshness is how young a token must be for a refusal not to replace it: the fault is another one then.
	freshness = 2 * time.Second
	// maxTokens bounds the tokens that are kept for one backend; the least used are asked for again.
	maxTokens = 16 << 10
	// maxMetadata bounds the metadata of an authorization server, in bytes.
	maxMetadata = 1 << 20
)

// tokens are those of one backend.
type tokens struct {
	client  *http.Client
	held    *lru.Cache[[sha256.Size]byte, *held]
	signers map[Secret]*signer
	signIn  *SignIn // nil where nobody can
}

// held is one token. Its lock is kept while it is asked for, so that one request is under way at a time.
type held struct {
	mu    chan struct{} // holds one value while unlocked
	token string
	had   time.Time
	until time.Time
}

// want is what a token is asked for with.
type want struct {
	*Spec
	scopes []string
	caller catalog.Caller // whom a personal one is for, the zero value for the gateway itself
}

// newTokens fails when a key cannot be read. Its error names no value.
func newTokens(transport http.RoundTripper, specs map[string]Spec) (*tokens, error) {
	cache, err := lru.New[[sha256.Size]byte, *held](maxTokens)
	if err != nil {
		return nil, err
	}
	t := &tokens{
		client: &http.Client{
			Transport:     transport,
			Timeout:       tokenTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		held: cache, signers: map[Secret]*signer{},
	}
	for name, s := range specs {
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("cred: %s: %w", name, err)
		}
		if s.Key == "" {
			continue
		}
		if t.signers[s.Key+Secret(s.KeyID)], err = newSigner(s.Key, s.KeyID); err != nil {
			return nil, fmt.Errorf("cred: %s: %w", name, err)
		}
	}
	return t, nil
}

func (t *tokens) signer(s *Spec) *signer { return t.signers[s.Key+Secret(s.KeyID)] }

// wanted says which token s has for whoever ctx is for. Scopes are the configured ones, else those that the operation asks for.
func wanted(ctx context.Context, s *Spec, scopes []string) want {
	w := want{Spec: s, scopes: s.Scopes}
	if len(w.scopes) == 0 {
		w.scopes = scopes
	}
	if s.Personal() {
		w.caller, _ = callerOf(ctx)
	}
	if s.Grant == grantCode {
		w.caller.Token = "" // it has no part in this
	}
	return w
}

// key is a hash of everything that decides which token is given. A caller's token is a part of it: one of fewer rights must not meet what was had with
// one of more.
func (w *want) key() [sha256.Size]byte {
	parts := append([]string{
		w.Grant, w.ClientID, string(w.ClientSecret), w.TokenURL, w.Issuer, w.Audience, w.Resource, string(w.Key), w.KeyID, w.Subject,
		w.caller.Owner, w.caller.Name, string(w.caller.Token), "scopes",
	}, w.scopes...)
	return sha256.Sum256([]byte(strings.Join(parts, "\x00")))
}

func (t *tokens) entry(w *want) *held {
	k := w.key()
	if h, ok := t.held.Get(k); ok {
		return h
	}
	h := &held{mu: make(chan struct{}, 1)}
	h.mu <- struct{}{}
	if other, ok, _ := t.held.PeekOrAdd(k, h); ok {
		return other
	}
	return h
}

// get returns a token that is good for a while.
func (t *tokens) get(ctx context.Context, w want) (string, error) {
	h := t.entry(&w)
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
	token, until, err := t.obtain(ctx, &w)
	if err != nil {
		return "", err
	}
	h.token, h.had, h.until = token, now, until.Add(-leeway)
	if until.IsZero() {
		h.until = now.Add(unstated)
	}
	return h.token, nil
}

// obtain makes or asks for a token; the zero time is for one whose end is not told.
func (t *tokens) obtain(ctx context.Context, w *want) (string, time.Time, error) {
	if w.kind() == kindAssertion {
		return t.identity(w)
	}
	if w.Grant == grantCode {
		return t.signedIn(ctx, w)
	}
	token, err := t.ask(ctx, w)
	if err != nil {
		return "", time.Time{}, err
	}
	if w.caller.Token != "" && token.AccessToken == string(w.caller.Token) {
		return "", time.Time{}, errors.New("the token endpoint gave the caller's own token back, which is not sent on")
	}
	return token.AccessToken, token.Expiry, nil
}

// drop forgets a token that was refused and reports whether asking for another makes sense.
func (t *tokens) drop(w want) bool {
	h := t.entry(&w)
	<-h.mu
	defer func() { h.mu <- struct{}{} }()
	if h.token == "" {
		return true // another call has dropped it
	}
	if time.Since(h.had) < freshness {
		return false
	}
	h.token = ""
	if w.Grant == grantCode {
		t.doubt(&w)
	}
	return true
}
