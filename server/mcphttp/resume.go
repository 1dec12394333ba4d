package mcphttp

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"weir/catalog"
	"weir/policy"
	"weir/server"
)

// stream is one event stream of a legacy session. It outlives its connection: what is sent while nobody reads is kept, and the client
// takes the stream up again with a GET that names the last event it got.
type stream struct {
	replay  *replay
	id      uint64
	session *server.Session
	outlet  *server.Outlet // what the stream that belongs to no request carries, nil for that of a request

	// Guarded by replay.mu.
	kept  []*event
	bytes int
	left  time.Time // when it ended or lost its reader, zero before

	mu   sync.Mutex       // held while something is written, so that events arrive in order
	seq  uint64           // of the last event
	to   *exchange        // who reads it now, nil for nobody
	cut  func()           // ends the GET that reads it
	tick *time.Timer      // keeps the POST that reads it from looking dead
	over bool             // the last event was sent
	who  policy.Principal // whose view of the lists feeds the outlet
	stop func()           // ends what feeds the outlet
}

// primedVersion is the first revision whose clients are told an event id before there is an event, and how soon to come back.
const primedVersion = "2025-11-25"

// retryField tells clients how long to wait before they come back.
const retryField = "retry: 1000\n"

// send numbers an event, keeps it, and writes it to who reads the stream.
func (st *stream) send(body []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over {
		return
	}
	st.seq++
	frame := append(st.appendID(make([]byte, 0, len(body)+32), st.seq), body...)
	st.replay.keep(st, st.seq, frame)
	st.write(frame)
}

// appendID appends the field that names event number seq.
func (st *stream) appendID(b []byte, seq uint64) []byte {
	b = strconv.AppendUint(append(b, "id: "...), st.id, 10)
	b = strconv.AppendUint(append(b, '-'), seq, 10)
	return append(b, '\n')
}

// write passes b to the reader, if there is one. st.mu is held.
func (st *stream) write(b []byte) bool {
	if st.to == nil {
		return false
	}
	if !st.to.write(b) {
		st.release()
		return false
	}
	return true
}

// release lets the reader go. st.mu is held.
func (st *stream) release() {
	if st.cut != nil {
		st.cut()
	}
	if st.tick != nil {
		st.tick.Stop()
	}
	st.to, st.cut, st.tick = nil, nil, nil
}

// comment writes a comment for x, if it is still the one who reads.
func (st *stream) comment(x *exchange, b []byte) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.to == x && st.write(b)
}

// attach makes x the reader, in place of another one, and sends it what came after event number seq. It returns false, and has written
// nothing, when that is not kept any more. cut is called when x has nothing more to wait for.
func (st *stream) attach(x *exchange, seq uint64, cut func()) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	missed, ok := st.replay.since(st, seq, st.seq, st.over)
	if !ok {
		return false
	}
	st.release()
	st.to, st.cut = x, cut
	if st.outlet != nil {
		st.hear(x.endpoint.gateway, x.principal) // before the client can know that the stream is open
	}
	x.begin()
	if st.seq == 0 && st.session.Client().Version >= primedVersion {
		st.write(append(st.appendID(nil, 0), retryField+"data: \n\n"...))
	}
	for _, frame := range missed {
		if !st.write(frame) {
			return true
		}
	}
	if st.over {
		st.release()
	}
	return true
}

// detach ends the reading of x; false when it was not the reader any more.
func (st *stream) detach(x *exchange) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.to != nil && st.to != x {
		return false
	}
	st.to, st.cut = nil, nil
	return true
}

// end is called when the last event was sent.
func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.over = true
	st.release()
	st.replay.unread(st)
}

// post makes x, the POST whose answer the stream is, its first reader.
func (st *stream) post(x *exchange) {
	st.attach(x, 0, nil)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.to != x {
		return
	}
	st.tick = time.AfterFunc(keepAlive, func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		if st.to == x && st.write(keepAliveComment) {
			st.tick.Reset(keepAlive)
		}
	})
}

// hear feeds the outlet with what belongs to no request, until mute. st.mu is held.
func (st *stream) hear(g *server.Gateway, p policy.Principal) {
	if st.stop != nil {
		if st.who == p {
			return
		}
		st.stop() // the same owner with other rights
	}
	// In this order, and the other way round at the end, so that no change falls between two streams.
	silence := g.Listen(p, func(k catalog.Kind) { st.session.SendOn(st.outlet, server.ListChanged(k)) })
	detach := st.session.Attach(st.outlet)
	st.who, st.stop = p, func() { detach(); silence() }
}

// mute ends hear. What nobody has read goes to another stream of the session.
func (st *stream) mute() {
	st.mu.Lock()
	stop := st.stop
	st.stop = nil
	st.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	for _, message := range st.outlet.Take() {
		st.session.Send(message)
	}
}

// leave is the end of a GET on a stream that belongs to no request. Without another such stream it goes on listening for a client that comes back.
func (st *stream) leave(stay bool) {
	st.replay.unread(st)
	if _, others := st.replay.others(st); others || !stay {
		st.mute()
	}
}

// get opens the stream on which a legacy session hears what belongs to none of its requests, or takes up one that broke.
func (x *exchange) get() {
	e, w, r := x.endpoint, x.w, x.r
	if r.Header.Get(headerSession) == "" {
		w.Header().Set("Allow", "POST")
		plain(w, http.StatusMethodNotAllowed, "a GET stream needs an Mcp-Session-Id; modern clients use subscriptions/listen")
		return
	}
	if !x.acceptable() || !x.streams {
		plain(w, http.StatusNotAcceptable, "Accept must allow text/event-stream")
		return
	}
	s, ok := x.session(nil)
	if !ok {
		return
	}
	defer s.Use()()
	ctx, cancel := e.requestContext(r)
	defer cancel()
	last, after := r.Header.Get("Last-Event-Id"), uint64(0)
	if last == "" {
		x.stream = e.replay.open(s, server.NewOutlet())
	} else {
		x.stream, after = e.replay.find(s, last)
	}
	if x.stream == nil || !x.stream.attach(x, after, cancel) {
		x.expired(last)
		return
	}
	x.follow(ctx, s)
}

// expired answers a Last-Event-ID that nothing can be told about.
func (x *exchange) expired(last string) {
	x.stream = nil
	x.finish(server.ErrorReply(http.StatusBadRequest, nil, server.CodeInvalidRequest,
		"Last-Event-ID "+printable(last)+": the events after it are not kept (any more) for this session; open a stream without it", nil))
}

// follow holds the GET that reads x.stream.
func (x *exchange) follow(ctx context.Context, s *server.Session) {
	st := x.stream
	if st.outlet == nil {
		x.pump(ctx, s.Done(), nil)
		st.detach(x)
		return
	}
	unread, _ := st.replay.others(st)
	for _, o := range unread {
		o.mute() // the client has this one now
	}
	ended := x.pump(ctx, s.Done(), st.outlet)
	if ended {
		st.comment(x, []byte(retryField+"\n"))
	}
	if st.detach(x) {
		st.leave(!ended)
	}
}
