package upstreamtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// httpChannel writes one HTTP response: JSON, or an event stream from the first message that is not the answer.
type httpChannel struct {
	cfg *Config

	mu      sync.Mutex
	w       http.ResponseWriter
	events  bool // the response is an event stream
	done    bool // a JSON answer is written, or the connection is gone
	eventID int
}

func (c *httpChannel) header(key, value string) { c.w.Header().Set(key, value) }

// status ends the response without a body.
func (c *httpChannel) status(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.w.WriteHeader(code)
	c.done = true
}

// end lets nothing more be written: net/http takes the writer back when its handler returns.
func (c *httpChannel) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
}

// fail answers m with an error that no script touches.
func (c *httpChannel) fail(status int, m *message, fail *rpcError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.json(status, "application/json", response(m.id, "error", fail.object()))
}

// start makes the response an event stream.
func (c *httpChannel) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startLocked()
}

func (c *httpChannel) startLocked() {
	if c.events || c.done {
		return
	}
	c.events = true
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(200)
	if c.cfg.EventStyle.IDs {
		_ = c.write(c.event("", nil)) // a client that left is no fault
	}
	c.flush()
}

func (c *httpChannel) flush() { _ = http.NewResponseController(c.w).Flush() } // fails only when the client is gone

var errEnded = errors.New("the response has ended")

// send writes a message as an event.
func (c *httpChannel) send(msg []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return errEnded
	}
	c.startLocked()
	err := c.write(c.event("message", msg))
	c.flush()
	return err
}

// event writes one event in the configured style.
func (c *httpChannel) event(name string, data []byte) []byte {
	s := c.cfg.EventStyle
	eol, colon := s.EOL, ": "
	if eol == "" {
		eol = "\n"
	}
	if s.NoSpace {
		colon = ":"
	}
	var b bytes.Buffer
	if s.Comments {
		b.WriteString(":keep-alive" + eol)
	}
	if name != "" && !s.NoEvent || name == "endpoint" {
		b.WriteString("event" + colon + name + eol)
	}
	if s.IDs {
		c.eventID++
		fmt.Fprintf(&b, "id%s%d%s", colon, c.eventID, eol)
	}
	if s.Split {
		// Outside of strings a line break after a comma is white space, which JSON allows.
		data = bytes.ReplaceAll(data, []byte(`,"id":`), []byte(",\n\"id\":"))
		data = bytes.ReplaceAll(data, []byte(`,"result":`), []byte(",\n\"result\":"))
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		b.WriteString("data" + colon + line + eol)
	}
	b.WriteString(eol)
	return b.Bytes()
}

// write writes b, in chunks if so configured.
func (c *httpChannel) write(b []byte) error {
	for n := c.cfg.Chunk; n > 0 && len(b) > n; b = b[n:] {
		if _, err := c.w.Write(b[:n]); err != nil {
			return err
		}
		c.flush()
	}
	_, err := c.w.Write(b)
	return err
}

// json writes a whole answer with its length.
func (c *httpChannel) json(status int, contentType string, body []byte) {
	if c.done || c.events { // a stream that is open can only end
		return
	}
	h := c.w.Header()
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if c.cfg.Chunk == 0 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.w.WriteHeader(status)
	_ = c.write(body) // a client that left is no fault
	c.done = true
}

// cut closes the connection under the response.
func (c *httpChannel) cut() {
	c.done = true
	if conn, _, err := http.NewResponseController(c.w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// answer writes the answer of a request as its act says.
func (c *httpChannel) answer(a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	for k, v := range a.act.Header {
		c.w.Header().Set(k, v)
	}
	body, contentType := a.body, a.act.Type
	if a.act.Body != "" {
		body = []byte(a.act.Body)
	}
	switch a.act.Fault {
	case Drop:
		c.cut()
		return
	case HTML:
		c.json(500, "text/html; charset=utf-8", []byte("<html><body><h1>500 Internal Server Error</h1></body></html>"))
		return
	case Empty:
		c.json(a.status, contentType, nil)
		return
	case EndEarly:
		c.startLocked()
		return
	case Truncate:
		body = body[:len(body)/2]
	default: // what concerns the bytes of the message is in the body already, the rest comes below
	}
	plain := a.act.Body != "" || a.act.Type != "" || a.status != 200
	if c.events || !plain && (c.cfg.Events || a.act.Events) {
		c.answerEvent(a.act, body)
		return
	}
	if contentType == "" {
		contentType = "application/json"
	}
	switch a.act.Fault {
	case CutBody:
		c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		c.w.Header().Set("Content-Type", contentType)
		c.w.WriteHeader(a.status)
		_ = c.write(body[:len(body)/2])
		c.flush()
		c.cut()
	case Twice:
		c.json(a.status, contentType, append(slices.Clip(body), body...))
	default:
		c.json(a.status, contentType, body)
	}
}

// answerEvent writes the answer as an event.
func (c *httpChannel) answerEvent(act *Act, body []byte) {
	c.startLocked()
	event := c.event("message", body)
	if act.Fault == CutBody {
		_ = c.write(event[:len(event)/2])
		c.flush()
		c.cut()
		return
	}
	if act.Fault == Twice {
		_ = c.write(event)
	}
	_ = c.write(event)
	c.flush()
}
