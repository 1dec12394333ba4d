package mcpconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

const (
	maxSessionID = 1 << 10
	// maxResumes is how often in a row a stream is taken up again without a new event on it.
	maxResumes = 5
	// hearWait bounds the wait for a session's GET stream, which some servers do not begin to answer before they have something to say.
	hearWait = 500 * time.Millisecond
	// resumeWait is waited before a stream is taken up again when the server named no time.
	resumeWait = 250 * time.Millisecond
)

// legacyHTTP is Streamable HTTP of 2025-03-26 to 2025-11-25: POST requests within a session, and a GET stream for what belongs to no request.
type legacyHTTP struct {
	*endpoint
	*life
	session  atomic.Pointer[session]
	outside  *session                           // for initialize, which belongs to no session
	given    string                             // the session id in the last answer to initialize
	hearing  atomic.Pointer[context.CancelFunc] // ends the GET stream that is open
	renewing chan struct{}                      // holds a token while the session is renewed
	renew    func(context.Context) error        // shakes hands again
	open     openRequests
	other    func(*rawjson.Message) // takes what belongs to no open request
	changed  func()                 // a notification may have been missed

	ctx    context.Context //nolint:containedctx // the lifetime of what runs beside requests
	cancel context.CancelFunc
	crew   crew
}

// session is what a handshake agreed on. It never changes.
type session struct {
	id   string // "" when the server keeps none
	post http.Header
	get  http.Header

	once  sync.Once
	heard chan struct{} // closed when the session's GET stream is open, or will not be
}

// listened closes heard.
func (s *session) listened() { s.once.Do(func() { close(s.heard) }) }

