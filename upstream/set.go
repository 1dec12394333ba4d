package upstream

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"weir/catalog"
	"weir/catalog/room"
	"weir/translate"
	"weir/upstream/cred"
	"weir/upstream/process"
)

// Namespace is how the entries of all upstreams appear together.
type Namespace struct {
	Specs    map[string]Spec
	Order    []string // names in Specs, as configured
	Naming   catalog.Naming
	PageSize int // entries per list page; 0 means the catalogue's default
	// Extra are entries that stand beside those of the upstreams and that somebody else answers for; they come last.
	Extra []Extra
}

// Extra is what one name offers that is no upstream in Specs.
type Extra struct {
	Source *catalog.Source
	Rules  catalog.Rules
}

// Options are what a Set is made of. Catalog is required.
type Options struct {
	Namespace
	Catalog *catalog.Catalog // gets the snapshots
	// Expand resolves the references in a text of a Spec. Its errors must not hold values. Nil leaves texts as they are.
	Expand func(string) (string, error)
	// Updated is called, from any goroutine, with what an upstream tells about a topic that was subscribed to. It must not block, and params are valid during
	// the call only.
	Updated func(upstream string, topic catalog.Topic, params []byte)
	SignIn  *cred.SignIn    // where users sign in to upstreams; may be nil
	Cache   translate.Cache // keeps what descriptions of APIs came to; may be nil
	Hold    room.Hold       // is asked before a large answer is taken; may be nil
	Version string          // of weir, as servers are told
	Log     *slog.Logger

	dial  func(name string, spec *Spec) dialer // for tests, as build is
	build func([]*catalog.Source, catalog.Options) *catalog.Snapshot
}

// Set keeps the upstreams alive. All methods are safe for concurrent use.
type Set struct {
	o        Options
	key      [sha256.Size]byte // of prints
	children *process.Supervisor
	members  atomic.Pointer[map[string]*member]
	dirty    chan struct{} // one token: something to publish
	memory   *room.Memory  // of large answers

	soft, hard         context.Context //nolint:containedctx // soft ends the upstreams' work, hard what is left of it
	stopSoft, stopHard context.CancelFunc
	running            sync.WaitGroup // members, removed ones too, and the publisher

	mu      sync.Mutex
	started bool
	closed  bool
	space   Namespace
	prints  map[string][sha256.Size]byte
	marks   int           // changes so far
	shown   int           // changes that the published snapshot holds
	turned  chan struct{} // closed at the next change of shown
}

// New returns a Set that has started nothing.
func New(o Options) *Set {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{
		o: o, space: o.Namespace, memory: room.NewMemory(o.Hold), children: process.New(process.Options{Log: o.Log}),
		dirty: make(chan struct{}, 1), turned: make(chan struct{}), prints: map[string][sha256.Size]byte{},
	}
	_, _ = rand.Read(s.key[:]) // never fails (crypto/rand)
	s.soft, s.stopSoft = context.WithCancel(context.Background())
	s.hard, s.stopHard = context.WithCancel(context.Background())
	members := map[string]*member{}
	for name, spec := range o.Specs {
		members[name] = newMember(s, name, &spec, nil)
	}
	s.members.Store(&members)
	return s
}

// Start starts all upstreams and returns at once. They run until Close, or until ctx ends.
func (s *Set) Start(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.closed {
		return
	}
	s.started = true
	context.AfterFunc(ctx, s.stopSoft)
	s.running.Go(s.publish)
	for name, m := range *s.members.Load() {
		s.prints[name] = s.print(name, m.spec.Load())
		m.start(s.soft)
	}
	s.marks++
	give(s.dirty)
}

// Call carries a call to its upstream. Errors are *catalog.Error.
func (s *Set) Call(ctx context.Context, call *catalog.Call) (*catalog.Answer, error) {
	name := call.Entry.Ref.Upstream
	m := (*s.members.Load())[name]
	for {
		if m == nil {
			return nil, &catalog.Error{Code: catalog.Unavailable, Msg: name + ": is no longer configured", Execution: catalog.NotExecuted}
		}
		a, err := m.call(ctx, call)
		if err == nil || !notExecuted(err) {
			return a, err
		}
		next := (*s.members.Load())[name]
		if next == m {
			return a, err
		}
		m = next // a reload came between, and the call was not executed
	}
}

// Settled waits until every upstream is up or has failed and the catalogue shows that. It fails when ctx or the Set ends first.
func (s *Set) Settled(ctx context.Context) error {
	for {
		s.mu.Lock()
		turned := s.turned
		settled := s.shown == s.marks && s.settled()
		s.mu.Unlock()
		if settled {
			return nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.soft.Done():
			return errors.New("upstream: stopped")
		}
	}
}

// settled reports whether no upstream is starting for the first time.
func (s *Set) settled() bool {
	for _, m := range *s.members.Load() {
		m.mu.Lock()
		starting := m.state == Starting
		m.mu.Unlock()
		if starting {
			return false
		}
	}
	return true
}

// Reload takes another configuration. Upstreams whose server stays the same keep their connections; the others start anew, and until then their last known
// entries stay listed. Calls on connections that are replaced are answered first.
func (s *Set) Reload(space Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	old := *s.members.Load()
	members := make(map[string]*member, len(space.Specs))
	prints := map[string][sha256.Size]byte{}
	var begin []*member
	for name, spec := range space.Specs {
		prints[name] = s.print(name, &spec)
		m := old[name]
		if m != nil && m.spec.Load().sameServer(&spec) && prints[name] == s.prints[name] {
			m.setSpec(&spec)
			members[name] = m
			continue
		}
		var last *catalog.Source
		if m != nil {
			last = m.last()
		}
		members[name] = newMember(s, name, &spec, last)
		begin = append(begin, members[name])
	}
	s.members.Store(&members)
	s.space, s.prints = space, prints
	if !s.started {
		return
	}
	for name, m := range old {
		if members[name] != m {
			m.cancel()
		}
	}
	for _, m := range begin {
		m.start(s.soft)
	}
	s.marks++
	give(s.dirty)
}

// Close stops all upstreams at once: calls in flight are answered first, as long as ctx lasts.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	started := s.started
	s.mu.Unlock()
	s.stopSoft()
	defer context.AfterFunc(ctx, s.stopHard)()
	defer s.stopHard()
	if !started {
		return s.children.Close(ctx)
	}
	s.running.Wait()
	if err := s.children.Close(ctx); err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("upstream: not everything could be closed in time")
	}
	return nil
}
