package upstreamtest

import (
	"net/http"
)

// serveSSE is the HTTP+SSE transport of 2024-11-05: answers come on the stream that GET opened, POSTs are only accepted.
func (s *httpServer) serveSSE(ch *httpChannel, r *http.Request, e Entry, body []byte) {
	e.Era = Legacy
	if r.Method == http.MethodGet && r.URL.Path == "/sse" {
		e.Method = r.Method
		s.ledger.add(e)
		p := s.newSession(r.RemoteAddr)
		s.hold(ch, r, p, "/message?sessionId="+p.session)
		s.mu.Lock()
		delete(s.sessions, p.session)
		s.mu.Unlock()
		s.drop(p)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/message" {
		s.ledger.add(e)
		ch.status(http.StatusMethodNotAllowed)
		return
	}
	e.Session = r.URL.Query().Get("sessionId")
	m, fail := parse(body)
	e.Method, e.ID, e.Name, e.Params = m.method, Raw(m.id), m.target(), Raw(m.rawParams)
	seq := s.ledger.add(e)
	p := s.session(e.Session)
	switch {
	case fail != nil:
		s.breach(seq, "%s", fail.text)
		ch.fail(400, &m, fail)
	case p == nil:
		ch.fail(404, &m, rpcErrorf(-32001, "session not found"))
	case m.id == nil || m.method == "":
		s.note(p, &m, seq)
		ch.status(202)
	default:
		s.answerOnStream(ch, p, m, seq)
	}
}

// answerOnStream accepts the POST and plays the request on the session's stream.
func (s *httpServer) answerOnStream(ch *httpChannel, p *peer, m message, seq int) {
	act, _ := s.match(&m)
	if act.Status != 0 || act.Fault == HTML || act.Fault == Empty && act.Type != "" { // the POST itself fails
		ch.answer(answer{status: act.Status, act: act})
		return
	}
	p.mu.Lock()
	st, _ := p.stream.(*eventStream)
	p.mu.Unlock()
	if st == nil {
		ch.fail(404, &m, rpcErrorf(-32001, "session has no stream"))
		return
	}
	ch.w.Header().Set("Content-Type", "text/plain")
	ch.status(202)
	_, _ = ch.w.Write([]byte("Accepted"))
	x := &exchange{engine: s.engine, peer: p, channel: st, message: m, era: Legacy, seq: seq}
	s.wg.Go(func() { x.request(s.ctx, act) })
}
