package mcpconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"weir/catalog"
	"weir/upstream/egress"
	"weir/upstream/h1"
)

const (
	dialTimeout = 10 * time.Second
	idleConns   = 256
	idleTimeout = 90 * time.Second
	// ioBuffer lets a small call leave in one write and its answer arrive in one read.
	ioBuffer = 8 << 10
	// maxHeaderBytes bounds the header of an answer.
	maxHeaderBytes = 256 << 10
)

// endpoint is one URL that takes JSON-RPC messages by POST, with the connections that are kept open to it.
type endpoint struct {
	name   string // of the upstream, for errors
	like   *http.Request
	client client
	fixed  http.Header // sent with every request
	cred   Credential  // nil for none
	limit  int64
	pool   *buffers
	// held counts the answers in a row whose stream the server did not end after the response.
	held atomic.Int32
}

// newEndpoint checks the URL and the headers of cfg. Its errors name no value: both can hold secrets.
func newEndpoint(cfg *Config) (*endpoint, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, catalog.Errorf(catalog.Config, "%s: url is not an http or https URL", cfg.Name)
	}
	e := &endpoint{name: cfg.Name, fixed: http.Header{}, cred: cfg.Credential, limit: cfg.MaxMessage, pool: &buffers{memory: cfg.Memory}}
	for _, h := range cfg.Headers {
		name := textproto.CanonicalMIMEHeaderKey(h[0])
		if ReservedHeader(name) {
			return nil, catalog.Errorf(catalog.Config, "%s: the header %s is set by weir", cfg.Name, name)
		}
		e.fixed[name] = append(e.fixed[name], h[1])
	}
	e.fixed["User-Agent"] = []string{cfg.Client.Name + "/" + cfg.Client.Version}
	e.like = &http.Request{
		Method: http.MethodPost, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		GetBody: neverAgain,
	}
	if u.User != nil {
		password, _ := u.User.Password()
		e.like.Header = http.Header{}
		e.like.SetBasicAuth(u.User.Username(), password)
		e.fixed["Authorization"] = e.like.Header["Authorization"]
		u.User = nil
	}
	u.Fragment, u.RawFragment = "", ""
	e.like.URL = u
	if host := e.fixed["Host"]; host != nil {
		e.like.Host = host[0]
		delete(e.fixed, "Host")
	}
	e.client = newClient(u, cfg)
	return e, nil
}

// ReservedHeader reports whether a request header, in canonical form, belongs to the protocol or to the connection, so that no
// configuration may set it. The idempotency keys are among them because net/http repeats requests that carry one.
func ReservedHeader(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Idempotency-Key", "Keep-Alive", "Last-Event-Id",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "X-Idempotency-Key":
		return true
	}
	return strings.HasPrefix(name, "Mcp-") || strings.HasPrefix(name, "Proxy-")
}

// client sends requests on connections that it keeps.
type client interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newClient returns what sends requests to u: weir's own client where plain HTTP/1.1 is all there is to do, net/http for TLS and proxies.
func newClient(u *url.URL, cfg *Config) client {
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); u.Scheme == "http" && proxy == nil && err == nil {
		return &h1.Transport{Dial: dial, MaxIdle: idleConns, IdleTimeout: idleTimeout, MaxHeader: maxHeaderBytes}
	}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &egress.Renewed{Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		TLSClientConfig:        cfg.TLS.Clone(),
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ReadBufferSize:         ioBuffer,
		WriteBufferSize:        ioBuffer,
		Protocols:              &http1,
	}}
}

// errUnsent says that net/http wrote no byte of a request.
var errUnsent = errors.New("nothing was sent")

// neverAgain is the GetBody of every request. Clients ask for a second body when a kept connection turns out to be dead before the first byte
// of a request was written; net/http also for requests that it takes for repeatable, which a POST without an idempotency key never is. Refusing tells
// the two sides of "at most once" apart: this error means that nothing was sent, any other that the request may have been.
func neverAgain() (io.ReadCloser, error) { return nil, errUnsent }

