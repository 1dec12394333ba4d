package mcphttp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"weir/catalog"
	"weir/server"
)

const (
	// headTimeout bounds how long a client may take to send the header of a request, and a small body with it; bodyTimeout is for a large one.
	headTimeout = 5 * time.Second
	bodyTimeout = 30 * time.Second
	// idleTimeout is how long a kept connection may rest.
	idleTimeout = 2 * time.Minute
	// lastWords is how long the answers to requests that were given up may take.
	lastWords = 500 * time.Millisecond
	// slack is what net/http adds to MaxHeaderBytes.
	slack = 4 << 10
)

// ServerOptions are what a Server is made of.
type ServerOptions struct {
	Spec    server.Spec
	Handler http.Handler
	Log     *slog.Logger
	// MaxConnections bounds the connections that are open at the same time, 0 for no bound.
	MaxConnections int
	// Drain is called when no new requests are wanted: it ends what would last. GiveUp is called when the time for the requests in flight is over, with
	// what they are to be told. Either may be nil.
	Drain  func()
	GiveUp func(cause error)
}

// Server serves HTTP on one listener, within bounds.
type Server struct {
	o     ServerOptions
	conns conns
}

// NewServer returns a server.
func NewServer(o ServerOptions) *Server {
	return &Server{o: o, conns: conns{most: o.MaxConnections, log: o.Log, open: make(map[net.Conn]*conn)}}
}

// Serve answers requests on ln until ctx ends. Then requests are still taken for DrainDelay, in which whoever spreads the load can learn that this gateway
// is not ready any more; after it no connection is taken, and those in flight are waited for as long as DrainTimeout. What is left then is given up, with an answer
// that says so. The error is one of listening; to have given something up is none.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	life, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	h := &http.Server{
		Handler:           s.o.Handler,
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       headTimeout, // the same as above, or net/http would move the deadline once more with every request
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    max(int(s.o.Spec.MaxHeader)-slack, 1),
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return life },
		ConnContext:       s.conns.add,
		ConnState:         s.conns.turned,
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	if s.o.Spec.DrainDelay > 0 {
		delay := time.NewTimer(s.o.Spec.DrainDelay)
		defer delay.Stop()
		select {
		case err := <-failed:
			return err
		case <-delay.C:
		}
	}
	if s.o.Drain != nil {
		s.o.Drain()
	}
	return s.shutDown(h, giveUp)
}

// shutDown ends the serving in good order.
func (s *Server) shutDown(h *http.Server, giveUp context.CancelCauseFunc) error {
	within := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		return h.Shutdown(ctx)
	}
	err := within(s.o.Spec.DrainTimeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.o.Log.Warn("requests that were still open are given up", "waited", s.o.Spec.DrainTimeout, "connections", s.conns.count())
	cause := catalog.Errorf(catalog.Unavailable, "weir is stopping and waited for this no longer")
	giveUp(cause)
	if s.o.GiveUp != nil {
		s.o.GiveUp(cause)
	}
	if within(lastWords) != nil {
		_ = h.Close() // who does not read does not hear it
	}
	return nil
}
