package mcphttp

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
)

// exchange is one POST and its answer. Its zero value with the first five fields set is ready.
type exchange struct {
	endpoint  *Endpoint
	w         http.ResponseWriter
	r         *http.Request
	conn      *conn
	principal policy.Principal
	token     catalog.Token
	until     time.Time // when the principal must be verified again, zero for never

	streams bool // the client takes text/event-stream
	json    bool // the client takes application/json

	owner  *server.Session // whose stream a POST of a legacy session makes
	stream *stream         // what is written where a client can take it up again, nil before and for others

	mu      sync.Mutex // notifications come from the upstream's reader, answers from the request's own goroutine
	started bool       // the answer is an event stream and its header is out
	buf     []byte
	gone    bool // a write failed: the client is not there any more
}

const (
	eventStart = "event: message\ndata: "
	eventEnd   = "\n\n"
)

// acceptable reads the Accept header; an absent one accepts everything (RFC 9110, 12.5.1).
func (x *exchange) acceptable() bool {
	values := x.r.Header["Accept"]
	if len(values) == 0 {
		x.streams, x.json = true, true
		return true
	}
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			media, _, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(media)) {
			case "application/json", "application/*":
				x.json = true
			case "text/event-stream", "text/*":
				x.streams = true
			case "*/*":
				x.streams, x.json = true, true
			}
		}
	}
	return x.streams || x.json
}

// notify writes one notification to the stream that will carry the reply.
func (x *exchange) notify(n catalog.Notification) {
	if !x.streams {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	b := append(x.buf[:0], eventStart+`{"jsonrpc":"2.0","method":`...)
	b = rawjson.AppendString(b, n.Method)
	if n.Params != nil {
		b = rawjson.Compact(append(b, `,"params":`...), n.Params)
	}
	x.event(append(b, '}'))
}

// ask passes an upstream's request to a legacy client on the stream of the request it belongs to (spec 2025-11-25, streamable-http).
func (x *exchange) ask(s *server.Session) func(context.Context, catalog.Request) ([]byte, error) {
	if s == nil || !x.streams {
		return nil
	}
	return func(ctx context.Context, r catalog.Request) ([]byte, error) {
		return s.Ask(ctx, r, func(message []byte) bool {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.event(append(append(x.buf[:0], eventStart...), message...))
			return !x.gone
		})
	}
}

// event writes b, an event without its end, at once. x.mu is held.
func (x *exchange) event(b []byte) {
	x.buf = append(b, eventEnd...)
	if x.gone {
		return
	}
	if !x.started && x.owner != nil {
		x.stream = x.endpoint.replay.open(x.owner, nil)
		x.stream.post(x)
	}
	x.begin()
	if x.stream != nil {
		x.stream.send(x.buf)
		return
	}
	x.gone = !x.write(x.buf)
}

// begin makes the answer an event stream.
func (x *exchange) begin() {
	if x.started {
		return
	}
	x.started = true
	streamHeader(x.w.Header())
	x.w.WriteHeader(http.StatusOK)
}

// comment writes a comment where events go.
func (x *exchange) comment(b []byte) bool {
	if x.stream != nil {
		return x.stream.comment(x, b)
	}
	return x.write(b)
}

// streamHeader sets the header of an event stream that no proxy may hold back.
func streamHeader(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// write writes and flushes b within the time a reader is given; false when the client is gone.
func (x *exchange) write(b []byte) bool {
	x.conn.allow(x.w, x.endpoint.spec.WriteTimeout)
	if _, err := x.w.Write(b); err != nil {
		return false
	}
	return http.NewResponseController(x.w).Flush() == nil
}

// finish writes the reply: the last event of a stream that has begun, else a JSON body; so is a refusal, whose status says more than an event could.
// It releases the reply.
func (x *exchange) finish(reply *server.Reply) {
	defer reply.Release()
	x.mu.Lock()
	defer x.mu.Unlock()
	defer func() { x.gone = true }() // nothing is written after the reply
	if reply.Retry > 0 && !x.started {
		x.w.Header().Set("Retry-After", strconv.FormatInt(int64((reply.Retry+time.Second-1)/time.Second), 10))
	}
	if x.started || !x.json && reply.Status == http.StatusOK {
		x.event(reply.AppendLine(append(x.buf[:0], eventStart...)))
		if x.stream != nil {
			x.stream.end()
		}
		return
	}
	h := x.w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(reply.Len())}
	x.conn.allow(x.w, x.endpoint.spec.WriteTimeout)
	x.w.WriteHeader(reply.Status)
	if reply.Len() > joined {
		_, _ = reply.WriteTo(steps{x}) // the client may be gone
		return
	}
	home := bodies.Get().(*[]byte) //nolint:errcheck,forcetypeassert // nothing else is put there
	*home = reply.Append((*home)[:0])
	_, _ = x.w.Write(*home) // the client may be gone
	bodies.Put(home)
}

// step is how much of a large reply is written at once: who reads it slowly but reads is given the time for each.
const step = 256 << 10

// steps writes in steps.
type steps struct{ x *exchange }

func (s steps) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		s.x.conn.allow(s.x.w, s.x.endpoint.spec.WriteTimeout)
		var k int
		k, err = s.x.w.Write(b[n:min(n+step, len(b))])
		n += k
	}
	return n, err
}

// joined is the largest reply that is put together before it is written: copying so much costs less than one more write.
const joined = 64 << 10

var jsonType = []string{"application/json"}

// accepted answers a notification or a response.
func (x *exchange) accepted() { x.w.WriteHeader(http.StatusAccepted) }
