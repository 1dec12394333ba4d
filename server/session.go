package server

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

// ErrCanceled is the cause of a request's context when its client sent notifications/cancelled.
var ErrCanceled = errors.New("cancelled by the client")

// Session is what weir remembers of one legacy client, or of the one client of a stdio connection. It is bound to the owner (see policy.Principal.Owner)
// that opened it: groups and scopes may change from request to request.
type Session struct {
	ID    string
	owner string
	sieve func(catalog.Ref) *sieve // of the gateway, nil for none

	client   atomic.Pointer[catalog.Client]
	lastUsed atomic.Int64 // Unix nanoseconds
	open     atomic.Int32 // streams and requests now open; an open session is not idle

	mu       sync.Mutex
	inflight map[string]context.CancelCauseFunc // by raw request id
	asking   map[string]chan answered           // requests to the client that wait for its answer, by id
	asked    uint64                             // numbers them
	watched  map[string]func()                  // ends the subscription to a resource, by URI
	outlets  []*Outlet                          // where unrelated notifications go: to the newest
	ended    bool
	done     chan struct{} // closed when the session ends
}

// NewSession returns the session of a client; its ID is 128 random bits.
func NewSession(p policy.Principal, c catalog.Client) *Session {
	s := &Session{ID: rand.Text(), owner: p.Owner(), done: make(chan struct{})}
	s.inflight, s.asking, s.watched = make(map[string]context.CancelCauseFunc), make(map[string]chan answered), make(map[string]func())
	s.SetClient(c)
	s.touch()
	return s
}

// Client returns what the session knows of its client; the value does not change, the pointer does.
func (s *Session) Client() *catalog.Client { return s.client.Load() }

// SetClient replaces what is known of the client (stdio, where initialize comes after the connection).
func (s *Session) SetClient(c catalog.Client) {
	c.Session, c.Outside = s.ID, s
	s.client.Store(&c)
}

func (s *Session) setLogLevel(level string) {
	for {
		old := s.client.Load()
		c := *old
		c.LogLevel = level
		if s.client.CompareAndSwap(old, &c) {
			return
		}
	}
}

func (s *Session) touch() { s.lastUsed.Store(time.Now().UnixNano()) }

// idleSince returns when the session was last used; false while something is open.
func (s *Session) idleSince() (time.Time, bool) {
	return time.Unix(0, s.lastUsed.Load()), s.open.Load() == 0
}

// Done is closed when the session ends.
func (s *Session) Done() <-chan struct{} { return s.done }

// Use marks the session as in use until the returned func is called.
func (s *Session) Use() (done func()) {
	s.open.Add(1)
	return func() {
		s.touch()
		s.open.Add(-1)
	}
}

// Begin enters a request, so that notifications/cancelled of this client, and only of this client, can end it.
// It returns nil when a request with this id is already open. end must be called when the request is answered.
func (s *Session) Begin(ctx context.Context, id []byte) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	key := string(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.inflight[key]; taken || s.ended {
		cancel(ErrCanceled)
		return nil, nil
	}
	s.inflight[key] = cancel
	return ctx, func() {
		s.mu.Lock()
		delete(s.inflight, key)
		s.mu.Unlock()
		cancel(nil)
	}
}

// Cancel handles notifications/cancelled: it ends the open request that the message names, if any.
func (s *Session) Cancel(m *rawjson.Message) {
	s.mu.Lock()
	cancel := s.inflight[string(m.RequestID.Of(m.Data))]
	s.mu.Unlock()
	if cancel != nil {
		cancel(ErrCanceled)
	}
}

// Attach makes o the place where notifications go that belong to no request, until detach is called; then the one before it is again.
// A message is sent on one stream only (spec 2025-11-25, streamable-http, multiple connections).
func (s *Session) Attach(o *Outlet) (detach func()) {
	s.mu.Lock()
	s.outlets = append(s.outlets, o)
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		s.outlets = slices.DeleteFunc(s.outlets, func(x *Outlet) bool { return x == o })
		s.mu.Unlock()
	}
}

// Send passes a notification that belongs to no request to the client; false when there is no stream to put it on.
func (s *Session) Send(message []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.outlets) > 0 && s.outlets[len(s.outlets)-1].Put(message)
}

// End closes the session: its open requests are cancelled and no new ones begin.
func (s *Session) End() {
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		close(s.done)
	}
	open, watched := s.inflight, s.watched
	s.inflight, s.watched = make(map[string]context.CancelCauseFunc), make(map[string]func())
	s.mu.Unlock()
	for _, cancel := range open {
		cancel(ErrCanceled)
	}
	if len(watched) == 0 {
		return
	}
	go func() { // upstreams are told, and may take their time
		for _, stop := range watched {
			stop()
		}
	}()
}

// Sessions are the legacy sessions of an HTTP endpoint, by id. Ids are looked up only together with the owner they belong to.
type Sessions struct {
	idle time.Duration
	max  int

	mu    sync.RWMutex
	byID  map[string]*Session
	count map[string]int // by owner
}

// NewSessions returns an empty table. Sweep ends sessions idle for longer than idle; an owner has at most limit.
func NewSessions(idle time.Duration, limit int) *Sessions {
	return &Sessions{idle: idle, max: limit, byID: make(map[string]*Session), count: make(map[string]int)}
}

// Add enters s. An owner at the limit loses the session that was idle longest: clients that forget to say goodbye must not lock
// themselves out. Add returns false when none is idle.
func (t *Sessions) Add(s *Session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count[s.owner] >= t.max {
		oldest := t.longestIdle(s.owner)
		if oldest == nil {
			return false
		}
		t.forget(oldest)
		defer oldest.End()
	}
	t.byID[s.ID] = s
	t.count[s.owner]++
	return true
}

func (t *Sessions) longestIdle(owner string) *Session {
	var oldest *Session
	var at time.Time
	for _, s := range t.byID {
		if since, idle := s.idleSince(); s.owner == owner && idle && (oldest == nil || since.Before(at)) {
			oldest, at = s, since
		}
	}
	return oldest
}

// forget removes s; t.mu is held.
func (t *Sessions) forget(s *Session) {
	if t.byID[s.ID] != s {
		return
	}
	delete(t.byID, s.ID)
	if t.count[s.owner]--; t.count[s.owner] == 0 {
		delete(t.count, s.owner)
	}
}

// Get returns the session of an id that belongs to p, else nil: another's session looks like none.
func (t *Sessions) Get(id string, p policy.Principal) *Session {
	t.mu.RLock()
	s := t.byID[id]
	t.mu.RUnlock()
	if s == nil || s.owner != p.Owner() {
		return nil
	}
	return s
}

// Remove ends a session.
func (t *Sessions) Remove(s *Session) {
	t.mu.Lock()
	t.forget(s)
	t.mu.Unlock()
	s.End()
}

// All returns the sessions now open.
func (t *Sessions) All() []*Session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*Session, 0, len(t.byID))
	for _, s := range t.byID {
		out = append(out, s)
	}
	return out
}

// Sweep ends the sessions that were idle too long at now.
func (t *Sessions) Sweep(now time.Time) {
	for _, s := range t.All() {
		if since, idle := s.idleSince(); idle && now.Sub(since) > t.idle {
			t.Remove(s)
		}
	}
}
