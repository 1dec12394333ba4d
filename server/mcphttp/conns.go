package mcphttp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// conns are the open connections of a server. When there are as many as may be, a new one takes the place of that which makes it wait longest for a
// request: so clients that hold connections and send nothing, or send slowly, keep nobody out.
type conns struct {
	most int // 0 for no bound
	log  *slog.Logger

	mu   sync.Mutex
	open map[net.Conn]*conn
	said time.Time // when the log was last told that there are too many
}

// conn is what is known of a connection.
type conn struct {
	// waiting is since when a request, or the rest of one, is waited for, in Unix nanoseconds; 0 while one is answered.
	waiting atomic.Int64
	// until is how long the reader is still given. Moving a deadline costs about as much as scanning a small message, so it is not moved with every write.
	until time.Time
}

// connKey finds the conn of a request. It is a fact of the connection, not of the request's meaning.
type connKey struct{}

// connOf is the connection of a request; a new one where nobody keeps them (tests).
func connOf(r *http.Request) *conn {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		return c
	}
	return new(conn)
}

// saidEvery bounds how often the log is told that there are too many connections.
const saidEvery = time.Minute

// add is http.Server.ConnContext.
func (s *conns) add(ctx context.Context, nc net.Conn) context.Context {
	now := time.Now()
	c := new(conn)
	c.waiting.Store(now.UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.most > 0 && len(s.open) >= s.most {
		if now.Sub(s.said) >= saidEvery {
			s.said = now
			s.log.Warn("too many connections; those that wait for a request longest are closed", "connections", len(s.open))
		}
		if !s.evict() {
			_ = abort(nc) // all others are being answered
			return context.WithValue(ctx, connKey{}, c)
		}
	}
	s.open[nc] = c
	return context.WithValue(ctx, connKey{}, c)
}

// evict closes the connection that waits longest; false when none waits. s.mu is held.
func (s *conns) evict() bool {
	var longest net.Conn
	var since int64
	for nc, c := range s.open {
		if w := c.waiting.Load(); w != 0 && (longest == nil || w < since) {
			longest, since = nc, w
		}
	}
	if longest == nil {
		return false
	}
	delete(s.open, longest)
	_ = abort(longest)
	return true
}

// abort closes a connection without the farewell of TLS, which may wait for its peer.
func abort(nc net.Conn) error {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	return nc.Close()
}

// turned is http.Server.ConnState.
func (s *conns) turned(nc net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		s.mu.Lock()
		delete(s.open, nc)
		s.mu.Unlock()
	}
}

// count is how many connections are open.
func (s *conns) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// arrived says that a request is there, whole: from now on its answer is what lasts.
func (c *conn) arrived() { c.waiting.Store(0) }

// answered says that the next request is waited for.
func (c *conn) answered() { c.waiting.Store(time.Now().UnixNano()) }

// allow gives the next write on w at least limit, and at most half as much again. Writes of one connection follow each other.
func (c *conn) allow(w http.ResponseWriter, limit time.Duration) {
	if now := time.Now(); c.until.Sub(now) < limit {
		c.until = now.Add(limit + limit/2)
		_ = http.NewResponseController(w).SetWriteDeadline(c.until) // not every ResponseWriter has one (tests)
	}
}
