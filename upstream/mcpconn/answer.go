package mcpconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/catalog/room"
)

const (
	// maxRefusal bounds what is read of an HTTP answer that can hold no response.
	maxRefusal = 64 << 10
	// drainWait is how long the end of a stream is awaited after the response, so that its connection can be used again.
	drainWait = 200 * time.Millisecond
	// maxRetryAfter bounds how long a server may ask to be left alone.
	maxRetryAfter = 24 * time.Hour
	// patience is how many streams in a row may stay open past drainWait before no further one is awaited.
	patience = 3
)

// media is what the Content-Type of an answer says it is.
type media uint8

const (
	otherMedia media = iota
	noMedia
	jsonMedia
	eventMedia
)

func mediaOf(h http.Header) media {
	values := h["Content-Type"]
	if len(values) == 0 {
		return noMedia
	}
	kind, _, _ := strings.Cut(values[0], ";")
	switch kind = strings.TrimSpace(kind); {
	case kind == "application/json" || strings.EqualFold(kind, "application/json"):
		return jsonMedia
	case strings.EqualFold(kind, "text/event-stream"):
		return eventMedia
	case kind == "":
		return noMedia
	default:
		return otherMedia
	}
}

// refusal is an HTTP answer that holds no JSON-RPC response. Only its kind and size are told to callers: the text may be anything.
type refusal struct {
	status int
	kind   string // the Content-Type, "" when absent
	size   int
	text   string // the begin of the body, for the log and for telling lost sessions
	login  bool   // it has a WWW-Authenticate header
}

func (r *refusal) Error() string {
	return fmt.Sprintf("HTTP %d: %q", r.status, r.text)
}

// facts describes the answer: "HTTP 502 Bad Gateway, text/html, 153 bytes".
func (r *refusal) facts() string {
	s := fmt.Sprintf("HTTP %d", r.status)
	if t := http.StatusText(r.status); t != "" {
		s += " " + t
	}
	if r.size == 0 {
		return s + " without a body"
	}
	kind := r.kind
	if kind == "" {
		kind = "no content type"
	}
	return fmt.Sprintf("%s, %s, %d bytes", s, kind, r.size)
}

// ofAnotherEra reports whether servers of one era answer requests of the other one with an HTTP status.
func ofAnotherEra(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return false
}

// single takes an answer that is not a stream: a JSON-RPC response to id whatever the status says, or else an error that names the facts.
func (e *endpoint) single(ctx context.Context, resp *http.Response, id int64) (*response, error) {
	defer func() { _ = resp.Body.Close() }()
	buf := e.pool.get()
	limit := e.limit
	kind := mediaOf(resp.Header)
	if kind == otherMedia {
		limit = min(limit, maxRefusal)
	}
	tooLarge, err := buf.fill(ctx, resp.Body, resp.ContentLength, limit)
	if errors.Is(err, room.ErrNone) && ctx.Err() == nil {
		buf.drop()
		return nil, noMemory(e.name)
	}
	if err != nil {
		buf.drop()
		return nil, e.brokenOff(ctx, resp.StatusCode, err)
	}
	if kind == otherMedia || tooLarge || len(buf.b) == 0 {
		defer buf.drop()
		if tooLarge && kind != otherMedia {
			return nil, e.tooLarge("an answer")
		}
		return nil, e.refused(resp, buf.b)
	}
	r := &response{release: buf.drop, status: resp.StatusCode}
	err = rawjson.Scan(&r.message, buf.b)
	m := &r.message
	answers := err == nil && (m.Kind == rawjson.Result && isID(m.ID.Of(m.Data), id) ||
		m.Kind == rawjson.Error && (m.ID.Absent() || isID(m.ID.Of(m.Data), id)))
	if answers && (m.Kind == rawjson.Error || resp.StatusCode/100 == 2) {
		return r, nil
	}
	defer buf.drop()
	switch {
	case resp.StatusCode/100 != 2:
		return nil, e.refused(resp, buf.b)
	case err != nil:
		return nil, e.garbled("the answer is not a JSON-RPC message", err)
	default:
		return nil, e.garbled("the answer belongs to another request", nil)
	}
}

// refused makes the error of an answer without a JSON-RPC response in it.
func (e *endpoint) refused(resp *http.Response, body []byte) *catalog.Error {
	r := &refusal{
		status: resp.StatusCode, kind: resp.Header.Get("Content-Type"), size: len(body), text: withoutSent(resp.Request, body),
		login: resp.Header.Get("Www-Authenticate") != "",
	}
	if resp.ContentLength > int64(r.size) {
		r.size = int(resp.ContentLength)
	}
	if len(r.kind) > 64 {
		r.kind = r.kind[:64]
	}
	f := &catalog.Error{Code: catalog.Unavailable, Retry: retryAfter(resp.Header), Err: r}
	say := func(code catalog.Code, x catalog.Execution, format string, args ...any) {
		f.Code, f.Execution = code, x
		f.Msg = e.name + ": " + fmt.Sprintf(format, args...)
	}
	switch s := r.status; {
	case (s == http.StatusUnauthorized || s == http.StatusForbidden && r.login) && e.shown() != "":
		say(catalog.NeedsLogin, catalog.NotExecuted, "the server refused the credential that is configured (%s)", r.facts())
		f.Hint = "correct " + e.shown() + " of " + e.name
	case s == http.StatusUnauthorized || s == http.StatusForbidden && r.login:
		say(catalog.NeedsLogin, catalog.NotExecuted, "the server wants credentials (%s)", r.facts())
		f.Hint = "set headers: {Authorization: …} for " + e.name
	case s == http.StatusForbidden:
		say(catalog.Unavailable, catalog.NotExecuted, "the server refused the request (%s)", r.facts())
	case s == http.StatusPermanentRedirect || s == http.StatusTemporaryRedirect:
		say(catalog.Unavailable, catalog.NotExecuted, "the server redirects (%s), which weir does not follow", r.facts())
		f.Hint = "set url of " + e.name + " to the final address"
	case s == http.StatusNotFound || s == http.StatusMethodNotAllowed || s == http.StatusGone:
		say(catalog.Unavailable, catalog.NotExecuted, "no MCP endpoint at its URL (%s)", r.facts())
	case s == http.StatusRequestEntityTooLarge:
		say(catalog.TooLarge, catalog.NotExecuted, "the request is too large for the server (%s)", r.facts())
	case s == http.StatusTooManyRequests:
		say(catalog.Limited, catalog.Unknown, "the server limits requests (%s)", r.facts())
	default:
		say(catalog.Unavailable, catalog.Unknown, "the server gave no MCP answer (%s)", r.facts())
	}
	return f
}

