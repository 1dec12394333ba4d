package upstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/cred"
)

const (
	// sessionIdle is how long a session of a client may rest before it is ended.
	sessionIdle = 5 * time.Minute
	// maxSessions bounds the client sessions of one upstream.
	maxSessions = 10_000
)

// everything is what the connection that reads the lists declares: servers list tools only to clients that can serve them, and the catalogue holds
// them for those who can.
const everything = `{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{},"context":{}},"roots":{},"extensions":{` +
	`"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]},"io.modelcontextprotocol/tasks":{}}}`

// manner is how a connection introduces itself.
type manner struct {
	era          string // overrides that of the Spec, "" does not
	capabilities string // raw
	// outside is who gets what the server says between calls, nil for nobody.
	outside catalog.Outside
}

// sessionKey says whose a legacy session is. Two calls share one only when the upstream may take them for the same client's.
type sessionKey struct {
	owner  string // the principal
	client string // the client session of a legacy client that can be asked: what the upstream asks outside of a call is for that one
	manner manner
}

// session is a connection made for one client of a legacy server.
type session struct {
	dialed chan struct{} // closed when live or err is set
	live   *live
	err    error
	used   time.Time // guarded by sessions.mu
	open   int       // calls, guarded by sessions.mu
}

// sessions are the connections of one upstream that were made for single clients. A legacy server knows its client by the handshake: what it may
// ask is what was declared there, and whom it asks is whose session it is.
type sessions struct {
	mu    sync.Mutex
	byKey map[sessionKey]*session
	tick  *time.Timer // ends idle sessions
}

// keyOf says which session a call needs; false when the upstream's one connection serves it. An upstream of both eras is called in the caller's.
//
// A child process is one session by nature, and a second child for the same server may fight with the first for its files and ports. So a
// stdio server has one, and a second only where nothing else will do: when it speaks both eras and a legacy client can be asked, which
// such a server does in a legacy session only.
func (m *member) keyOf(l *live, call *catalog.Call) (sessionKey, bool) {
	spec := m.spec.Load()
	c, ok := l.backend.(conversation)
	if !ok {
		return sessionKey{}, false
	}
	mirrored := c.Era() == catalog.Modern && call.Client.Era == catalog.Legacy && c.Eras().Legacy && spec.Era != "modern"
	switch {
	case c.Era() == catalog.Modern && !mirrored:
		return sessionKey{}, false
	case spec.Kind() == "stdio":
		return sessionKey{manner: manner{era: "legacy", capabilities: everything}}, mirrored && call.Ask != nil
	}
	key := sessionKey{owner: call.Owner, manner: manner{era: "legacy", capabilities: relayable(call)}}
	if call.Client.Era == catalog.Legacy && call.Ask != nil {
		key.client, key.manner.outside = call.Client.Session, call.Client.Outside
	}
	return key, true
}

