package mcpconn

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/rawjson"
	"weir/upstream/process"
)

const (
	// maxHeld bounds the messages that one request has not taken yet, in bytes; maxAllHeld those of all requests of a connection.
	maxHeld    = 64 << 20
	maxAllHeld = 4 * maxHeld
	// exitWait is how long a child whose stdout ended may take to exit, so that the error can say how it ended.
	exitWait = time.Second
	// lastWords is how many lines of stderr an error about a lost child holds.
	lastWords = 5
)

// stdioOptions are what a stdio transport needs besides the child. Only name and unsolicited are required.
type stdioOptions struct {
	name       string // of the upstream
	maxMessage int64  // longest line from the child, in bytes; 0 means DefaultMaxMessage
	maxHeld    int64  // 0 means maxHeld
	log        *slog.Logger
	pool       *buffers
	// unsolicited gets what belongs to no request: list changes always, the server's requests and log messages when no request can take them. It is
	// called from one goroutine that is not the reader, so it may use the connection. The message is valid only during the call.
	unsolicited func(*rawjson.Message)
}

// stdio is the transport over the pipes of a child process: one line is one message (spec, basic/transports#stdio). One goroutine reads and
// one writes; callers never touch a pipe, so a child that does not read or write holds up nobody beyond their context.
type stdio struct {
	*life
	o    stdioOptions
	p    *process.Process
	crew sync.WaitGroup
	kick chan struct{} // tells the writer that there is something to write, or that it is over

	// mu is held for moments only, and never while a pipe is used or a callback runs.
	mu     sync.Mutex
	open   map[int64]*pending
	held   int64 // bytes in the queues of all pending requests
	out    outbox
	fault  *catalog.Error // why nothing can be sent any more
	closed bool           // by weir, and fault says why
	hello  bool           // the child has sent a message
	stats  StdioStats

	inbox inbox
}

// StdioStats counts what a child did on its stdout that it should not have done.
type StdioStats struct {
	Junk      int64  // lines that are no JSON-RPC message
	LastJunk  string // the last of them, fit to be shown
	TooLong   int64  // lines over the limit
	Unmatched int64  // responses and progress for no open request, late ones included
	Dropped   int64  // messages that nobody took in time, or that could not be sent because the child does not read
}

// newStdio speaks to a running child and owns it from now on: the connection's end is the child's.
func newStdio(p *process.Process, o stdioOptions) *stdio {
	if o.maxMessage == 0 {
		o.maxMessage = DefaultMaxMessage
	}
	if o.maxHeld == 0 {
		o.maxHeld = maxHeld
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	if o.pool == nil {
		o.pool = &buffers{}
	}
	t := &stdio{life: newLife(), o: o, p: p, kick: make(chan struct{}, 1), open: map[int64]*pending{}, inbox: inbox{wake: make(chan struct{}, 1)}}
	t.crew.Go(t.read)
	t.crew.Go(func() { t.guarded(t.write) })
	t.crew.Go(func() { t.guarded(t.dispatch) })
	t.crew.Go(func() {
		<-p.Done()
		// What the child left in the pipe is read in no time; a grandchild may keep the pipe open.
		_ = p.Stdout.SetReadDeadline(time.Now().Add(exitWait))
	})
	return t
}

// pending is a request that waits for its response. Its fields belong to stdio.mu.
type pending struct {
	*request
	queue   []rawjson.Message
	held    int64 // bytes in queue, and in what the caller has taken and not finished
	resp    *response
	err     error
	written bool          // the writer took it; whether it arrived is unknown from then on
	wake    chan struct{} // holds a token when there is something new
}

// weight is what a message in a queue occupies, roughly.
func weight(m *rawjson.Message) int64 { return int64(len(m.Data)) + 1<<10 }

func (w *pending) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (t *stdio) roundTrip(ctx context.Context, r *request) (*response, error) {
	line := t.o.pool.get()
	line.b = appendRequest(line.b, r)
	w := &pending{request: r, wake: make(chan struct{}, 1)}
	if err := t.send(ctx, line, w); err != nil {
		return nil, err
	}
	for {
		select {
		case <-w.wake:
			if resp, err := t.collect(w); resp != nil || err != nil {
				return resp, err
			}
		case <-ctx.Done():
			if err := t.giveUp(ctx, w); err != nil {
				return nil, err
			}
			return t.collect(w) // the answer was faster
		}
	}
}

// collect delivers what has arrived for w. The answer is behind everything that came before it.
func (t *stdio) collect(w *pending) (*response, error) {
	var done int64 // bytes of messages that onMessage has seen
	for {
		t.mu.Lock()
		w.held -= done
		t.held -= done
		queue, resp, err := w.queue, w.resp, w.err
		w.queue, done = nil, 0
		t.mu.Unlock()
		for i := range queue {
			w.onMessage(&queue[i])
			done += weight(&queue[i])
		}
		if len(queue) == 0 {
			return resp, err
		}
	}
}

// giveUp forgets w because ctx ended, and tells the server so if it may know of w. It returns nil when the answer is there already.
func (t *stdio) giveUp(ctx context.Context, w *pending) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.resp != nil || w.err != nil {
		return nil
	}
	t.forget(w)
	if !w.written && t.out.withdraw(w.id) {
		t.makeRoom()
		return ended(ctx, t.o.name, catalog.NotExecuted)
	}
	t.cancelled(w, "the caller gave up")
	return ended(ctx, t.o.name, catalog.Unknown)
}

