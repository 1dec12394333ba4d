package authn

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"weir/catalog/fault"
)

const (
	// refreshEvery is how often keys are fetched without a reason; jitter spreads many nodes.
	refreshEvery = 10 * time.Minute
	refreshSpan  = time.Minute
	// firstPause and longestPause bound the waiting for an issuer that was never reached: it is used at most so long after it is there.
	firstPause   = 500 * time.Millisecond
	longestPause = 4 * time.Second
	// staleFor is how long the keys of an issuer that is away are used.
	staleFor = time.Hour
	// fetchTimeout and maxAnswer bound one request to an issuer.
	fetchTimeout = 5 * time.Second
	maxAnswer    = 1 << 20
)

// issuer is an authorization server, followed.
type issuer struct {
	spec   Issuer
	client *http.Client
	log    *slog.Logger
	keys   *keySet

	jwks       atomic.Pointer[string] // where its keys are, nil until that is known
	introspect atomic.Pointer[string] // where tokens are asked about, nil until that is known
	fault      atomic.Pointer[error]  // of the last attempt to get keys, nil after success
	reached    bool                   // once, for the loop alone

	cancel context.CancelFunc
	done   chan struct{}
}

// newIssuer starts to follow an issuer. Only a file of keys can fail.
func newIssuer(spec Issuer, transport http.RoundTripper, log *slog.Logger) (*issuer, error) {
	i := &issuer{spec: spec, log: log, done: make(chan struct{})}
	i.client = &http.Client{
		Transport: bounded{transport}, Timeout: fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if spec.JWKSURL != "" {
		i.jwks.Store(&spec.JWKSURL)
	}
	if spec.Introspection.URL != "" {
		i.introspect.Store(&spec.Introspection.URL)
	}
	var err error
	if spec.JWKSFile != "" {
		close(i.done)
		if i.keys, err = newKeySet(nil); err != nil {
			return nil, err
		}
		return i, i.readFile()
	}
	if i.keys, err = newKeySet(i.fetch); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	go i.follow(ctx)
	return i, nil
}

// readFile takes the keys of JWKSFile.
func (i *issuer) readFile() error {
	f, err := os.Open(i.spec.JWKSFile)
	if err != nil {
		return fmt.Errorf("auth.oidc: jwksFile: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxAnswer))
	if err != nil {
		return fmt.Errorf("auth.oidc: jwksFile: %w", err)
	}
	keys, err := readKeys(data)
	if err == nil && len(keys) == 0 {
		err = errors.New("there is no key in it that could have signed a token")
	}
	if err != nil {
		return fmt.Errorf("auth.oidc: jwksFile: %s: %w", i.spec.JWKSFile, err)
	}
	return i.keys.set(keys, time.Now())
}

// stop ends the following.
func (i *issuer) stop() {
	if i.cancel != nil {
		i.cancel()
	}
	<-i.done
}

// ready returns why tokens cannot be verified, or not with fresh keys.
func (i *issuer) ready() error {
	if f := i.fault.Load(); f != nil {
		return *f
	}
	if i.keys.current.Load() == nil {
		return errNoKeys
	}
	return nil
}

// follow fetches the keys until ctx ends: at once and now and then, and soon again after a failure.
func (i *issuer) follow(ctx context.Context) {
	defer close(i.done)
	pause := firstPause
	for {
		err := fault.Catch(i.log, func() error { return i.refresh(ctx) }, "issuer", i.spec.Issuer)
		wait := refreshEvery + rand.N(refreshSpan) //nolint:gosec // it spreads load and guards nothing
		switch {
		case err == nil:
			pause = firstPause
		case i.keys.current.Load() == nil:
			wait, pause = pause, min(2*pause, longestPause)
		default:
			wait = fetchPause + rand.N(fetchPause) //nolint:gosec // as above
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// refresh finds out where the keys are, if need be, and fetches them. What changed is logged once.
func (i *issuer) refresh(ctx context.Context) error {
	err := i.discover(ctx)
	if err == nil {
		err = i.keys.refresh(ctx)
	}
	if ctx.Err() != nil {
		return err
	}
	was := i.fault.Load()
	switch {
	case err == nil && (was != nil || !i.reached):
		i.log.Info("issuer reached", "issuer", i.spec.Issuer)
		i.reached = true
		i.fault.Store(nil)
	case err != nil:
		i.keys.forget(staleFor)
		i.fault.Store(&err)
		if was == nil {
			i.log.Warn("issuer not reached; tokens with keys that are known are good for a while", "issuer", i.spec.Issuer, "error", err)
		}
	default:
	}
	return err
}

// discover reads the discovery document, unless all is known and worked the last time.
func (i *issuer) discover(ctx context.Context) error {
	if i.spec.JWKSURL != "" || i.jwks.Load() != nil && i.fault.Load() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.spec.Issuer)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	var doc struct {
		JWKS       string `json:"jwks_uri"`
		Introspect string `json:"introspection_endpoint"`
	}
	if err := p.Claims(&doc); err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	if msg := issuerFault(doc.JWKS); msg != "" {
		return fmt.Errorf("discovery: jwks_uri: %s", msg)
	}
	i.jwks.Store(&doc.JWKS)
	if i.spec.Introspection.ClientID != "" && i.spec.Introspection.URL == "" {
		if msg := issuerFault(doc.Introspect); msg != "" {
			return fmt.Errorf("discovery: introspection_endpoint: %s", msg)
		}
		i.introspect.Store(&doc.Introspect)
	}
	return nil
}

// fetch gets the keys.
func (i *issuer) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	where := i.jwks.Load()
	if where == nil {
		return nil, errNoKeys
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, *where, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := i.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("keys: status %s", resp.Status)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return readKeys(data)
}

// useful reports whether a published key may have signed tokens.
func useful(k *jose.JSONWebKey) bool {
	if !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && !slices.Contains(Algorithms(), k.Algorithm) {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSA
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// bounded is a RoundTripper whose answers have a limit.
type bounded struct{ inner http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.inner.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}
