package mcphttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"weir/catalog"
	"weir/server"
)

// requestTimeout bounds how long a client may take to send a request, header and body; idleTimeout how long a kept connection may rest.
const (
	requestTimeout = 30 * time.Second
	idleTimeout    = 2 * time.Minute
)

// Listen opens the listening socket. signIn says that callers have to sign in; an address that other machines can reach is refused while nobody has to,
// unless the configuration says in so many words that this is meant.
func Listen(ctx context.Context, s server.Spec, signIn bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return nil, catalog.Errorf(catalog.Config, "listen: %q is not host:port", s.Listen)
	}
	if !onlyLoopback(host) && !signIn && !s.InsecureNoAuth {
		return nil, &catalog.Error{
			Code: catalog.Config,
			Msg:  fmt.Sprintf("listen: %s can be reached from other machines, and nobody has to sign in", s.Listen),
			Hint: "listen on 127.0.0.1, write auth, or say --insecure-no-auth if everybody who can connect may call everything",
		}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return nil, &catalog.Error{
			Code: catalog.Config, Msg: fmt.Sprintf("listen: cannot listen on %s: %v", s.Listen, errors.Unwrap(err)), Err: err,
			Hint: "another program may have the port; choose another with --listen",
		}
	}
	return ln, nil
}

// onlyLoopback reports whether a listen host is reached from this machine only. A name other than localhost may be anything.
func onlyLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Serve answers requests on ln until ctx ends; then it takes no new connections, ends held streams, and waits for the requests in flight
// as long as the spec allows. It returns nil after a complete drain.
func (e *Endpoint) Serve(ctx context.Context, ln net.Listener, handler http.Handler) error {
	s := &http.Server{
		Handler:        handler,
		ReadTimeout:    requestTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: int(e.spec.MaxHeader),
		ErrorLog:       slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, patienceKey{}, new(patience))
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	e.Drain()
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.spec.DrainTimeout)
	defer cancel()
	err := s.Shutdown(bound)
	if err != nil {
		_ = s.Close()
		return catalog.Errorf(catalog.Timeout, "drain: requests were still open after %v", e.spec.DrainTimeout)
	}
	return nil
}

// patience is how long a connection's reader is still given. Moving a deadline costs about as much as scanning a small message, so it is moved
// when half of it is gone and not with every write: a write has between one and two times the configured limit.
type patience struct{ until time.Time }

// patienceKey finds the patience of a request's connection. It is a fact of the connection, not of the request's meaning.
type patienceKey struct{}

// allow gives the next write on w at least limit. Writes of one connection follow each other.
func allow(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	p, ok := r.Context().Value(patienceKey{}).(*patience)
	if !ok {
		p = new(patience)
	}
	if now := time.Now(); p.until.Sub(now) < limit {
		p.until = now.Add(2 * limit)
		_ = http.NewResponseController(w).SetWriteDeadline(p.until) // not every ResponseWriter has one (tests)
	}
}
