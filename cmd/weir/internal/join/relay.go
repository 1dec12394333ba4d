package join

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/server"
)

// relay passes lines between a client and a gateway, and knows which requests are open.
type relay struct {
	conn  *Conn
	out   io.Writer
	limit int

	mu    sync.Mutex
	open  map[string]struct{} // raw ids
	ended bool                // the client's input has ended
}

// Relay passes the client on in and out to the gateway, until the input or ctx has ended and everything is answered. When the gateway goes away before,
// every open request is answered with an error and Relay fails. A message may have limit bytes; a longer one is the gateway's to refuse.
func (c *Conn) Relay(ctx context.Context, in io.Reader, out io.Writer, limit int64) error {
	r := &relay{conn: c, out: out, limit: int(limit), open: make(map[string]struct{})}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, r.end)()
	go r.up(in) // a read of standard input cannot be interrupted
	if err := r.down(); err != nil {
		return err // the client is gone; the gateway sees that too
	}
	return r.farewell()
}

// end tells the gateway that nothing more comes.
func (r *relay) end() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	_ = r.conn.CloseWrite() // if the gateway is gone, reading says so
}

// up passes on what the client says.
func (r *relay) up(in io.Reader) {
	defer r.end()
	lines := bufio.NewReaderSize(in, 64<<10)
	whole := true // the line begins here
	for {
		line, err := readLine(lines, r.limit)
		if whole && !errors.Is(err, errLong) {
			r.asked(line)
		}
		whole = !errors.Is(err, errLong)
		if _, werr := r.conn.Write(line); werr != nil {
			return
		}
		if err != nil && whole {
			return
		}
	}
}

// asked notes a request, and forgets one that its client cancels: nothing is sent for it any more.
func (r *relay) asked(line []byte) {
	var m rawjson.Message
	if rawjson.Scan(&m, line) != nil {
		return // the gateway refuses it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case m.Kind == rawjson.Request:
		r.open[string(m.ID.Of(m.Data))] = struct{}{}
	case m.Kind == rawjson.Notification && m.MethodName() == "notifications/cancelled":
		delete(r.open, string(m.RequestID.Of(m.Data)))
	}
}

// down passes on what the gateway says, as whole lines, until it says no more. It fails when the client does not take it.
func (r *relay) down() error {
	for {
		line, err := readLine(r.conn.reader, math.MaxInt)
		if err != nil {
			return nil //nolint:nilerr // however it ended: what matters is whether everything was answered; a part of a line is worth nothing
		}
		r.answered(line)
		if _, err := r.out.Write(line); err != nil {
			return err
		}
	}
}

func (r *relay) answered(line []byte) {
	var m rawjson.Message
	if rawjson.Scan(&m, line) == nil && (m.Kind == rawjson.Result || m.Kind == rawjson.Error) {
		r.mu.Lock()
		delete(r.open, string(m.ID.Of(m.Data)))
		r.mu.Unlock()
	}
}

// farewell is the end of the connection: in good order, or else with an error for every request that was not answered.
func (r *relay) farewell() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended && len(r.open) == 0 {
		return nil
	}
	for id := range r.open {
		reply := server.ErrorReply(0, []byte(id), server.CodeInternal, "the gateway went away ("+catalog.Unknown.String()+")", nil)
		if _, err := r.out.Write(append(reply.AppendLine(nil), '\n')); err != nil {
			return err
		}
	}
	return &catalog.Error{
		Code: catalog.Unavailable, Msg: "weir stdio: the gateway that it had joined went away",
		Hint: "start it again; it joins the next gateway, or starts servers of its own",
	}
}
