package upstreamtest

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
)

// httpServer serves Streamable HTTP of both eras, or HTTP+SSE.
type httpServer struct {
	*engine
	addr string

	mu       sync.Mutex
	server   *http.Server // nil while the port is closed
	sessions map[string]*peer
	nextID   int
}

func newHTTPServer(e *engine) *httpServer {
	s := &httpServer{engine: e, sessions: map[string]*peer{}}
	e.crash, e.forget = s.refuse, s.forgetSessions
	return s
}

// accept opens the port, the same one after the first time.
func (s *httpServer) accept() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return nil
	}
	addr := s.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("fake: %w", err)
	}
	s.addr = ln.Addr().String()
	s.server = &http.Server{Handler: s, ErrorLog: nil}
	go func(srv *http.Server) { _ = srv.Serve(ln) }(s.server) // returns when the port is closed
	return nil
}

// refuse closes the port and every connection.
func (s *httpServer) refuse() {
	s.mu.Lock()
	srv := s.server
	s.server = nil
	s.mu.Unlock()
	if srv != nil {
		_ = srv.Close()
	}
}

func (s *httpServer) forgetSessions() {
	s.mu.Lock()
	gone := s.sessions
	s.sessions = map[string]*peer{}
	s.mu.Unlock()
	for _, p := range gone {
		s.drop(p)
	}
}

// drop ends a session's stream.
func (s *httpServer) drop(p *peer) {
	s.engine.mu.Lock()
	delete(s.peers, p)
	s.engine.mu.Unlock()
	p.mu.Lock()
	st, _ := p.stream.(*eventStream)
	p.stream = nil
	p.mu.Unlock()
	if st != nil {
		st.cancel()
	}
}

// newSession makes a session and its id.
func (s *httpServer) newSession(conn string) *peer {
	s.mu.Lock()
	s.nextID++
	p := newPeer(fmt.Sprintf("session-%d-of-%s", s.nextID, strings.ReplaceAll(s.addr, ":", "-")), conn)
	s.sessions[p.session] = p
	s.mu.Unlock()
	s.engine.mu.Lock()
	s.peers[p] = true
	s.engine.mu.Unlock()
	return p
}

func (s *httpServer) session(id string) *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// ServeHTTP reads the whole body first, so that the ledger holds what came even when nothing is answered.
func (s *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	e := Entry{
		Verb: r.Method, Path: r.URL.RequestURI(), Header: r.Header.Clone(), Conn: r.RemoteAddr, Session: r.Header.Get("Mcp-Session-Id"), Body: Raw(body),
	}
	if err != nil {
		e.Breach = "body: " + err.Error()
		s.ledger.add(e)
		return
	}
	if s.cfg.Deaf {
		s.ledger.add(e)
		select {
		case <-s.ctx.Done():
		case <-r.Context().Done():
		}
		return
	}
	ch := &httpChannel{w: w, cfg: &s.cfg}
	defer ch.end()
	if s.cfg.SSE {
		s.serveSSE(ch, r, e, body)
		return
	}
	if r.Method != http.MethodPost {
		s.serveOther(ch, r, e)
		return
	}
	m, fail := parse(body)
	era := s.eraOf(&m, r.Header.Get("Mcp-Protocol-Version"))
	e.Era, e.Method, e.ID, e.Name, e.Params = era, m.method, Raw(m.id), m.target(), Raw(m.rawParams)
	seq := s.ledger.add(e)
	if fail != nil {
		s.breach(seq, "%s", fail.text)
		ch.fail(400, &m, fail)
		return
	}
	s.checkContent(r.Header, seq)
	if era == Modern {
		s.modern(ch, r, m, seq)
	} else {
		s.legacy(ch, r, m, seq)
	}
}

// checkContent notes what is wrong with the headers that both eras share.
func (s *httpServer) checkContent(h http.Header, seq int) {
	if t, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || t != "application/json" {
		s.breach(seq, "content type is %q", h.Get("Content-Type"))
	}
	accept := strings.Join(h.Values("Accept"), ",")
	if !strings.Contains(accept, "application/json") || !strings.Contains(accept, "text/event-stream") {
		s.breach(seq, "accept is %q", accept)
	}
}

// modern answers one stateless POST.
func (s *httpServer) modern(ch *httpChannel, r *http.Request, m message, seq int) {
	act, scripted := s.match(&m)
	x := &exchange{engine: s.engine, peer: newPeer("", r.RemoteAddr), channel: ch, message: m, era: Modern, seq: seq}
	if r.Header.Get("Mcp-Session-Id") != "" {
		s.breach(seq, "modern request with a session")
	}
	if m.id == nil {
		ch.status(202)
		return
	}
	if m.method == "" {
		s.breach(seq, "response sent to a modern server")
		ch.fail(400, &m, rpcErrorf(-32600, "clients send no responses"))
		return
	}
	if !scripted || m.method != "server/discover" {
		if fail := x.checkModern(r.Header); fail != nil {
			s.breach(seq, "%s", fail.text)
			s.ledger.set(seq, func(e *Entry) { e.Outcome = "answered" })
			ch.fail(max(400, modernStatus(fail.code)), &m, fail)
			return
		}
	}
	x.request(r.Context(), act)
}

