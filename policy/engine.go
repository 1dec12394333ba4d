package policy

import (
	"fmt"
	"sync/atomic"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	lru "github.com/hashicorp/golang-lru/v2"

	"weir/catalog"
)

// rbac is the built-in Casbin model: typed subjects, Ref globs, deny overrides, deny by default.
const rbac = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && glob(r.obj, p.obj) && glob(r.act, p.act)
`

// profilesPerSnapshot bounds the compiled profiles kept: one per set of subjects, not per person.
const profilesPerSnapshot = 1024

// Engine answers for one policy. It is safe for concurrent use.
type Engine struct {
	enforcer *casbin.Enforcer
	compiled atomic.Pointer[compiled]
}

// compiled holds the profiles of one snapshot and dies with it.
type compiled struct {
	snapshot *catalog.Snapshot
	profiles *lru.Cache[Principal, *Profile]
}

// New returns the engine of the policy that stands when none is configured: the local user may do everything, nobody else anything.
func New() (*Engine, error) {
	m, err := model.NewModelFromString(rbac)
	if err != nil {
		return nil, fmt.Errorf("policy: model: %w", err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	e.AddFunction("glob", func(args ...any) (any, error) {
		text, ok1 := args[0].(string)
		pattern, ok2 := args[1].(string)
		return ok1 && ok2 && catalog.Glob(pattern).Match(text), nil
	})
	if _, err := e.AddPolicy(LocalUser().String(), "*", "*", "allow"); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return &Engine{enforcer: e}, nil
}

// Profile returns the part of s that p may use. The same snapshot and principal give the same Profile, so lists rendered for it are kept.
func (e *Engine) Profile(p Principal, s *catalog.Snapshot) *Profile {
	c := e.compiled.Load()
	if c == nil || c.snapshot != s {
		c = e.renew(c, s)
	}
	if profile, ok := c.profiles.Get(p); ok {
		return profile
	}
	profile := e.compile(p, s)
	if prev, ok, _ := c.profiles.PeekOrAdd(p, profile); ok {
		return prev
	}
	return profile
}

// renew swaps in an empty set of profiles for s. A caller that still holds an older snapshot gets a set of its own, which is not kept.
func (e *Engine) renew(old *compiled, s *catalog.Snapshot) *compiled {
	profiles, _ := lru.New[Principal, *Profile](profilesPerSnapshot) // fails only for a size below 1
	next := &compiled{snapshot: s, profiles: profiles}
	if !e.compiled.CompareAndSwap(old, next) {
		if now := e.compiled.Load(); now.snapshot == s {
			return now
		}
	}
	return next
}

// compile asks Casbin for the rows of p once, applies them to every entry, and checks a sample of the answers against Enforce.
func (e *Engine) compile(p Principal, s *catalog.Snapshot) *Profile {
	f := &Profile{}
	if p.id != "" {
		if rows, err := e.enforcer.GetImplicitPermissionsForUser(p.id); err == nil {
			f.rows = rows
		}
	}
	step := max(1, len(s.Entries())/checksPerProfile)
	f.View = s.View(func(entry *catalog.Entry) bool {
		use := useOf(entry.Kind)
		d := f.match(use, entry)
		if entry.Index()%step != 0 {
			return d.Allowed
		}
		enforced, err := e.enforcer.Enforce(p.id, entry.Ref.String(), string(use))
		return err == nil && enforced && d.Allowed
	})
	return f
}

// checksPerProfile is about how many compiled answers of a new profile are compared with Casbin's own; each costs microseconds.
const checksPerProfile = 64

// useOf is the action that using an entry of kind is.
func useOf(k catalog.Kind) Action {
	switch k {
	case catalog.Tool:
		return Call
	case catalog.Prompt:
		return Get
	default:
		return Read
	}
}

// Profile is what one principal may see and use of one snapshot.
type Profile struct {
	// View is the visible part with its rendered lists.
	View *catalog.View
	rows [][]string
}

// Decide answers whether the profile's principal may do a with entry. For the entry's own use (call, get, read) and for listing it is one bit.
func (f *Profile) Decide(a Action, entry *catalog.Entry) Decision {
	if a == List || a == useOf(entry.Kind) {
		if f.View.Visible(entry) {
			return Decision{Allowed: true}
		}
		if d := f.match(useOf(entry.Kind), entry); !d.Allowed {
			return d
		}
		return Decision{Rule: "self-check"}
	}
	return f.match(a, entry)
}

// match applies the rows: deny wins, no row is a deny.
func (f *Profile) match(a Action, entry *catalog.Entry) Decision {
	ref := entry.Ref.String()
	d := Decision{Rule: "default deny"}
	for _, row := range f.rows {
		if len(row) < 4 || !catalog.Glob(row[1]).Match(ref) || !catalog.Glob(row[2]).Match(string(a)) {
			continue
		}
		if row[3] == "deny" {
			return Decision{Rule: row[1]}
		}
		d = Decision{Allowed: true, Rule: row[1]}
	}
	return d
}