// post sends msg, a part of buf, with header, which must not change any more. A request of which nothing was sent because the kept connection was
// dead is sent once more on another one, and so is one whose credential was refused when another one can be had; nothing else is ever repeated.
func (e *endpoint) post(ctx context.Context, header http.Header, buf *buffer, msg []byte) (*http.Response, error) {
	renewed, again := e.cred == nil, false
	for {
		body := &postBody{buf: buf, rest: msg}
		req := e.like.WithContext(ctx)
		req.Header, req.ContentLength = header, int64(len(msg))
		if err := e.authorize(req); err != nil {
			return nil, err
		}
		buf.keep()
		req.Body = body
		resp, err := e.client.RoundTrip(req)
		switch {
		case err == nil && resp.StatusCode == http.StatusUnauthorized && !renewed && e.cred.Renew(ctx):
			_ = resp.Body.Close()
			renewed = true
		case err == nil:
			return resp, nil
		case again || !errors.Is(err, errUnsent):
			return nil, e.noAnswer(ctx, err, body)
		default:
			again = true
		}
	}
}

// authorize puts the credential on a request, which gets a header and a URL of its own for that.
func (e *endpoint) authorize(r *http.Request) error {
	if e.cred == nil {
		return nil
	}
	u := *r.URL
	r.Header, r.URL = maps.Clone(r.Header), &u
	return e.cred.Authorize(r)
}

// postBody is the body of one attempt to send a message.
type postBody struct {
	buf     *buffer
	rest    []byte
	started atomic.Bool
}

func (o *postBody) Read(p []byte) (int, error) {
	o.started.Store(true)
	if len(o.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

// WriteTo writes what is left in one piece.
func (o *postBody) WriteTo(w io.Writer) (int64, error) {
	o.started.Store(true)
	n, err := w.Write(o.rest)
	o.rest = o.rest[n:]
	return int64(n), err
}

// Close ends the use of the buffer. net/http calls it exactly once.
func (o *postBody) Close() error {
	o.buf.drop()
	return nil
}

// noAnswer makes the error of a request to which no answer began.
func (e *endpoint) noAnswer(ctx context.Context, err error, body *postBody) error {
	x := catalog.Unknown
	if errors.Is(err, errUnsent) || !body.started.Load() {
		x = catalog.NotExecuted
	}
	if ctx.Err() != nil {
		return ended(ctx, e.name, x)
	}
	msg := "the connection broke before an answer came"
	if x == catalog.NotExecuted {
		msg = "no connection"
	}
	return &catalog.Error{Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: %s: %s", e.name, msg, brief(err)), Execution: x, Err: err}
}

// get sends a GET with header. Nothing is executed by it.
func (e *endpoint) get(ctx context.Context, header http.Header) (*http.Response, error) {
	return e.bare(ctx, http.MethodGet, header)
}

func (e *endpoint) bare(ctx context.Context, method string, header http.Header) (*http.Response, error) {
	req := e.like.WithContext(ctx)
	req.Method, req.Header, req.GetBody = method, header, nil
	if err := e.authorize(req); err != nil {
		return nil, err
	}
	resp, err := e.client.RoundTrip(req)
	if err == nil {
		return resp, nil
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, e.name, catalog.NotExecuted)
	}
	return nil, &catalog.Error{
		Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: no connection: %s", e.name, brief(err)), Execution: catalog.NotExecuted, Err: err,
	}
}

// at returns the endpoint of another URL of the same origin, with the same connections.
func (e *endpoint) at(u *url.URL) *endpoint {
	like := *e.like
	like.URL = u
	return &endpoint{name: e.name, like: &like, client: e.client, fixed: e.fixed, cred: e.cred, limit: e.limit, pool: e.pool}
}

// header returns a new header with the fixed fields and room for more.
func (e *endpoint) header(more int) http.Header {
	h := make(http.Header, len(e.fixed)+more)
	maps.Copy(h, e.fixed)
	return h
}

// ended is the error of a request whose context ended.
func ended(ctx context.Context, name string, x catalog.Execution) error {
	cause := context.Cause(ctx)
	var own *catalog.Error
	switch {
	case errors.As(cause, &own):
		e := *own
		e.Execution = x
		return &e
	case errors.Is(cause, context.DeadlineExceeded):
		return &catalog.Error{Code: catalog.Timeout, Msg: name + ": no answer in time", Execution: x, Err: cause}
	default:
		return &catalog.Error{Code: catalog.Canceled, Msg: name + ": the call was canceled", Execution: x, Err: cause}
	}
}

// brief says what went wrong with a connection, without addresses: the text reaches callers.
func brief(err error) string {
	var (
		op  *net.OpError
		dns *net.DNSError
	)
	switch {
	case errors.As(err, &dns):
		return dns.Err
	case errors.As(err, &op):
		inner := op.Err
		for next := errors.Unwrap(inner); next != nil; next = errors.Unwrap(next) {
			inner = next
		}
		return inner.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by the server"
	default:
		return err.Error()
	}
}
