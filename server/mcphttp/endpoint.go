package mcphttp

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/server"
	"weir/server/authn"
)

// Options are what an Endpoint is made of.
type Options struct {
	Gateway *server.Gateway
	Spec    server.Spec
	Log     *slog.Logger
	Memory  *server.Memory // large bodies are not read when it is short; nil for no limit
	// Authenticate says who is calling, from verified facts of the connection and the request. Its error, a *authn.Refusal, is the answer.
	// For a held stream it is asked again when the identity ends, and every few seconds.
	Authenticate func(*http.Request) (authn.Caller, error)
}

// sessionsPerPrincipal bounds the legacy sessions of one principal.
const sessionsPerPrincipal = 4096

// Endpoint serves MCP at one path.
type Endpoint struct {
	gateway  *server.Gateway
	spec     server.Spec
	log      *slog.Logger
	identify func(*http.Request) (authn.Caller, error)
	guard    guard
	memory   *server.Memory
	sessions *server.Sessions
	replay   *replay
	// life ends when the server must stop; requests that outlive their connection hang on it.
	life   context.Context //nolint:containedctx // it is the lifetime of the endpoint itself, not that of a call
	end    context.CancelCauseFunc
	drain  chan struct{} // closed when held streams must end
	opted  atomic.Int64  // numbers modern requests that take log messages
	closed atomic.Bool
}

// New returns an endpoint. Close must be called at the end.
func New(o Options) *Endpoint {
	life, end := context.WithCancelCause(context.Background())
	e := &Endpoint{
		gateway: o.Gateway, spec: o.Spec, log: o.Log, identify: o.Authenticate, guard: newGuard(o.Spec), memory: o.Memory,
		sessions: server.NewSessions(o.Spec.SessionIdle, sessionsPerPrincipal), replay: newReplay(defaultLimits()),
		life: life, end: end, drain: make(chan struct{}),
	}
	go e.sweep()
	return e
}

// Drain ends the held streams, so that a stopping server waits for calls only.
func (e *Endpoint) Drain() {
	if !e.closed.Swap(true) {
		close(e.drain)
	}
}

// GiveUp ends the requests that outlive their connection; cause is what their clients are told.
func (e *Endpoint) GiveUp(cause error) { e.end(cause) }

// Close ends every session and request.
func (e *Endpoint) Close() {
	e.Drain()
	e.end(nil)
	for _, s := range e.sessions.All() {
		e.sessions.Remove(s)
	}
	e.replay.sweep(time.Now())
}

// sweep ends idle sessions until the endpoint closes.
func (e *Endpoint) sweep() {
	tick := time.NewTicker(max(e.spec.SessionIdle/10, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-e.life.Done():
			return
		case now := <-tick.C:
			e.sessions.Sweep(now)
			e.replay.sweep(now)
		}
	}
}

// ServeHTTP handles one HTTP request to the endpoint.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{endpoint: e, w: w, r: r, conn: connOf(r)}
	defer x.conn.answered()
	defer x.rescue()
	if reason := e.guard.refuse(r); reason != "" {
		plain(w, http.StatusForbidden, reason)
		return
	}
	c, err := e.identify(r)
	if err != nil || c.Principal.IsNobody() {
		unidentified(w, r, err)
		return
	}
	x.principal, x.token, x.until = c.Principal, c.Token, c.Until
	switch r.Method {
	case http.MethodPost:
		x.post()
	case http.MethodGet:
		x.conn.arrived()
		x.get()
	case http.MethodDelete:
		x.delete()
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		plain(w, http.StatusMethodNotAllowed, "method not allowed")
	}
}

// post reads one message and hands it to the rules of its era.
func (x *exchange) post() {
	e, w, r := x.endpoint, x.w, x.r
	if !isJSON(r.Header.Get("Content-Type")) {
		plain(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
		return
	}
	if !x.acceptable() {
		plain(w, http.StatusNotAcceptable, "Accept must allow application/json and text/event-stream")
		return
	}
	size := r.ContentLength
	if size < 0 {
		size = server.LargeMessage // how much comes is not said
	}
	letGo, room := e.memory.Hold(size)
	if !room {
		w.Header().Set("Connection", "close")
		x.finish(server.ShortReply(nil))
		return
	}
	defer letGo()
	body, status, reason := e.read(w, r)
	if reason != "" {
		if status == http.StatusRequestEntityTooLarge {
			w.Header().Set("Connection", "close")
		}
		x.finish(server.ErrorReply(status, nil, server.CodeInvalidRequest, reason, nil))
		return
	}
	defer body.release()
	x.conn.arrived()
	var m rawjson.Message
	if err := rawjson.Scan(&m, body.bytes); err != nil {
		e.refuse(x, body.bytes, err)
		return
	}
	if x.modern(&m) {
		x.serveModern(&m)
	} else {
		x.serveLegacy(&m)
	}
}

// rescue answers a request on whose way something panicked, if its answer has not begun.
func (x *exchange) rescue() {
	p := recover()
	if p == nil {
		return
	}
	reply := server.Panicked(x.endpoint.log, nil, p)
	if x.mu.TryLock() { // who panicked may hold it; then the answer is cut off
		begun := x.started || x.gone
		x.mu.Unlock()
		if !begun {
			x.json = true
			x.finish(reply)
			return
		}
	}
	reply.Release()
}

// isJSON reports whether a Content-Type is JSON; parameters are allowed, other charsets than UTF-8 are the scanner's to find.
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// plain answers with a line of text.
func plain(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(reason + "\n")) //nolint:gosec // text/plain with nosniff; the client may be gone
}

// request makes the gateway's request of a message.
func (x *exchange) request(m *rawjson.Message, c *catalog.Client, s *server.Session) *server.Request {
	from, _ := netip.ParseAddrPort(x.r.RemoteAddr) // the peer's own: what headers say of others is not believed
	return &server.Request{Principal: x.principal, Token: x.token, Address: from.Addr().Unmap(), Client: c, Message: m, Session: s, Notify: x.notify, Ask: x.ask(s)}
}