func newLegacyHTTP(e *endpoint, c *Conn) *legacyHTTP {
	t := &legacyHTTP{
		endpoint: e, life: newLife(), renewing: make(chan struct{}, 1), renew: c.renew, other: c.unsolicited, changed: c.changed,
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.crew = crew{name: e.name, log: c.cfg.Log, end: t.end}
	t.outside = t.newSession("", "")
	t.session.Store(t.outside)
	return t
}

func (t *legacyHTTP) newSession(id, version string) *session {
	s := &session{id: id, post: t.header(4), get: t.header(3), heard: make(chan struct{})}
	for _, h := range []http.Header{s.post, s.get} {
		if id != "" {
			h[mcp.HeaderSessionID] = []string{id}
		}
		if version >= mcp.ProtocolVersion20250618 { // earlier revisions do not have the header
			h[mcp.HeaderProtocolVersion] = []string{version}
		}
	}
	s.post["Accept"] = []string{"application/json, text/event-stream"}
	s.post["Content-Type"] = []string{"application/json"}
	s.get["Accept"] = []string{"text/event-stream"}
	return s
}

// agree ends the handshake. From here on requests belong to the new session.
func (t *legacyHTTP) agree(ctx context.Context, version string) error {
	s := t.newSession(t.given, version)
	if err := t.tell(ctx, s, "notifications/initialized", nil); err != nil {
		return err
	}
	time.AfterFunc(hearWait, s.listened)
	t.session.Store(s)
	if stop := t.hearing.Load(); stop != nil {
		(*stop)() // the stream of the session before
	}
	return nil
}

func (t *legacyHTTP) roundTrip(ctx context.Context, r *request) (*response, error) {
	if r.method == "initialize" {
		return t.shake(ctx, r)
	}
	o := t.open.add(r)
	defer t.open.remove(r.id)
	s := t.session.Load()
	resp, gone, err := t.attempt(ctx, r, o, s)
	if gone {
		if resp != nil {
			resp.release()
		}
		if err := t.renewSession(ctx, s); err != nil {
			return nil, err
		}
		if resp, gone, err = t.attempt(ctx, r, o, t.session.Load()); gone {
			if resp != nil {
				resp.release()
			}
			resp, err = nil, &catalog.Error{
				Code: catalog.Unavailable, Msg: t.name + ": the server forgot its session twice in a row", Execution: catalog.NotExecuted, Err: err,
			}
		}
	}
	if err != nil && ctx.Err() != nil && !unsent(err) {
		t.forsake(r.id)
	}
	return resp, err
}

// unsent reports whether err says that a request was not executed.
func unsent(err error) bool {
	var e *catalog.Error
	return errors.As(err, &e) && e.Execution == catalog.NotExecuted
}

// shake sends initialize and keeps the id of the new session.
func (t *legacyHTTP) shake(ctx context.Context, r *request) (*response, error) {
	resp, err := t.post(ctx, t.outside.post, r.buf, r.message)
	if err != nil {
		return nil, err
	}
	if t.given = resp.Header.Get(mcp.HeaderSessionID); !validSession(t.given) {
		_ = resp.Body.Close()
		return nil, t.garbled("the session id is not one of MCP", nil)
	}
	return t.take(ctx, resp, r, &openRequest{request: r})
}

func validSession(id string) bool {
	for _, c := range []byte(id) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return len(id) <= maxSessionID
}

// attempt sends r in session s. gone says that the server does not know s, so that it did not execute r. Some servers ask on the GET stream what
// they want to know in the middle of a request, and all tell of updates there; where there is none yet, that is lost.
func (t *legacyHTTP) attempt(ctx context.Context, r *request, o *openRequest, s *session) (answer *response, gone bool, err error) {
	if r.askable || r.method == "resources/subscribe" {
		select {
		case <-s.heard:
		case <-ctx.Done():
			return nil, false, ended(ctx, t.name, catalog.NotExecuted)
		}
	}
	resp, err := t.post(ctx, traced(s.post, r), r.buf, r.message)
	if err != nil {
		t.notice(err)
		return nil, false, err
	}
	answer, err = t.take(ctx, resp, r, o)
	return answer, forgotten(resp.StatusCode, s, answer, err), err
}

// take reads the answer to r.
func (t *legacyHTTP) take(ctx context.Context, resp *http.Response, r *request, o *openRequest) (*response, error) {
	if mediaOf(resp.Header) != eventMedia || resp.StatusCode/100 != 2 {
		return t.single(ctx, resp, r.id)
	}
	es := newEvents(resp.Body, t.pool.get(), t.limit)
	own := *r
	own.onMessage = o.deliver
	body := resp.Body
	for tries := 0; ; tries++ {
		seen := string(es.lastID)
		answer, err := t.streamed(es, &own)
		if err == nil {
			t.drain(body)
			return answer, nil
		}
		_ = body.Close()
		if string(es.lastID) != seen {
			tries = 0
		}
		if body, err = t.resume(ctx, es, tries, err); err != nil {
			es.buf.drop()
			return nil, err
		}
	}
}

// resume takes up a stream again that ended, with err, before the response. The server goes on behind the last event it gave an id.
func (t *legacyHTTP) resume(ctx context.Context, es *events, tries int, err error) (io.ReadCloser, error) {
	if own, ok := errors.AsType[*catalog.Error](err); ok {
		return nil, own
	}
	if ctx.Err() != nil || len(es.lastID) == 0 || tries >= maxResumes {
		return nil, t.brokenOff(ctx, http.StatusOK, err)
	}
	wait := es.retry
	if wait == 0 {
		wait = resumeWait << tries
	}
	if !pause(ctx, wait) {
		return nil, ended(ctx, t.name, catalog.Unknown)
	}
	resp, again := t.get(ctx, lastEvent(t.session.Load().get, es.lastID))
	if again != nil {
		return nil, t.brokenOff(ctx, http.StatusOK, fmt.Errorf("%w, and could not be taken up again: %w", err, again))
	}
	if resp.StatusCode != http.StatusOK || mediaOf(resp.Header) != eventMedia {
		_ = resp.Body.Close()
		return nil, t.brokenOff(ctx, http.StatusOK, err)
	}
	es.restart(resp.Body)
	return resp.Body, nil
}

// lastEvent returns get with a Last-Event-ID, if there is one.
func lastEvent(get http.Header, id []byte) http.Header {
	if len(id) == 0 {
		return get
	}
	h := get.Clone()
	h["Last-Event-Id"] = []string{string(id)}
	return h
}

// forgotten reports whether an answer means that the session is gone: 404 (spec 2025-11-25, basic/transports, session management), and the 400 of
// servers that take it for a missing session.
func forgotten(status int, s *session, answer *response, err error) bool {
	var refused *refusal
	switch {
	case status == http.StatusNotFound && answer != nil:
		return s.id != "" && errorCode(&answer.message) != mcp.METHOD_NOT_FOUND
	case status == http.StatusNotFound:
		return s.id != "" && errors.As(err, &refused)
	case status != http.StatusBadRequest:
		return false
	case answer != nil:
		m := &answer.message
		code := errorCode(m)
		return (code == mcp.INVALID_REQUEST || code <= -32000 && code > -32020) && aboutSession(string(m.Error.Of(m.Data)))
	default:
		return errors.As(err, &refused) && aboutSession(refused.text)
	}
}

func aboutSession(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "session") || strings.Contains(text, "not initialized")
}

