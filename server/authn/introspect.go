package authn

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/tidwall/gjson"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"weir/catalog/rawjson"
)

const (
	// believed is how long the answer about a token holds when the configuration does not say. A stream is closed within it when its token is revoked.
	believed = 4 * time.Second
	// refusedFor is how long a token that is not active is refused without asking again.
	refusedFor = 5 * time.Second
	// failures is how many unknown tokens one address may have an issuer asked about at once, and failuresEvery how soon it may do so once more.
	failures      = 60
	failuresEvery = time.Second
	addresses     = 4096
)

// limiter keeps strangers from having issuers asked without end.
type limiter struct {
	mu       sync.Mutex
	failed   *lru.Cache[string, *rate.Limiter]
	inactive *recent[[sha256.Size]byte]
	asking   singleflight.Group
}

func newLimiter() (*limiter, error) {
	failed, err := lru.New[string, *rate.Limiter](addresses)
	if err != nil {
		return nil, err
	}
	inactive, err := newRecent[[sha256.Size]byte](cached, refusedFor)
	return &limiter{failed: failed, inactive: inactive}, err
}

// of is the limit of an address.
func (l *limiter) of(from string) *rate.Limiter {
	address := host(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.failed.Get(address)
	if !ok {
		r = rate.NewLimiter(rate.Every(failuresEvery), failures)
		l.failed.Add(address, r)
	}
	return r
}

// introspects reports whether opaque tokens are for i to judge.
func (i *issuer) introspects() bool {
	return i.spec.Introspection.ClientID != "" && !i.spec.Introspection.JWTs
}

// introspect lets in whom the issuer knows an opaque token of. from is the address of its client.
func (a *Authenticator) introspect(ctx context.Context, s *state, i *issuer, res *resource, token, from string) (known, error) {
	answer, until, err := a.active(ctx, s, i, res, token, from)
	if err != nil {
		return known{}, err
	}
	k, err := s.admit(i, res, answer)
	k.caller.Until, k.issuer = until, nil // no key was used
	return k, err
}

// active asks the issuer about a token (RFC 7662) and returns what it says of it, and until when that may be believed.
func (a *Authenticator) active(
	ctx context.Context, s *state, i *issuer, res *resource, token, from string,
) (answer []byte, until time.Time, err error) {
	sum := s.sum(res, token)
	inactive := invalid("the token is not active")
	if a.limit.inactive.has(sum) {
		return nil, until, inactive
	}
	bad := a.limit.of(from)
	if bad.Tokens() < 1 {
		return nil, until, &cause{status: http.StatusTooManyRequests, reason: "too many failed sign-ins from this address"}
	}
	v, err, _ := a.limit.asking.Do(string(sum[:]), func() (any, error) {
		return i.ask(context.WithoutCancel(ctx), token)
	})
	answer, ok := v.([]byte)
	if err != nil || !ok {
		return nil, until, unavailable(err)
	}
	until, reason := s.judge(i, res, answer)
	if reason != "" {
		bad.Allow()
		a.limit.inactive.add(sum)
		inactive.detail = errors.New(reason)
		return nil, until, inactive
	}
	return answer, earlier(until, time.Now().Add(cmp.Or(i.spec.Introspection.Cache, believed))), nil
}

// judge returns until when an answer lets its token in, or why it does not. What is not said counts against it.
func (s *state) judge(i *issuer, res *resource, answer []byte) (until time.Time, reason string) {
	exp := gjson.GetBytes(answer, "exp")
	until = time.Unix(int64(exp.Float()), 0).Add(s.spec.ClockSkew)
	kind := gjson.GetBytes(answer, "token_type")
	switch {
	case gjson.GetBytes(answer, "active").Type != gjson.True:
		return until, "not active"
	case text(answer, "iss") != i.spec.Issuer:
		return until, "iss is another or missing"
	case res.audienceIn(i, answer) == "":
		return until, "aud is another or missing"
	case exp.Type != gjson.Number || !time.Now().Before(until):
		return until, "expired, or exp is missing"
	case kind.Exists() && !strings.EqualFold(kind.String(), "bearer") && !strings.EqualFold(kind.String(), "access_token"):
		return until, "no bearer token"
	}
	reason, _ = s.untimely(answer)
	return until, reason
}

// ask sends one introspection request and returns the answer, an object without ambiguous keys.
func (i *issuer) ask(ctx context.Context, token string) ([]byte, error) {
	where := i.introspect.Load()
	if where == nil {
		return nil, errors.New("introspection: the issuer was not reached yet")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, *where, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.GetBody = nil
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.SetBasicAuth(url.QueryEscape(i.spec.Introspection.ClientID), url.QueryEscape(i.spec.Introspection.ClientSecret)) // RFC 6749, 2.3.1
	resp, err := i.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("introspection: status %s", resp.Status)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' {
		return nil, errors.New("introspection: the answer is no object")
	}
	if err := rawjson.UniqueKeys(b); err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	return b, nil
}
