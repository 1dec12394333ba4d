package policy

import (
	"sync/atomic"

	"weir/catalog"
)

// Difference is a request about which the policy in force and the one in the shadow decided differently. The first was enforced.
type Difference struct {
	Who    string // a caller with the same rights, when the request does not say who it was
	Action Action
	Entry  *catalog.Entry
	// Enforced is what held; Watched what the other policy would have said.
	Enforced, Watched Decision
}

// Tally counts what the policy in the shadow was asked.
type Tally struct {
	Decisions  int64
	WouldDeny  int64 // allowed, but not by the policy in the shadow
	WouldAllow int64
}

type tally struct{ decisions, wouldDeny, wouldAllow atomic.Int64 }

// Watch puts p in the shadow: it is asked about every decision beside the policy in force, and never enforced. report is called for each
// difference, perhaps concurrently, and must not block; it may be nil. A nil p ends it. Watch sets the tally to zero.
func (e *Engine) Watch(p *Policy, report func(Difference)) {
	e.change(func(s *state) {
		s.candidate, s.report, s.tally = p, report, &tally{}
	})
}

// Tally returns the counts since Watch.
func (e *Engine) Tally() Tally {
	t := e.state.Load().tally
	if t == nil {
		return Tally{}
	}
	return Tally{t.decisions.Load(), t.wouldDeny.Load(), t.wouldAllow.Load()}
}

// shadow is the profile of the policy that is only watched.
type shadow struct {
	profile *Profile
	tally   *tally
	report  func(Difference)
	who     string
}

func (s *shadow) compare(a Action, entry *catalog.Entry, enforced Decision, r *Request) {
	var watched Decision
	if r == nil {
		watched = s.profile.Decide(a, entry)
	} else {
		watched = s.profile.DecideWith(a, entry, r)
	}
	who := s.who
	if r != nil && !r.Principal.IsNobody() {
		who = r.Principal.String()
	}
	s.tally.decisions.Add(1)
	switch {
	case watched.Allowed == enforced.Allowed, watched.Conditional, enforced.Conditional:
		return
	case enforced.Allowed:
		s.tally.wouldDeny.Add(1)
	default:
		s.tally.wouldAllow.Add(1)
	}
	if s.report != nil {
		s.report(Difference{Who: who, Action: a, Entry: entry, Enforced: enforced, Watched: watched})
	}
}
