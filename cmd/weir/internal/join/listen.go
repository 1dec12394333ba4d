package join

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"weir/cmd/weir/internal/config"
)

// maxJoined bounds the clients of one gateway; more find none.
const maxJoined = 1024

// Options are what a gateway offers to those who join it.
type Options struct {
	Version string
	// InForce is of the configuration that is served at the moment.
	InForce func() *config.Expander
	// Serve answers one client until its input or ctx ends.
	Serve func(ctx context.Context, in io.Reader, out io.Writer) error
	// Answer answers a question of Conn.Ask, on one line. ctx ends when nobody waits for the answer any more.
	Answer func(ctx context.Context, question []byte) []byte
	// Drain is how long an answer may take when the gateway is told to stop.
	Drain time.Duration
	// WriteTimeout bounds one write to a client that does not read.
	WriteTimeout time.Duration
	Log          *slog.Logger
}

// Listener takes those who join.
type Listener struct {
	place Place
	o     Options
	ln    *net.UnixListener
	made  os.FileInfo // of the socket
	crew  sync.WaitGroup
	slots chan struct{}
}

// ErrTaken says that another gateway of the same configuration takes them already.
var ErrTaken = errors.New("join: another gateway serves this configuration already")

// Listen opens the socket. What a gateway left behind that did not end in good order is removed.
func Listen(ctx context.Context, p Place, o Options) (*Listener, error) {
	if err := os.MkdirAll(p.folder, 0o700); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if err := checkFolder(p.folder); err != nil {
		return nil, err
	}
	switch conn, err := dial(ctx, p); {
	case err == nil:
		_ = conn.Close() // it was only to see
		return nil, ErrTaken
	case errors.Is(err, refused):
		_ = os.Remove(p.socket) // if that fails, listening says why
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("join: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	ln.SetUnlinkOnClose(false) // by then it may be another's
	l := &Listener{place: p, o: o, ln: ln, slots: make(chan struct{}, maxJoined)}
	l.made, err = os.Lstat(p.socket)
	if err = errors.Join(err, os.Chmod(p.socket, 0o600)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Serve answers those who join until ctx ends, and their requests in flight then.
func (l *Listener) Serve(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.ln.AcceptUnix()
		if err != nil {
			break
		}
		select {
		case l.slots <- struct{}{}:
			l.crew.Go(func() {
				defer func() { <-l.slots }()
				l.take(ctx, conn)
			})
		default:
			_ = conn.Close() // it finds no gateway
		}
	}
	l.crew.Wait()
}

// Close takes nobody in any more and removes the socket.
func (l *Listener) Close() error {
	if now, err := os.Lstat(l.place.socket); err == nil && l.made != nil && os.SameFile(now, l.made) {
		_ = os.Remove(l.place.socket) // a stale one is removed by the next gateway
	}
	return l.ln.Close()
}

// take serves one connection.
func (l *Listener) take(ctx context.Context, conn *net.UnixConn) {
	defer func() { _ = conn.Close() }()
	if err := samePerson(conn); err != nil {
		l.o.Log.Warn("somebody who may not tried to join", "error", err)
		return
	}
	line, err := greet(l.place, l.o.Version, l.o.InForce())
	if err != nil {
		l.o.Log.Error("join", "error", err)
		return
	}
	out := &patient{conn: conn, limit: l.o.WriteTimeout}
	if _, err := out.Write(line); err != nil {
		return // it only looked
	}
	question, ok, in, err := asked(ctx, conn)
	switch {
	case err != nil: // it only looked
	case ok:
		l.answer(ctx, conn, out, question)
	default:
		if err := l.o.Serve(ctx, in, out); err != nil && !errors.Is(err, net.ErrClosed) {
			l.o.Log.Debug("a joined client was lost", "error", err)
		}
	}
}

// patient bounds every write. A client that does not read is hung up on.
type patient struct {
	conn  *net.UnixConn
	limit time.Duration
}

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.conn.SetWriteDeadline(time.Now().Add(p.limit)); err != nil {
		return 0, err
	}
	n, err := p.conn.Write(b)
	if err != nil {
		_ = p.conn.Close() // whoever reads from it hears that
	}
	return n, err
}