// shown is which header of the configuration is a credential, going by its name, "" for none.
func (e *endpoint) shown() string {
	if e.cred != nil {
		return "" // that is got anew when it is refused
	}
	for _, name := range slices.Sorted(maps.Keys(e.fixed)) {
		lower := strings.ToLower(name)
		if slices.ContainsFunc([]string{"auth", "key", "token", "secret"}, func(word string) bool { return strings.Contains(lower, word) }) {
			return "the header " + name
		}
	}
	return ""
}

// retryAfter is how long a server asks to be left alone (RFC 9110, 10.2.3), in seconds or until a date; 0 when it does not.
func retryAfter(h http.Header) time.Duration {
	values := h["Retry-After"]
	if len(values) == 0 {
		return 0
	}
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(values[0], 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(values[0]); err == nil {
		wait = time.Until(date)
	}
	return min(max(wait, 0), maxRetryAfter)
}

func (e *endpoint) tooLarge(what string) *catalog.Error {
	return &catalog.Error{
		Code: catalog.TooLarge, Msg: fmt.Sprintf("%s: %s is over %d bytes", e.name, what, e.limit),
		Hint: "raise maxMessage of " + e.name, Execution: catalog.Executed,
	}
}

// noMemory is the error of a call whose answer there was no memory for.
func noMemory(name string) *catalog.Error {
	return &catalog.Error{Code: catalog.Limited, Msg: name + ": weir has no memory left for the answer (executed)", Execution: catalog.Executed, Err: room.ErrNone}
}

func (e *endpoint) garbled(what string, err error) *catalog.Error {
	return &catalog.Error{Code: catalog.Unavailable, Msg: e.name + ": " + what, Err: err}
}

func (e *endpoint) brokenOff(ctx context.Context, status int, err error) error {
	if ctx.Err() != nil {
		return ended(ctx, e.name, catalog.Unknown)
	}
	return &catalog.Error{
		Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: the answer broke off (HTTP %d): %s", e.name, status, brief(err)), Err: err,
	}
}

// errNoResponse says that a stream ended properly, but before the response.
var errNoResponse = errors.New("the stream ended without a response")

// streamed reads events until the response to r. Other messages go to r.onMessage, what is no message is skipped. es keeps its place, so that a
// stream that broke can be taken up again.
func (e *endpoint) streamed(es *events, r *request) (*response, error) {
	resp := &response{release: es.buf.drop}
	m := &resp.message
	for {
		data, err := es.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errNoResponse
		case errors.Is(err, errEventTooLarge):
			return nil, e.tooLarge("an event of the answer")
		case errors.Is(err, room.ErrNone):
			return nil, noMemory(e.name)
		case err != nil:
			return nil, err
		}
		if len(data) == 0 || rawjson.Scan(m, data) != nil {
			continue
		}
		switch m.Kind {
		case rawjson.Request, rawjson.Notification:
			if r.onMessage != nil {
				r.onMessage(m)
			}
		case rawjson.Result, rawjson.Error:
			if m.ID.Absent() && m.Kind == rawjson.Error || isID(m.ID.Of(m.Data), r.id) {
				return resp, nil
			}
		}
	}
}

// deposited takes the answer to a message that expects none.
func (e *endpoint) deposited(ctx context.Context, resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 == 2 && mediaOf(resp.Header) == eventMedia {
		return nil // some servers open a stream even here; closing it is all there is to do
	}
	scratch := e.pool.get()
	defer scratch.drop()
	if _, err := scratch.fill(ctx, resp.Body, -1, maxRefusal); err != nil {
		return e.brokenOff(ctx, resp.StatusCode, err)
	}
	if resp.StatusCode/100 != 2 {
		return e.refused(resp, scratch.b)
	}
	return nil
}

// drain waits a moment for the end of a stream whose response is there: only a connection whose answer was read to its end can carry another one.
func (e *endpoint) drain(body io.ReadCloser) {
	defer func() { _ = body.Close() }()
	if e.held.Load() >= patience {
		return
	}
	scratch := e.pool.get()
	defer scratch.drop()
	late := time.AfterFunc(drainWait, func() { _ = body.Close() })
	_, _ = scratch.fill(context.Background(), body, -1, maxRefusal)
	if late.Stop() {
		e.held.Store(0)
	} else {
		e.held.Add(1)
	}
}
