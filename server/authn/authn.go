package authn

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"weir/catalog"
	"weir/policy"
)

const (
	// maxToken bounds a credential in bytes; a header may be as long.
	maxToken = 64 << 10
	// cached is how many verified credentials are remembered.
	cached = 16 << 10
)

// Caller is a verified identity and until when it may be relied on without asking again. The zero time is for ever.
type Caller struct {
	Principal policy.Principal
	Until     time.Time
	// Token is the bearer token of an issuer, "" for callers who showed something else: an API key is nothing that could be exchanged.
	Token catalog.Token
}

// of is who showed a verified credential, with the token itself.
func (k *known) of(token string) Caller {
	c := k.caller
	if k.issuer != nil {
		c.Token = catalog.Token(token)
	}
	return c
}

// Options are what an Authenticator is made of.
type Options struct {
	// Spec has its references resolved.
	Spec Spec
	// Resources are the endpoints, the main one first.
	Resources []Resource
	// ClientCA are the authorities of client certificates, nil for none.
	ClientCA *x509.CertPool
	// Transport reaches the issuers; nil is http.DefaultTransport.
	Transport http.RoundTripper
	Log       *slog.Logger
	Meter     metric.Meter // nil for nobody who measures
}

// Authenticator says who is calling. It is safe for concurrent use. Close must be called in the end.
type Authenticator struct {
	transport http.RoundTripper
	log       *slog.Logger
	state     atomic.Pointer[state]
	reload    sync.Mutex
	limit     *limiter
	refused   *refused
	skew      metric.Float64Histogram // how far clocks of issuers are ahead
}

// state is everything that a reload replaces.
type state struct {
	spec      Spec
	resources []*resource
	byPath    map[string]*resource
	issuers   []*issuer
	keys      []apiKey
	authority *x509.CertPool
	scopes    scopes
	verified  *lru.Cache[[sha256.Size]byte, known]
}

// resource is a Resource, ready.
type resource struct {
	Resource
	main     bool
	url      string   // canonical
	urlPath  string   // of url
	metadata string   // URL of its metadata
	scopes   []string // that every caller needs
	document []byte
}

// known is a verified credential.
type known struct {
	caller Caller
	issuer *issuer // nil for API keys and certificates
	keys   uint64  // generation of the issuer's keys it was verified with
}

// New returns an authenticator and starts to fetch the keys of its issuers; it does not wait for them.
func New(o Options) (*Authenticator, error) {
	limit, err := newLimiter()
	if err != nil {
		return nil, err
	}
	a := &Authenticator{transport: o.Transport, log: o.Log, limit: limit}
	if o.Meter == nil {
		o.Meter = noop.NewMeterProvider().Meter("")
	}
	a.skew, err = o.Meter.Float64Histogram("weir.auth.clock_skew", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 5, 10, 20, 30, 60, 300),
		metric.WithDescription("How far the clock of an issuer is ahead, where its tokens show that"))
	if err != nil {
		return nil, err
	}
	if a.refused, err = newRefused(o.Meter); err != nil {
		return nil, err
	}
	if a.transport == nil {
		a.transport = http.DefaultTransport
	}
	if err := a.Reload(o.Spec, o.Resources, o.ClientCA); err != nil {
		return nil, err
	}
	return a, nil
}

// Reload replaces how callers sign in. What was verified before is verified again. Issuers that did not change keep their keys.
func (a *Authenticator) Reload(spec Spec, resources []Resource, authority *x509.CertPool) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	if faults := spec.Faults(); len(faults) > 0 {
		return errors.New(faults[0].String())
	}
	if len(resources) == 0 {
		return errors.New("auth: there is no resource to sign in to")
	}
	next := &state{spec: spec, byPath: make(map[string]*resource), scopes: newScopes(spec.ScopeIncludes), authority: authority}
	var err error
	if next.verified, err = lru.New[[sha256.Size]byte, known](cached); err != nil {
		return err
	}
	if next.keys, err = newKeys(spec.APIKeys); err != nil {
		return err
	}
	var last []*issuer
	if old := a.state.Load(); old != nil {
		last = old.issuers
	}
	var started []*issuer
	for _, s := range spec.OIDC {
		if i := slices.IndexFunc(last, func(i *issuer) bool { return reflect.DeepEqual(i.spec, s) }); i >= 0 && s.JWKSFile == "" {
			next.issuers = append(next.issuers, last[i])
			continue
		}
		i, err := newIssuer(s, a.transport, a.log)
		if err != nil {
			stopAll(started)
			return err
		}
		started, next.issuers = append(started, i), append(next.issuers, i)
	}
	for n, r := range resources {
		res, err := next.resource(r, n == 0)
		if err != nil {
			stopAll(started)
			return err
		}
		next.resources, next.byPath[r.Path] = append(next.resources, res), res
	}
	a.state.Store(next)
	stopAll(slices.DeleteFunc(slices.Clone(last), func(i *issuer) bool { return slices.Contains(next.issuers, i) }))
	return nil
}

// resource makes a Resource ready.
func (s *state) resource(r Resource, main bool) (*resource, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("auth.resource: %q is no absolute URL", r.URL)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	u.Path = strings.TrimSuffix(u.Path, "/")
	res := &resource{Resource: r, main: main, url: u.String(), urlPath: u.Path, metadata: metadataOf(u)}
	res.scopes = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(s.spec.Scopes), r.Scopes...))))
	res.document = s.document(res)
	return res, nil
}