// legacy answers one POST of a session.
func (s *httpServer) legacy(ch *httpChannel, r *http.Request, m message, seq int) {
	act, scripted := s.match(&m)
	var p *peer
	switch id := r.Header.Get("Mcp-Session-Id"); {
	case m.method == "initialize":
		p = newPeer("", r.RemoteAddr)
		if !s.cfg.NoSessions {
			p = s.newSession(r.RemoteAddr)
			ch.header("Mcp-Session-Id", p.session)
		}
	case s.cfg.NoSessions || scripted && m.method == "server/discover":
		p = newPeer("", r.RemoteAddr)
	case id == "":
		if m.method != "server/discover" { // to ask a legacy server is how a client finds out
			s.breach(seq, "no session id")
		}
		s.ledger.set(seq, func(e *Entry) { e.Outcome = "answered" })
		ch.fail(400, &m, rpcErrorf(-32000, "bad request: no valid session id"))
		return
	default:
		if p = s.session(id); p == nil {
			s.ledger.set(seq, func(e *Entry) { e.Outcome = "refused" })
			ch.fail(404, &m, rpcErrorf(-32001, "session not found"))
			return
		}
		if !s.checkVersion(ch, r, &m, p, seq) {
			return
		}
	}
	if m.id == nil || m.method == "" {
		s.note(p, &m, seq)
		ch.status(202)
		return
	}
	x := &exchange{engine: s.engine, peer: p, channel: ch, message: m, era: Legacy, seq: seq}
	x.request(context.WithoutCancel(r.Context()), act) // a legacy client that goes away does not cancel
}

// checkVersion compares MCP-Protocol-Version with what the session agreed on.
func (s *httpServer) checkVersion(ch *httpChannel, r *http.Request, m *message, p *peer, seq int) bool {
	p.mu.Lock()
	agreed := p.version
	p.mu.Unlock()
	got := r.Header.Get("Mcp-Protocol-Version")
	switch {
	case got == "" && agreed >= "2025-06-18":
		s.breach(seq, "no MCP-Protocol-Version")
	case got != "" && got != agreed:
		s.breach(seq, "MCP-Protocol-Version %s, agreed was %s", got, agreed)
		ch.fail(400, m, rpcErrorf(-32000, "bad request: unsupported protocol version"))
		return false
	}
	return true
}

// serveOther answers GET (the session's stream) and DELETE (its end).
func (s *httpServer) serveOther(ch *httpChannel, r *http.Request, e Entry) {
	e.Method = r.Method
	seq := s.ledger.add(e)
	if act, scripted := s.match(&message{method: r.Method}); scripted {
		if act.Fault == Hang {
			<-r.Context().Done()
			return
		}
		ch.answer(answer{status: max(act.Status, 200), act: act})
		return
	}
	p := s.session(e.Session)
	switch {
	case s.cfg.Era == Modern || s.cfg.NoSessions || r.Method == http.MethodGet && s.cfg.NoGet:
		ch.status(405)
	case e.Session == "":
		s.breach(seq, "no session id")
		ch.status(400)
	case p == nil:
		ch.status(404)
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		delete(s.sessions, e.Session)
		s.mu.Unlock()
		s.drop(p)
		ch.status(200)
	case r.Method == http.MethodGet:
		if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			s.breach(seq, "accept is %q", r.Header.Get("Accept"))
			ch.status(406)
			return
		}
		s.hold(ch, r, p, "")
	default:
		ch.status(405)
	}
}

// hold keeps a session's stream open until either side ends it. first is the data of the endpoint event, if there is one.
func (s *httpServer) hold(ch *httpChannel, r *http.Request, p *peer, first string) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	st := &eventStream{httpChannel: ch, cancel: cancel}
	p.mu.Lock()
	p.stream = st
	ch.start() // nobody else may write before the first event
	if first != "" {
		ch.mu.Lock()
		_ = ch.write(ch.event("endpoint", []byte(first)))
		ch.flush()
		ch.mu.Unlock()
	}
	p.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	p.mu.Lock()
	if p.stream == sender(st) {
		p.stream = nil
	}
	p.mu.Unlock()
}

// eventStream is a GET stream.
type eventStream struct {
	*httpChannel
	cancel context.CancelFunc
}
