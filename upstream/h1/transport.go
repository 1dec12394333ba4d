package h1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Transport keeps connections to HTTP/1.1 servers. The zero value is ready; it is safe for concurrent use.
type Transport struct {
	// Dial opens a connection; nil means net.Dialer with its defaults.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// MaxIdle bounds the resting connections per address, 0 means 256.
	MaxIdle int
	// IdleTimeout is how long a connection may rest, 0 means 90 seconds.
	IdleTimeout time.Duration
	// MaxLife is how old a connection may be when a request is sent on it, 0 means five minutes: a new one asks again for the address behind the name.
	MaxLife time.Duration
	// MaxHeader bounds the header of an answer in bytes, 0 means 256 KiB.
	MaxHeader int

	mu    sync.Mutex
	idle  map[string][]*conn // by address, the latest used last
	prune *time.Timer        // runs while something rests
}

const (
	defaultMaxIdle     = 256
	defaultIdleTimeout = 90 * time.Second
	defaultMaxLife     = 5 * time.Minute
	defaultMaxHeader   = 256 << 10
	// joined is the largest body that leaves in one write with its header.
	joined = 64 << 10
)

var errScheme = errors.New("h1: only http URLs")

// RoundTrip sends r and returns the answer when its header is there. The answer's body must be read to its end or closed. r.ContentLength must be
// the length of r.Body; r.Body is closed before RoundTrip returns.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	if r.URL.Scheme != "http" {
		return nil, errScheme
	}
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	address := r.URL.Host
	if r.URL.Port() == "" {
		address = net.JoinHostPort(r.URL.Hostname(), "80")
	}
	c, err := t.take(ctx, address)
	if err != nil {
		return nil, err
	}
	c.begin(ctx)
	if err := c.send(r); err != nil {
		c.close()
		return nil, unsent(ctx, c, r, err)
	}
	resp, err := c.receive(r)
	if err != nil {
		c.close()
		if cause := ctx.Err(); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	return resp, nil
}

// unsent is the error of a failed write. When not a byte left, it is what GetBody says.
func unsent(ctx context.Context, c *conn, r *http.Request, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if c.wrote == 0 && c.used && r.GetBody != nil {
		body, again := r.GetBody()
		if again != nil {
			return again
		}
		_ = body.Close()
	}
	return err
}

// take returns a resting connection that is still alive, or a new one.
func (t *Transport) take(ctx context.Context, address string) (*conn, error) {
	for {
		c := t.rested(address)
		if c == nil {
			break
		}
		if c.alive() {
			return c, nil
		}
		c.close()
	}
	dial := t.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return newConn(t, address, nc), nil
}

// rested takes the latest used connection that is not too old and did not rest too long; others are closed.
func (t *Transport) rested(address string) *conn {
	limit, now := t.idleTimeout(), time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for list := t.idle[address]; len(list) > 0; list = t.idle[address] {
		c := list[len(list)-1]
		list[len(list)-1] = nil
		t.idle[address] = list[:len(list)-1]
		if !c.old(now) && now.Sub(c.since) <= limit {
			return c
		}
		c.close()
	}
	return nil
}

// rest puts a connection back after its answer was read to the end.
func (t *Transport) rest(c *conn) {
	limit := t.MaxIdle
	if limit == 0 {
		limit = defaultMaxIdle
	}
	c.used, c.since = true, time.Now()
	if c.old(c.since) {
		c.close()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[c.address]) >= limit {
		c.close()
		return
	}
	if t.idle == nil {
		t.idle = make(map[string][]*conn)
	}
	t.idle[c.address] = append(t.idle[c.address], c)
	if t.prune == nil {
		t.prune = time.AfterFunc(t.idleTimeout(), t.pruneIdle)
	}
}

func (t *Transport) idleTimeout() time.Duration {
	if t.IdleTimeout > 0 {
		return t.IdleTimeout
	}
	return defaultIdleTimeout
}

// pruneIdle closes what rested too long, and comes back while anything rests.
func (t *Transport) pruneIdle() {
	limit := t.idleTimeout()
	t.mu.Lock()
	defer t.mu.Unlock()
	left := 0
	for address, list := range t.idle {
		kept := slices.DeleteFunc(list, func(c *conn) bool {
			old := time.Since(c.since) >= limit
			if old {
				c.close()
			}
			return old
		})
		left += len(kept)
		if t.idle[address] = kept; len(kept) == 0 {
			delete(t.idle, address)
		}
	}
	if t.prune = nil; left > 0 {
		t.prune = time.AfterFunc(limit, t.pruneIdle)
	}
}

// CloseIdleConnections closes the connections that rest now.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.idle {
		for _, c := range list {
			c.close()
		}
	}
	t.idle = nil
	if t.prune != nil {
		t.prune.Stop()
		t.prune = nil
	}
}

// send writes r.
func (c *conn) send(r *http.Request) error {
	b, err := appendHead(c.out[:0], r)
	if err != nil {
		return err
	}
	if r.Body != nil && r.ContentLength > 0 && r.ContentLength <= joined {
		start := len(b)
		b = append(b, make([]byte, r.ContentLength)...)
		if _, err := io.ReadFull(r.Body, b[start:]); err != nil {
			return err
		}
	}
	n, err := c.Write(b)
	c.wrote += int64(n)
	if cap(b) <= joined*2 {
		c.out = b
	}
	if err != nil || r.Body == nil || r.ContentLength <= joined {
		return err
	}
	m, err := writeBody(c.Conn, r)
	c.wrote += m
	if err == nil && m != r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// writeBody writes a large body, in one piece when it is in memory.
func writeBody(w io.Writer, r *http.Request) (int64, error) {
	if body, ok := r.Body.(io.WriterTo); ok {
		return body.WriteTo(w)
	}
	return io.CopyN(w, r.Body, r.ContentLength)
}