// audience is what the aud of an issuer's tokens must have for r.
func (r *resource) audience(i *issuer) string {
	switch {
	case r.Audience != "":
		return r.Audience
	case r.main && i.spec.Audience != "":
		return i.spec.Audience
	}
	return r.url
}

func stopAll(issuers []*issuer) {
	for _, i := range issuers {
		i.stop()
	}
}

// Close stops fetching keys.
func (a *Authenticator) Close() {
	a.reload.Lock()
	defer a.reload.Unlock()
	if s := a.state.Load(); s != nil {
		stopAll(s.issuers)
	}
}

// Ready returns why an issuer's tokens cannot be verified, or not with fresh keys; nil when all can.
func (a *Authenticator) Ready() error {
	var all []error
	for _, i := range a.state.Load().issuers {
		if err := i.ready(); err != nil {
			all = append(all, fmt.Errorf("%s: %w", i.spec.Issuer, err))
		}
	}
	return errors.Join(all...)
}

// Verifies reports whether the tokens of some issuer can be verified; it is true where there are no issuers.
func (a *Authenticator) Verifies() bool {
	all := a.state.Load().issuers
	return len(all) == 0 || slices.ContainsFunc(all, func(i *issuer) bool {
		p := i.keys.current.Load()
		return p != nil && !p.lost
	})
}

// At returns what says who calls the endpoint at path. Every error it returns is a *Refusal.
func (a *Authenticator) At(path string) func(*http.Request) (Caller, error) {
	return func(r *http.Request) (Caller, error) { return a.Authenticate(path, r) }
}

// Authenticate verifies the credential of a request to the endpoint at path. The error is a *Refusal.
func (a *Authenticator) Authenticate(path string, r *http.Request) (Caller, error) {
	s := a.state.Load()
	res := s.byPath[path]
	if res == nil {
		return Caller{}, &Refusal{Status: http.StatusNotFound, Reason: "there is no such resource"}
	}
	c, fault := a.who(s, res, r)
	if fault != nil {
		a.tell(r, res, fault)
		return Caller{}, s.refusal(res, fault)
	}
	return c, nil
}

// who verifies the credential of a request, or says why not.
func (a *Authenticator) who(s *state, res *resource, r *http.Request) (Caller, *cause) {
	token, fault := bearer(r)
	if fault != nil {
		return Caller{}, fault
	}
	if token == "" {
		return s.certified(res, r)
	}
	now := time.Now()
	sum := s.sum(res, token)
	if k, ok := s.verified.Get(sum); ok && k.good(now) {
		return k.of(token), nil
	}
	k, err := a.verify(r.Context(), s, res, token, r.RemoteAddr)
	if err == nil && k.caller.Principal.IsNobody() {
		err = errors.New("verified nobody")
	}
	if err != nil {
		return Caller{}, causeOf(err)
	}
	s.verified.Add(sum, k)
	return k.of(token), nil
}

// causeOf is the cause in err. What nobody foresaw is no reason to let anybody in.
func causeOf(err error) *cause {
	if c, ok := errors.AsType[*cause](err); ok {
		return c
	}
	return unavailable(err)
}

// good reports whether a verified credential still is.
func (k *known) good(now time.Time) bool {
	return (k.caller.Until.IsZero() || now.Before(k.caller.Until)) && (k.issuer == nil || k.issuer.keys.generation() == k.keys)
}

// sum names a credential for a resource without being of use to whoever reads it.
func (s *state) sum(res *resource, token string) [sha256.Size]byte {
	if res.main {
		var room [2 << 10]byte // on the stack; a conversion would allocate
		return sha256.Sum256(append(room[:0], token...))
	}
	h := sha256.New()
	_, _ = h.Write([]byte(res.Path)) // a hash takes everything
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(token))
	return [sha256.Size]byte(h.Sum(nil))
}

// bearer is the bearer token of a request, "" for a request without one (RFC 6750, 2.1). Tokens in bodies and queries are not looked at.
func bearer(r *http.Request) (string, *cause) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", malformed()
	}
	const scheme = "Bearer "
	v := values[0]
	switch {
	case len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme):
		return "", &cause{status: http.StatusUnauthorized, reason: "sign in with a bearer token"}
	case len(v) > maxToken:
		return "", invalid("the token is too large")
	}
	token := strings.Trim(v[len(scheme):], " ")
	for i := range len(token) {
		// b64token of RFC 6750, and what API keys have besides.
		if c := token[i]; c <= ' ' || c > '~' || c == '"' || c == ',' {
			return "", malformed()
		}
	}
	if token == "" {
		return "", malformed()
	}
	return token, nil
}

// verify checks a bearer token that is not remembered.
func (a *Authenticator) verify(ctx context.Context, s *state, res *resource, token, from string) (known, error) {
	if k := s.key(token); k != nil {
		return k.use(res, time.Now())
	}
	if header, claims, isJWT := peek(token); isJWT {
		return a.verifyJWT(ctx, s, res, token, from, header, claims)
	}
	for _, i := range s.issuers {
		if i.introspects() {
			return a.introspect(ctx, s, i, res, token, from)
		}
	}
	switch {
	case len(s.keys) == 0:
		return known{}, invalid("the token is malformed")
	case len(s.issuers) == 0:
		return known{}, invalid("the API key is not known")
	default:
		return known{}, invalid("the token is neither an API key that is known nor a JWT")
	}
}