// renewSession shakes hands again unless somebody else did since old. Requests that meet a forgotten session at the same time wait for one handshake.
func (t *legacyHTTP) renewSession(ctx context.Context, old *session) error {
	select {
	case t.renewing <- struct{}{}:
	case <-ctx.Done():
		return ended(ctx, t.name, catalog.NotExecuted)
	}
	defer func() { <-t.renewing }()
	if t.session.Load() != old {
		return nil
	}
	err := t.renew(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ended(ctx, t.name, catalog.NotExecuted)
	}
	lost := &catalog.Error{
		Code: catalog.Unavailable, Msg: t.name + ": the server forgot its session and gave no new one", Execution: catalog.NotExecuted, Err: err,
	}
	t.end(lost)
	return lost
}

// forsake tells the server, in the background, that nobody waits for a request any more. A connection that closes does not say so in this era.
func (t *legacyHTTP) forsake(id int64) {
	t.crew.run(func() {
		ctx, cancel := context.WithTimeout(t.ctx, closeWait)
		defer cancel()
		_ = t.notify(ctx, "notifications/cancelled", fmt.Appendf(nil, `{"requestId":%d,"reason":"the caller canceled or the time was up"}`, id))
	})
}

func (t *legacyHTTP) notify(ctx context.Context, method string, params []byte) error {
	return t.tell(ctx, t.session.Load(), method, params)
}

// tell sends a notification in session s.
func (t *legacyHTTP) tell(ctx context.Context, s *session, method string, params []byte) error {
	buf := t.pool.get()
	defer buf.drop()
	buf.b = appendNotice(buf.b, method, params)
	return t.deposit(ctx, s, buf)
}

func (t *legacyHTTP) reply(ctx context.Context, id, answer []byte) error {
	buf := t.pool.get()
	defer buf.drop()
	buf.b = appendAnswer(buf.b, id, answer)
	return t.deposit(ctx, t.session.Load(), buf)
}

// deposit posts a message that has no answer.
func (t *legacyHTTP) deposit(ctx context.Context, s *session, buf *buffer) error {
	resp, err := t.post(ctx, s.post, buf, buf.b) //nolint:bodyclose // deposited does
	if err != nil {
		return err
	}
	return t.deposited(ctx, resp)
}

// close ends the session at the server. Requests in flight are left to their own contexts.
func (t *legacyHTTP) close(ctx context.Context) error {
	alive := t.err() == nil
	t.end(errClosed)
	if s := t.session.Load(); s.id != "" && alive {
		t.leave(ctx, s)
	}
	t.cancel()
	t.crew.wait()
	t.client.CloseIdleConnections()
	return nil
}

// leave ends a session. Whatever the server says to that is fine, 405 too.
func (t *legacyHTTP) leave(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	if resp, err := t.bare(ctx, http.MethodDelete, s.get); err == nil {
		_ = resp.Body.Close()
	}
}

// pause waits d and reports whether ctx is still open then.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