// relayable is what of the caller's capabilities an upstream is told: that which can be asked through weir, and MCP Apps, in a canonical form.
func relayable(call *catalog.Call) string {
	caps := call.Client.Capabilities
	f, err := rawjson.Fields(caps, "elicitation", "sampling", "roots", "extensions")
	if err != nil {
		return `{}`
	}
	b := []byte(`{`)
	add := func(name string, value []byte) {
		if len(value) == 0 || value[0] != '{' {
			return
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = rawjson.Compact(append(rawjson.AppendString(b, name), ':'), value)
	}
	if call.Ask != nil {
		for i, name := range []string{"elicitation", "sampling", "roots"} {
			add(name, f[i].Of(caps))
		}
	}
	if all := f[3].Of(caps); all != nil {
		if apps, err := rawjson.Fields(all, appsExtension); err == nil && !apps[0].Absent() {
			add("extensions", rawjson.AppendObject(nil, nil, nil, rawjson.Member{Key: appsExtension, Value: apps[0].Of(all)}))
		}
	}
	return string(append(b, '}'))
}

// appsExtension is MCP Apps: servers offer tools with a user interface to clients that declare it.
const appsExtension = "io.modelcontextprotocol/ui"

// enter returns the session of key with one more call on it, made if need be. leave must be called.
func (m *member) enter(ctx context.Context, key sessionKey) (*session, error) {
	p := &m.sessions
	p.mu.Lock()
	s := p.byKey[key]
	if s != nil && s.lost() {
		delete(p.byKey, key)
		m.end(s)
		s = nil
	}
	if s == nil {
		if len(p.byKey) >= maxSessions {
			p.mu.Unlock()
			return nil, &catalog.Error{Code: catalog.Limited, Msg: fmt.Sprintf("%s: %d clients have a session already", m.name, maxSessions), Execution: catalog.NotExecuted}
		}
		s = &session{dialed: make(chan struct{})}
		if p.byKey == nil {
			p.byKey = map[sessionKey]*session{}
		}
		p.byKey[key] = s
		if p.tick == nil {
			p.tick = time.AfterFunc(sessionIdle, m.sweep)
		}
		m.crew.Go(func() {
			defer close(s.dialed)
			s.err = m.guarded(func() error { return m.open(cred.Carry(m.set.soft, ctx), s, key) })
		})
	}
	s.open++
	p.mu.Unlock()
	select {
	case <-s.dialed:
	case <-ctx.Done():
		m.leave(s)
		return nil, gaveUp(ctx, m.name)
	}
	if s.err != nil {
		m.leave(s)
		p.mu.Lock()
		if p.byKey[key] == s {
			delete(p.byKey, key)
		}
		p.mu.Unlock()
		return nil, s.err
	}
	return s, nil
}

// lost reports whether the session's connection is gone.
func (s *session) lost() bool {
	select {
	case <-s.dialed:
		return s.err != nil || s.live.backend.Err() != nil
	default:
		return false
	}
}

// open shakes hands for a session. Who waits for it may leave; the session stays for the next call.
func (m *member) open(ctx context.Context, s *session, key sessionKey) error {
	ctx, cancel := m.startLimit(ctx)
	defer cancel()
	b, err := m.dial(ctx, key.manner, func() { give(m.changes) })
	if err != nil {
		return err
	}
	s.live = &live{backend: b}
	if outside := key.manner.outside; outside != nil {
		m.crew.Go(func() {
			select {
			case <-outside.Done():
				m.drop(key, s)
			case <-b.Done():
			}
		})
	}
	return nil
}

// drop ends a session whose client is gone.
func (m *member) drop(key sessionKey, s *session) {
	p := &m.sessions
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey[key] == s {
		delete(p.byKey, key)
		m.end(s)
	}
}

// rooted is a backend whose server can be told that its client's roots changed.
type rooted interface {
	RootsChanged(context.Context) error
}

// rootsWait bounds the telling of one server.
const rootsWait = 10 * time.Second

// RootsChanged tells the servers that have a session of their own for a client that its roots changed. On connections that clients share nobody is told: they were made
// without that capability.
func (s *Set) RootsChanged(client string) {
	if client == "" {
		return
	}
	for _, m := range *s.members.Load() {
		m.rootsChanged(client)
		if m.pool != nil {
			for _, e := range m.pool.ends {
				e.rootsChanged(client)
			}
		}
	}
}

func (m *member) rootsChanged(client string) {
	p := &m.sessions
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, s := range p.byKey {
		if key.client != client {
			continue
		}
		m.beside(func() {
			<-s.dialed
			if s.err != nil {
				return
			}
			ctx, cancel := context.WithTimeout(m.set.soft, rootsWait)
			defer cancel()
			if b, ok := s.live.backend.(rooted); ok && b.RootsChanged(ctx) != nil && ctx.Err() == nil {
				m.set.o.Log.Debug("a server could not be told that roots changed", "upstream", m.name)
			}
		})
	}
}

func (m *member) leave(s *session) {
	m.sessions.mu.Lock()
	s.open--
	s.used = time.Now()
	m.sessions.mu.Unlock()
}

// end closes a session that is in the table no more, once its calls are over.
func (m *member) end(s *session) {
	m.beside(func() {
		<-s.dialed
		if s.err == nil {
			ctx, cancel := context.WithTimeout(m.set.hard, drainWait)
			defer cancel()
			s.live.close(ctx)
		}
	})
}

// sweep ends idle and lost sessions.
func (m *member) sweep() {
	p := &m.sessions
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, s := range p.byKey {
		if s.open == 0 && (s.lost() || time.Since(s.used) >= sessionIdle) {
			delete(p.byKey, key)
			m.end(s)
		}
	}
	if p.tick = nil; len(p.byKey) > 0 {
		p.tick = time.AfterFunc(sessionIdle, m.sweep)
	}
}

// closeSessions ends all sessions, when the upstream stops.
func (m *member) closeSessions() {
	p := &m.sessions
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, s := range p.byKey {
		delete(p.byKey, key)
		m.end(s)
	}
	if p.tick != nil {
		p.tick.Stop()
		p.tick = nil
	}
}
