package policy

import (
	"maps"
	"slices"
	"strings"

	"weir/catalog"
)

// Access is what a caller may do with an entry, before any request.
type Access uint8

// Denied is for every request, Depends for some of them, Allowed for none.
const (
	Denied Access = iota
	Depends
	Allowed
)

// String returns deny, depends or allow.
func (a Access) String() string { return [...]string{"deny", "depends", "allow"}[a] }

// Change is what a caller gains or loses between two policies.
type Change struct {
	Who         Principal
	Action      Action
	Ref         catalog.Ref
	Was, Is     Access
	WasBy, IsBy Decision
}

// Diff compares two policies over the entries of a snapshot, for some callers: what may be done with an entry before any request is known.
func Diff(was, is *Policy, s *catalog.Snapshot, who []Principal) []Change {
	x := newIndex(s)
	var changes []Change
	for _, p := range who {
		n := p.identity()
		_, before := was.roleKey(n)
		_, after := is.roleKey(n)
		old, next := was.newProfile(x, n, before), is.newProfile(x, n, after)
		for _, e := range s.Entries() {
			for _, a := range actionsOn(e.Kind) {
				c := Change{Who: p, Action: a, Ref: e.Ref, Was: old.access(a, e), Is: next.access(a, e)}
				if c.Was != c.Is {
					c.WasBy, c.IsBy = old.Decide(a, e), next.Decide(a, e)
					changes = append(changes, c)
				}
			}
		}
	}
	return changes
}

func (f *Profile) access(a Action, e *catalog.Entry) Access {
	v := f.verdict(e)
	switch {
	case !v.possible.has(useOf(e.Kind)) || !v.possible.has(a):
		return Denied
	case v.certain.has(a):
		return Allowed
	default:
		return Depends
	}
}

// Recorded is a request that was made once; see [Policy.ReadRecorded].
type Recorded struct {
	Action  Action
	Entry   *catalog.Entry
	Request Request
}

// Replay decides recorded calls by two policies and returns those that would be decided otherwise. s may be nil.
func Replay(was, is *Policy, s *catalog.Snapshot, calls []Recorded) []Change {
	type pair struct{ old, next *Profile }
	profiles := make(map[Principal]pair)
	var changes []Change
	for i := range calls {
		c := &calls[i]
		who := c.Request.Principal
		f, ok := profiles[who]
		if !ok {
			f = pair{was.ProfileOf(who, s), is.ProfileOf(who, s)}
			profiles[who] = f
		}
		before, after := f.old.DecideWith(c.Action, c.Entry, &c.Request), f.next.DecideWith(c.Action, c.Entry, &c.Request)
		if before.Allowed != after.Allowed {
			changes = append(changes, Change{
				Who: who, Action: c.Action, Ref: c.Entry.Ref, Was: accessOf(before), Is: accessOf(after), WasBy: before, IsBy: after,
			})
		}
	}
	return changes
}

func accessOf(d Decision) Access {
	if d.Allowed {
		return Allowed
	}
	return Denied
}

// Subjects lists whom the rules speak about, roles and everyone left out, sorted: the callers to compare when none are named.
func (p *Policy) Subjects() []string {
	seen := make(map[string]bool)
	for s := range p.bySubject {
		seen[s] = true
	}
	for _, held := range p.links {
		for s := range held {
			seen[s] = true
		}
	}
	if own := p.authority.own; own != nil {
		for s := range own.known {
			seen[s] = true
		}
	}
	maps.DeleteFunc(seen, func(s string, _ bool) bool { return s == everyone || strings.HasPrefix(s, roleType) })
	return slices.Sorted(maps.Keys(seen))
}
