package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

const (
	dialTimeout    = 10 * time.Second
	idleTimeout    = 90 * time.Second
	maxHeaderBytes = 64 << 10
	maxIdle        = 32
)

// ErrRefused is matched by the error of a request whose target is not one that may be dialled.
var ErrRefused = errors.New("egress: the address is not allowed")

// Options say what may be reached besides public addresses on ports 80 and 443.
type Options struct {
	// Declared are the URLs of endpoints that configuration names: their hosts may have private addresses and any port.
	Declared []string
	// TLS is used for https, nil for the defaults. It carries client certificates and private roots.
	TLS *tls.Config
}

// Transport is a guarded http.RoundTripper. Safe for concurrent use.
type Transport struct {
	inner    Renewed
	declared map[string]*ssrf.Guardian // by host:port
	public   *ssrf.Guardian
}

// New returns a transport. The error names a declared URL that is none.
func New(o Options) (*Transport, error) {
	t := &Transport{declared: make(map[string]*ssrf.Guardian, len(o.Declared)), public: ssrf.New()}
	for _, d := range o.Declared {
		u, err := url.Parse(d)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("egress: %q is no http or https URL", d)
		}
		t.declared[hostPort(u)] = guardian(u.Hostname())
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	t.inner.Transport = &http.Transport{
		DialContext:            t.Dial,
		TLSClientConfig:        o.TLS.Clone(),
		TLSHandshakeTimeout:    dialTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    maxIdle,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
	}
	return t, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// guardian is the guard of a declared host: private networks are open, and the host itself when it is written as an address.
func guardian(host string) *ssrf.Guardian {
	v4 := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	}
	v6 := []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7")}
	if a, err := netip.ParseAddr(host); err == nil {
		if a = a.WithZone(""); a.Is4() {
			v4 = append(v4, netip.PrefixFrom(a, a.BitLen()))
		} else {
			v6 = append(v6, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

// Dial connects to address, host:port as the request has it, when the guard lets the resolved address through.
func (t *Transport) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	guard, ok := t.declared[address]
	if !ok {
		guard = t.public
	}
	d := net.Dialer{Timeout: dialTimeout, Control: guard.Safe}
	c, err := d.DialContext(ctx, network, address)
	for _, refused := range [...]error{ssrf.ErrProhibitedIP, ssrf.ErrProhibitedPort, ssrf.ErrProhibitedNetwork, ssrf.ErrInvalidHostPort} {
		if errors.Is(err, refused) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%w: %w", ErrRefused, err)}
		}
	}
	return c, err
}

// RoundTrip implements http.RoundTripper. Only http and https are taken. What may change something leaves at most once.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.inner.RoundTrip(once(r))
}

// once keeps net/http from sending a request again by itself after a server may have acted on it. It does that for methods that change nothing, and for
// requests with an idempotency key, which it knows by the canonical form of the header's name; on the wire the case of names means nothing (RFC 9110, 5.1).
func once(r *http.Request) *http.Request {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r
	}
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := r.Header[name]; ok {
			r = r.Clone(r.Context())
			delete(r.Header, name)
			r.Header[strings.ToLower(name)] = values
		}
	}
	return r
}

// CloseIdleConnections closes the connections that wait for a next request.
func (t *Transport) CloseIdleConnections() { t.inner.CloseIdleConnections() }