// forget takes w out of the table; a late answer finds nobody. The lock is held.
func (t *stdio) forget(w *pending) {
	delete(t.open, w.id)
	t.held -= w.held
	w.queue, w.held = nil, 0
}

// cancelled tells the server that nobody waits for w any more. The lock is held. A handshake is the one request that may not be cancelled
// (spec, basic/utilities/cancellation).
func (t *stdio) cancelled(w *pending, reason string) {
	if w.method == "initialize" {
		return
	}
	line := t.o.pool.get()
	line.b = appendCancelled(line.b, w.id, reason)
	t.post(line)
}

func (t *stdio) notify(ctx context.Context, method string, params []byte) error {
	line := t.o.pool.get()
	line.b = appendNotification(line.b, method, params)
	return t.send(ctx, line, nil)
}

func (t *stdio) reply(ctx context.Context, id, answer []byte) error {
	line := t.o.pool.get()
	line.b = appendReply(line.b, id, answer)
	return t.send(ctx, line, nil)
}

// guarded runs a part of the connection's work. A panic in it ends the child, and with it the connection.
func (t *stdio) guarded(work func()) {
	err := fault.Catch(t.o.log, func() error { work(); return nil }, "upstream", t.o.name)
	if err == nil {
		return
	}
	t.mu.Lock()
	if !t.closed {
		t.closed, t.fault = true, broken(t.o.name, err)
	}
	t.mu.Unlock()
	t.stop()
}

// lose ends the connection after the child's stdout ended: every open request fails.
func (t *stdio) lose() {
	select {
	case <-t.p.Done():
	case <-time.After(exitWait):
	}
	t.mu.Lock()
	if !t.closed {
		t.fault = t.obituary()
	}
	fault := t.fault
	for _, w := range t.open {
		e := *fault
		if !w.written {
			e.Execution = catalog.NotExecuted
		}
		w.err = &e
		delete(t.open, w.id)
		w.nudge()
	}
	t.out.clear()
	t.makeRoom()
	t.mu.Unlock()
	t.end(fault)
	t.wakeWriter()
	t.inbox.close()
	t.stop()
}

// obituary says why the child can no longer be used. The lock is held.
func (t *stdio) obituary() *catalog.Error {
	e := &catalog.Error{Code: catalog.Unavailable, Msg: t.o.name + ": closed its stdout and went on running"}
	facts := process.Exit{Stderr: t.p.Stderr()}.Facts(lastWords)
	if exit, ok := t.p.Exit(); ok {
		e.Msg = t.o.name + ": " + exit.String()
	}
	if !t.hello {
		e.Msg += ", before it said hello"
		if t.stats.LastJunk != "" {
			facts = append(facts, process.Fact{Name: "stdout", Text: t.stats.LastJunk})
		}
	}
	if len(facts) > 0 {
		e.Err = facts
	}
	return e
}

// stop ends the child and everything it started, without waiting for that.
func (t *stdio) stop() {
	t.crew.Go(func() {
		if err := t.p.Stop(context.Background()); err != nil {
			t.o.log.Error("a server could not be ended", slog.String("upstream", t.o.name), slog.Any("error", err))
		}
	})
}

func (t *stdio) close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.fault = &catalog.Error{Code: catalog.Unavailable, Msg: t.o.name + ": the connection was closed", Err: errClosed}
	t.mu.Unlock()
	t.end(errClosed)
	err := t.p.Stop(ctx)
	// Should something that could not be found hold the pipe: the reader must end.
	_ = t.p.Stdout.SetReadDeadline(time.Now().Add(exitWait / 4))
	t.crew.Wait()
	return err
}

// Stats tells what the child did wrong so far.
func (t *stdio) Stats() StdioStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stats
}

// refused is the error of something that cannot be sent. The lock is held.
func (t *stdio) refused() error {
	e := *t.fault
	e.Execution = catalog.NotExecuted
	return &e
}
