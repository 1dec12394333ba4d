package mcpconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/rawjson"
)

// maxUnread bounds the messages that one request has not taken yet, in bytes.
const maxUnread = 64 << 20

// httpSSE is HTTP+SSE of 2024-11-05: requests are posted to an endpoint that the server names, and everything it says comes on one event stream.
type httpSSE struct {
	*endpoint           // of the stream
	inbox     *endpoint // where messages are posted
	*life
	head  http.Header // of a POST
	other func(*rawjson.Message)

	ctx    context.Context //nolint:containedctx // the lifetime of the stream and of what runs beside requests
	cancel context.CancelFunc
	crew   crew

	mu      sync.Mutex
	waiting map[int64]*waiter
}

// waiter is a request whose answer comes on the stream. Its fields belong to httpSSE.mu.
type waiter struct {
	*request
	queue []rawjson.Message
	size  int64
	resp  *response
	err   *catalog.Error
	wake  chan struct{} // holds a token when there is something new
}

func (w *waiter) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// openSSE opens the stream and waits, within ctx, for the endpoint event that must come first.
func openSSE(ctx context.Context, e *endpoint, c *Conn) (*httpSSE, error) {
	t := &httpSSE{endpoint: e, life: newLife(), other: c.unsolicited, waiting: map[int64]*waiter{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.crew = crew{name: e.name, log: c.cfg.Log, end: t.end}
	stop := context.AfterFunc(ctx, t.cancel)
	defer stop()
	header := e.header(1)
	header["Accept"] = []string{"text/event-stream"}
	resp, err := e.get(t.ctx, header)
	if err == nil && (resp.StatusCode != http.StatusOK || mediaOf(resp.Header) != eventMedia) {
		_, err = e.single(t.ctx, resp, 0)
		if err == nil {
			err = e.garbled("a GET of its URL opens no event stream", nil)
		}
	}
	if err != nil {
		t.cancel()
		if ctx.Err() != nil {
			return nil, ended(ctx, e.name, catalog.NotExecuted)
		}
		return nil, err
	}
	es := newEvents(resp.Body, e.pool.get(), e.limit)
	if err := t.begin(es); err != nil {
		t.cancel()
		_ = resp.Body.Close()
		es.buf.drop()
		if ctx.Err() != nil {
			return nil, ended(ctx, e.name, catalog.NotExecuted)
		}
		return nil, err
	}
	t.crew.run(func() {
		defer es.buf.drop()
		defer func() { _ = resp.Body.Close() }()
		t.read(es)
	})
	return t, nil
}

// begin reads the endpoint event. The endpoint must be of the stream's own origin: configured credentials go there.
func (t *httpSSE) begin(es *events) error {
	data, err := es.next()
	if err != nil {
		return t.garbled("its event stream ended before it began", err)
	}
	if string(es.name) != "endpoint" {
		return t.garbled("its event stream does not begin with an endpoint", nil)
	}
	at, err := t.like.URL.Parse(string(bytes.TrimSpace(data)))
	if err != nil || !sameOrigin(at, t.like.URL) {
		return t.garbled("its event stream names an endpoint of another origin", err)
	}
	at.User, at.Fragment = nil, ""
	t.inbox = t.at(at)
	t.head = t.header(2)
	t.head["Accept"] = []string{"application/json, text/event-stream"}
	t.head["Content-Type"] = []string{"application/json"}
	return nil
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// read takes what the server says until the stream ends, and the connection with it.
func (t *httpSSE) read(es *events) {
	fail := fault.Catch(t.crew.log, func() error {
		var m rawjson.Message
		for {
			data, err := es.next()
			if err != nil {
				return err
			}
			if len(es.name) > 0 && string(es.name) != "message" || rawjson.Scan(&m, data) != nil {
				continue
			}
			t.take(&m)
		}
	}, "upstream", t.name)
	lost := &catalog.Error{Code: catalog.Unavailable, Msg: t.name + ": the event stream ended", Err: fail}
	if p, ok := errors.AsType[*fault.PanicError](fail); ok {
		lost = broken(t.name, p)
	} else if errors.Is(fail, errEventTooLarge) {
		lost = t.tooLarge("an event")
	}
	t.end(lost)
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, w := range t.waiting {
		w.err = lost
		delete(t.waiting, id)
		w.nudge()
	}
}

// take decides whom a message is for.
func (t *httpSSE) take(m *rawjson.Message) {
	if m.Kind == rawjson.Result || m.Kind == rawjson.Error {
		t.answered(m)
		return
	}
	t.mu.Lock()
	to, mine := t.addressees(m)
	for _, w := range to {
		t.put(w, m)
	}
	t.mu.Unlock()
	if !mine {
		t.other(m)
	}
}

// answered hands a response to the request it names.
func (t *httpSSE) answered(m *rawjson.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, w := range t.waiting {
		if !isID(m.ID.Of(m.Data), id) {
			continue
		}
		w.resp = &response{message: *m, release: func() {}}
		w.resp.message.Data = bytes.Clone(m.Data)
		delete(t.waiting, id)
		w.nudge()
		return
	}
}

// addressees returns the requests that a message is for; mine is false for one that belongs to none of them. t.mu is held.
func (t *httpSSE) addressees(m *rawjson.Message) (to []*waiter, mine bool) {
	switch m.MethodName() {
	case "notifications/progress":
		for _, w := range t.waiting {
			if w.tokenOf(m.ProgressToken.Of(m.Data)) {
				return []*waiter{w}, true
			}
		}
		return nil, true
	case "notifications/message":
		return t.onePerSession(), true
	case "notifications/cancelled":
		for _, w := range t.waiting {
			to = append(to, w)
		}
		return to, true
	case "elicitation/create", "sampling/createMessage", "roots/list":
		if w, ok := asked(t.listening()); ok {
			return []*waiter{w}, true
		}
	}
	return nil, false
}

// listening returns the waiting requests that take messages, oldest first. t.mu is held.
func (t *httpSSE) listening() []*waiter {
	var all []*waiter
	for _, w := range t.waiting {
		if w.onMessage != nil {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *waiter) int { return int(a.id - b.id) })
	return all
}

// onePerSession returns the oldest waiting request of each client. t.mu is held.
func (t *httpSSE) onePerSession() []*waiter {
	oldest := map[string]*waiter{}
	for id, w := range t.waiting {
		if first := oldest[w.session]; w.onMessage != nil && (first == nil || id < first.id) {
			oldest[w.session] = w
		}
	}
	all := make([]*waiter, 0, len(oldest))
	for _, w := range oldest {
		all = append(all, w)
	}
	return all
}

// put adds a copy of m to the queue of w. A caller that does not keep up loses its request, not the memory of everybody. The lock is held.
func (t *httpSSE) put(w *waiter, m *rawjson.Message) {
	if w.onMessage == nil {
		return
	}
	if w.size+int64(len(m.Data)) > maxUnread {
		w.err = &catalog.Error{
			Code: catalog.TooLarge, Msg: fmt.Sprintf("%s: notifications of more than %d bytes were not taken in time", t.name, w.size),
		}
		delete(t.waiting, w.id)
		w.nudge()
		t.forsake(w.id)
		return
	}
	one := *m
	one.Data = bytes.Clone(m.Data)
	w.queue = append(w.queue, one)
	w.size += int64(len(m.Data))
	w.nudge()
}

func (t *httpSSE) roundTrip(ctx context.Context, r *request) (*response, error) {
	w := &waiter{request: r, wake: make(chan struct{}, 1)}
	t.mu.Lock()
	if t.err() != nil {
		t.mu.Unlock()
		return nil, &catalog.Error{Code: catalog.Unavailable, Msg: t.name + ": the event stream ended", Execution: catalog.NotExecuted, Err: t.err()}
	}
	t.waiting[r.id] = w
	t.mu.Unlock()
	err := t.deliver(ctx, traced(t.head, r), r.buf, r.message)
	for err == nil {
		select {
		case <-w.wake:
			if resp, fault := t.collect(w); resp != nil || fault != nil {
				return resp, fault
			}
		case <-ctx.Done():
			err = ended(ctx, t.name, catalog.Unknown)
		}
	}
	t.mu.Lock()
	_, open := t.waiting[r.id]
	delete(t.waiting, r.id)
	t.mu.Unlock()
	if open && ctx.Err() != nil && !unsent(err) && r.method != "initialize" {
		t.forsake(r.id)
	}
	return nil, err
}

// collect passes on what has arrived for w. The answer is behind everything that came before it.
func (t *httpSSE) collect(w *waiter) (*response, error) {
	for {
		t.mu.Lock()
		queue, resp, fault := w.queue, w.resp, w.err
		w.queue, w.size = nil, 0
		t.mu.Unlock()
		for i := range queue {
			w.onMessage(&queue[i])
		}
		switch {
		case len(queue) > 0:
		case fault != nil:
			return nil, fault
		default:
			return resp, nil
		}
	}
}

// deliver posts a message; the answer to it comes on the stream.
func (t *httpSSE) deliver(ctx context.Context, head http.Header, buf *buffer, msg []byte) error {
	resp, err := t.inbox.post(ctx, head, buf, msg) //nolint:bodyclose // deposited does
	if err != nil {
		t.notice(err)
		return err
	}
	return t.inbox.deposited(ctx, resp)
}

// forsake tells the server, in the background, that nobody waits for a request any more.
func (t *httpSSE) forsake(id int64) {
	t.crew.run(func() {
		ctx, cancel := context.WithTimeout(t.ctx, closeWait)
		defer cancel()
		_ = t.notify(ctx, "notifications/cancelled", fmt.Appendf(nil, `{"requestId":%d,"reason":"the caller canceled or the time was up"}`, id))
	})
}

func (t *httpSSE) notify(ctx context.Context, method string, params []byte) error {
	buf := t.pool.get()
	defer buf.drop()
	buf.b = appendNotice(buf.b, method, params)
	return t.deliver(ctx, t.head, buf, buf.b)
}

func (t *httpSSE) reply(ctx context.Context, id, answer []byte) error {
	buf := t.pool.get()
	defer buf.drop()
	buf.b = appendAnswer(buf.b, id, answer)
	return t.deliver(ctx, t.head, buf, buf.b)
}

// close ends the stream, and every request that waits for it.
func (t *httpSSE) close(context.Context) error {
	t.end(errClosed)
	t.cancel()
	t.crew.wait()
	t.client.CloseIdleConnections()
	return nil
}
