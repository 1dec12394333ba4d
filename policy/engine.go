package policy

import (
	"slices"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"weir/catalog"
)

const (
	// callersKept bounds, for each snapshot, the callers whose profile is known at once; rolesKept the profiles, one per set of roles.
	callersKept = 8192
	rolesKept   = 1024
	// snapshotsKept is how many snapshots have profiles before those that nobody asks about any more are let go.
	snapshotsKept = 4
	snapshotsMost = 64
)

// Engine answers for the current policy. It is safe for concurrent use.
type Engine struct {
	state     atomic.Pointer[state]
	mu        sync.Mutex // serialises changes of state and guards listeners
	listeners []*func()
}

// state is one policy with the profiles compiled for it. It is replaced whole: nothing in it outlives its policy.
type state struct {
	policy    *Policy
	candidate *Policy // the policy in the shadow, or nil
	report    func(Difference)
	tally     *tally
	seats     []*seats
}

// seats are the profiles of one snapshot.
type seats struct {
	index    *index
	callers  *lru.Cache[Principal, *Profile]
	profiles *lru.Cache[string, *pending]
	used     atomic.Bool
}

// pending is a profile that is compiled once, by whoever asks first.
type pending struct {
	once    sync.Once
	profile *Profile
}

// New returns an engine with the policy that stands when none is configured: the local user may do everything, nobody else anything.
func New() (*Engine, error) {
	p, err := Compile(Spec{}, Options{})
	if err != nil {
		return nil, err
	}
	e := &Engine{}
	e.state.Store(&state{policy: p})
	return e, nil
}

// Policy returns the policy in force.
func (e *Engine) Policy() *Policy { return e.state.Load().policy }

// Swap puts p in force, at once and whole, and then tells the listeners. A call that has its profile already keeps the policy it began with.
func (e *Engine) Swap(p *Policy) {
	e.change(func(s *state) { s.policy = p })
}

// change replaces the state, without any profile, and tells the listeners.
func (e *Engine) change(edit func(*state)) {
	e.mu.Lock()
	old := e.state.Load()
	next := &state{policy: old.policy, candidate: old.candidate, report: old.report, tally: old.tally}
	edit(next)
	e.state.Store(next)
	listeners := slices.Clone(e.listeners)
	e.mu.Unlock()
	for _, f := range listeners {
		(*f)()
	}
}

// OnSwap registers f, which runs after each change of the policy in force: lists may differ, open streams may have lost their rights. The
// returned func unregisters it.
func (e *Engine) OnSwap(f func()) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	listener := &f
	e.listeners = append(e.listeners, listener)
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.listeners = slices.DeleteFunc(e.listeners, func(l *func()) bool { return l == listener })
	}
}

// Profile returns the part of s that p may use. The same policy, snapshot and roles give the same Profile, so lists rendered for it are
// kept. Ask once per request: everything about one request is then decided by one policy.
func (e *Engine) Profile(p Principal, s *catalog.Snapshot) *Profile {
	st := e.state.Load()
	seat := st.seat(s)
	if seat == nil {
		st, seat = e.open(s)
	}
	if f, ok := seat.callers.Get(p); ok {
		return f
	}
	f := st.profile(seat, p)
	seat.callers.Add(p, f)
	return f
}

// seat finds the profiles of s.
func (st *state) seat(s *catalog.Snapshot) *seats {
	for _, seat := range st.seats {
		if seat.index.snapshot == s {
			if !seat.used.Load() {
				seat.used.Store(true)
			}
			return seat
		}
	}
	return nil
}

// open makes room for the profiles of s. Snapshots that nobody has asked about since the last time lose theirs when there are many.
func (e *Engine) open(s *catalog.Snapshot) (*state, *seats) {
	x := newIndex(s)
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.state.Load()
	if seat := old.seat(s); seat != nil {
		return old, seat
	}
	next := &state{policy: old.policy, candidate: old.candidate, report: old.report, tally: old.tally}
	for _, seat := range old.seats {
		if len(old.seats) < snapshotsKept || seat.used.Swap(false) {
			next.seats = append(next.seats, seat)
		}
	}
	if len(next.seats) >= snapshotsMost {
		next.seats = next.seats[1:]
	}
	seat := &seats{index: x}
	seat.callers, _ = lru.New[Principal, *Profile](callersKept) // fails only for a size below 1
	seat.profiles, _ = lru.New[string, *pending](rolesKept)
	seat.used.Store(true)
	next.seats = append(next.seats, seat)
	e.state.Store(next)
	return next, seat
}

// profile finds or compiles the profile of a caller among those of everyone with the same roles.
func (st *state) profile(seat *seats, p Principal) *Profile {
	who := p.identity()
	key, held := st.policy.roleKey(who)
	var watchedHeld []string
	if st.candidate != nil {
		var watched string
		watched, watchedHeld = st.candidate.roleKey(who)
		key = joinParts([]string{key, watched})
	}
	fresh := &pending{}
	if prev, ok, _ := seat.profiles.PeekOrAdd(key, fresh); ok {
		seat.profiles.Get(key) // it was used
		fresh = prev
	}
	fresh.once.Do(func() {
		f := st.policy.newProfile(seat.index, who, held)
		if st.candidate != nil {
			f.shadow = &shadow{profile: st.candidate.newProfile(seat.index, who, watchedHeld), tally: st.tally, report: st.report, who: p.String()}
		}
		fresh.profile = f
	})
	return fresh.profile
}
