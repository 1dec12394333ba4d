package h1

import (
	"bufio"
	"context"
	"net"
	"syscall"
	"time"
)

// conn is one connection. It is used by one request at a time.
type conn struct {
	net.Conn
	t       *Transport
	address string
	raw     syscall.RawConn // nil where the connection has none
	in      *bufio.Reader
	out     []byte
	wrote   int64 // bytes written for the current request
	used    bool  // it has carried a request before
	born    time.Time
	since   time.Time // when it began to rest
	release func() bool
}

const readBuffer = 8 << 10

func newConn(t *Transport, address string, nc net.Conn) *conn {
	c := &conn{Conn: nc, t: t, address: address, born: time.Now(), in: bufio.NewReaderSize(nc, readBuffer)}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	return c
}

// old reports whether no further request should be sent on it.
func (c *conn) old(now time.Time) bool {
	limit := c.t.MaxLife
	if limit == 0 {
		limit = defaultMaxLife
	}
	return now.Sub(c.born) >= limit
}

// past is a deadline that ends every read and write at once.
var past = time.Unix(1, 0)

// begin ties the connection to ctx until finish or close.
func (c *conn) begin(ctx context.Context) {
	c.wrote = 0
	c.release = func() bool { return true }
	if ctx.Done() != nil {
		c.release = context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })
	}
}

// finish unties the connection; false when its context ended first, so that it cannot be used again.
func (c *conn) finish() bool { return c.release() }

func (c *conn) close() {
	if c.release != nil {
		c.release()
	}
	_ = c.Close()
}
