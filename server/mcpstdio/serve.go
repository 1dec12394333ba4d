package mcpstdio

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
)

// Options are what a connection is made of.
type Options struct {
	Gateway   *server.Gateway
	Principal policy.Principal
	Log       *slog.Logger
	// MaxMessage bounds one line, in bytes; DrainTimeout how long the end waits for requests in flight.
	MaxMessage   int64
	DrainTimeout time.Duration
}

// maxOpen bounds the requests of one client that run at the same time; the next ones wait.
const maxOpen = 256

// conn is one client.
type conn struct {
	o       Options
	session *server.Session
	outlet  *server.Outlet
	slots   chan struct{}
	open    sync.WaitGroup
	listen  func()        // stops the list_changed listener of a legacy client
	ended   chan struct{} // closed when the input has ended: held streams complete

	mu  sync.Mutex // one whole line at a time
	out io.Writer
	buf []byte
	err error // the first failed write
}

// Serve answers the messages on in until it ends or ctx does, and returns when the last answer is written. The end of ctx is the end of the
// input: requests in flight are finished.
func Serve(ctx context.Context, o Options, in io.Reader, out io.Writer) error {
	c := &conn{o: o, out: out, outlet: server.NewOutlet(), slots: make(chan struct{}, maxOpen), listen: func() {}, ended: make(chan struct{})}
	c.session = o.Gateway.NewSession(o.Principal, catalog.Client{Era: catalog.Legacy, Version: "2025-11-25", Capabilities: []byte(`{}`)})
	defer c.session.Attach(c.outlet)()
	requests, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	pumped := make(chan struct{})
	stop := make(chan struct{})
	go c.pump(stop, pumped)
	err := c.readAll(reading, requests, in)
	stopReading()
	close(c.ended)
	c.drain(ctx, cancel)
	c.session.End()
	c.listen()
	close(stop)
	<-pumped
	return errors.Join(err, c.err)
}

// line is one line of input, or why there are no more.
type line struct {
	data []byte
	err  error
}

// readAll handles messages until the input ends. Reading happens beside, because a read of standard input cannot be interrupted.
func (c *conn) readAll(ctx, requests context.Context, in io.Reader) error {
	lines := make(chan line)
	go func() {
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			data, err := readLine(r, c.o.MaxMessage)
			select {
			case lines <- line{data, err}:
			case <-ctx.Done():
				return
			}
			if err != nil && !errors.Is(err, errLong) {
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-lines:
			switch {
			case errors.Is(l.err, errLong):
				c.write(server.ErrorReply(0, nil, server.CodeInvalidRequest, "message is larger than the limit (maxBody)", nil))
			case len(bytes.TrimSpace(l.data)) > 0:
				c.message(requests, l.data)
			}
			if errors.Is(l.err, io.EOF) {
				return nil
			}
			if l.err != nil && !errors.Is(l.err, errLong) {
				return l.err
			}
		}
	}
}

var errLong = errors.New("line too long")

// readLine reads one line of at most limit bytes into memory of its own; a longer one is skipped to its end and reported.
func readLine(r *bufio.Reader, limit int64) ([]byte, error) {
	var data []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || int64(len(data)+len(part)) > limit; !long {
			data = append(data, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case long && err == nil:
			return nil, errLong
		case long:
			return nil, err
		default:
			return data, err
		}
	}
}

// message handles one message; requests run on their own.
func (c *conn) message(ctx context.Context, data []byte) {
	m := new(rawjson.Message)
	defer c.rescue(m)
	if err := rawjson.Scan(m, data); err != nil {
		c.write(server.Refusal(data, err))
		return
	}
	switch m.Kind {
	case rawjson.Notification:
		c.notification(m)
	case rawjson.Request:
		if m.MethodName() == "initialize" {
			c.initialize(m)
			return
		}
		c.request(ctx, m)
	default:
		c.session.Answer(m)
	}
}

// rescue answers a message on whose way something panicked, if it was a request.
func (c *conn) rescue(m *rawjson.Message) {
	p := recover()
	if p == nil {
		return
	}
	reply := server.Panicked(c.o.Log, m.ID.Of(m.Data), p)
	if m.Kind == rawjson.Request {
		c.write(reply)
	}
}

// ask passes an upstream's request to a legacy client.
func (c *conn) ask(ctx context.Context, r catalog.Request) ([]byte, error) {
	return c.session.Ask(ctx, r, func(message []byte) bool {
		c.line(func(b []byte) []byte { return append(b, message...) })
		return true
	})
}

func (c *conn) notification(m *rawjson.Message) {
	c.o.Gateway.Noted(c.session, m)
	if m.MethodName() == "notifications/initialized" {
		c.listen()
		c.listen = c.o.Gateway.Listen(c.o.Principal, func(k catalog.Kind) { c.outlet.Put(server.ListChanged(k)) })
	}
}

func (c *conn) initialize(m *rawjson.Message) {
	client, reply := c.o.Gateway.Initialize(m)
	if client.Version != "" {
		c.session.SetClient(client)
	}
	c.write(reply)
}

// request runs one request beside the others.
func (c *conn) request(ctx context.Context, m *rawjson.Message) {
	id := m.ID.Of(m.Data)
	client := c.session.Client()
	if !m.Meta.ProtocolVersion.Absent() || m.MethodName() == "server/discover" {
		modern, refused := c.o.Gateway.ModernClient(m)
		if refused != nil {
			c.write(refused)
			return
		}
		modern.Session = c.session.ID
		client = modern
	}
	ctx, end := c.session.Begin(ctx, id)
	if ctx == nil {
		c.write(server.ErrorReply(0, id, server.CodeInvalidRequest, "a request with this id is still open", nil))
		return
	}
	c.open.Go(func() {
		defer end()
		defer c.rescue(m)
		select { // waited for here and not by the reader, which must stay free to read a cancellation
		case c.slots <- struct{}{}:
			defer func() { <-c.slots }()
		case <-ctx.Done():
			return
		}
		r := &server.Request{
			Principal: c.o.Principal, Client: client, Message: m, Session: c.session,
			Notify: func(n catalog.Notification) { c.notify(ctx, n) }, Ask: c.ask,
		}
		if client.Era == catalog.Modern && m.MethodName() == "subscriptions/listen" {
			c.serveListen(ctx, r)
			return
		}
		reply := c.o.Gateway.Serve(ctx, r)
		if errors.Is(context.Cause(ctx), server.ErrCanceled) {
			reply.Release() // nothing is sent for a request after its cancellation
			return
		}
		c.write(reply)
	})
}

// notify writes one notification of a request.
func (c *conn) notify(ctx context.Context, n catalog.Notification) {
	if ctx.Err() != nil {
		return
	}
	c.line(func(b []byte) []byte {
		b = rawjson.AppendString(append(b, `{"jsonrpc":"2.0","method":`...), n.Method)
		if n.Params != nil {
			b = rawjson.Compact(append(b, `,"params":`...), n.Params)
		}
		return append(b, '}')
	})
}

// write writes a reply and releases it.
func (c *conn) write(reply *server.Reply) {
	defer reply.Release()
	c.line(reply.AppendLine)
}

// line writes what f appends, as one line.
func (c *conn) line(f func([]byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf = append(f(c.buf[:0]), '\n')
	if c.err == nil {
		_, c.err = c.out.Write(c.buf)
	}
	if cap(c.buf) > 1<<20 {
		c.buf = nil
	}
}

// pump writes the notifications that belong to no request.
func (c *conn) pump(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	for {
		select {
		case <-stop:
			return
		case <-c.outlet.Wake():
			for _, message := range c.outlet.Take() {
				c.line(func(b []byte) []byte { return append(b, message...) })
			}
		}
	}
}

// drain waits for the requests in flight, at most as long as allowed, then cancels what is left.
func (c *conn) drain(ctx context.Context, cancel context.CancelCauseFunc) {
	finished := make(chan struct{})
	go func() {
		c.open.Wait()
		close(finished)
	}()
	bound := time.NewTimer(c.o.DrainTimeout)
	defer bound.Stop()
	select {
	case <-finished:
		return
	case <-bound.C:
	}
	why := "the client closed its input"
	if ctx.Err() != nil {
		why = "weir is stopping and waited for this no longer"
	}
	cancel(catalog.Errorf(catalog.Unavailable, "%s", why))
	<-finished
}
