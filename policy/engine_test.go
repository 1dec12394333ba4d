package policy

import (
	"strings"
	"testing"

	"weir/catalog"
)

// who is a caller by typed names; "in T" puts it in a tenant, a JSON object gives it attributes.
func who(t testing.TB, subjects ...string) Principal {
	t.Helper()
	var names []string
	tenant, claims := "", ""
	for _, s := range subjects {
		switch {
		case strings.HasPrefix(s, "{"):
			claims = s
		case strings.HasPrefix(s, "in "):
			tenant = s[3:]
		default:
			names = append(names, s)
		}
	}
	p, err := (&Policy{}).Suppose(names, tenant, []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// compiled is a policy that must be right.
func compiled(t testing.TB, s Spec, o Options) *Policy {
	t.Helper()
	p, err := Compile(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func snapshot() *catalog.Snapshot {
	src := &catalog.Source{
		Upstream: "up", Capabilities: []byte(`{"tools":{},"prompts":{},"resources":{}}`),
		Tools:     [][]byte{[]byte(`{"name":"a","inputSchema":{"type":"object"}}`), []byte(`{"name":"b","inputSchema":{"type":"object"}}`)},
		Prompts:   [][]byte{[]byte(`{"name":"p"}`)},
		Resources: [][]byte{[]byte(`{"name":"r","uri":"file:///r"}`)},
	}
	return catalog.Build([]*catalog.Source{src}, catalog.Options{Naming: catalog.Prefix})
}

func TestLocalUserMayDoEverything(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s := snapshot()
	if len(s.Entries()) != 4 {
		t.Fatalf("%d entries", len(s.Entries()))
	}
	f := e.Profile(LocalUser(), s)
	for _, entry := range s.Entries() {
		for _, a := range []Action{List, Call, Get, Read, Complete, Subscribe} {
			if d := f.Decide(a, entry); !d.Allowed {
				t.Errorf("%s %s: refused by %q", a, entry.Ref, d.Rule)
			}
		}
	}
	if again := e.Profile(LocalUser(), s); again != f {
		t.Error("the same snapshot and principal gave another profile")
	}
}

func TestNobodyMayDoNothing(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s := snapshot()
	for _, p := range []Principal{{}, who(t, "user:other"), who(t, "group:local"), who(t, "role:user:local"), who(t, "user:https://idp|local")} {
		f := e.Profile(p, s)
		for _, entry := range s.Entries() {
			for _, a := range []Action{List, Call, Get, Read, Complete, Subscribe} {
				if f.Decide(a, entry).Allowed {
					t.Errorf("%q may %s %s", p, a, entry.Ref)
				}
			}
		}
	}
}

func TestProfilesAreShared(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	e.Swap(compiled(t, bank(), Options{}))
	s := shop()
	one, two := e.Profile(who(t, "user:a", "group:all", "group:x"), s), e.Profile(who(t, "user:b", "group:all", "in nowhere"), s)
	if one != two {
		t.Error("callers with equal roles have two profiles")
	}
	if e.Profile(who(t, "user:b", "group:fin"), s) == one {
		t.Error("callers with other roles share a profile")
	}
	if e.Profile(who(t, "user:b", "group:nothing"), s) != e.Profile(Principal{}, s) {
		t.Error("callers without any role have two profiles")
	}
	personal := compiled(t, Spec{Conditions: map[string]string{"me": "user.subject == 'a'"}, Grants: map[string][]string{"*": {"bank/* when me"}}}, Options{})
	e.Swap(personal)
	a, b := e.Profile(who(t, "user:a"), s), e.Profile(who(t, "user:b"), s)
	if len(visible(a)) != 2 || len(visible(b)) != 0 {
		t.Errorf("a sees %v, b sees %v", visible(a), visible(b))
	}
}

func TestProfilesDieWithTheirSnapshot(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	live := []*catalog.Snapshot{shop(), shop()}
	for range 50 {
		for _, s := range append(live, shop()) {
			if f := e.Profile(LocalUser(), s); f.View.Snapshot() != s {
				t.Fatal("a profile of another snapshot")
			}
		}
	}
	kept := e.Profile(LocalUser(), live[0])
	if e.Profile(LocalUser(), live[1]); e.Profile(LocalUser(), live[0]) != kept {
		t.Error("snapshots that are used in turn push each other out")
	}
	if n := len(e.state.Load().seats); n > snapshotsKept+len(live) {
		t.Errorf("%d snapshots are kept", n)
	}
}

func TestOnSwap(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s, caller, told := shop(), who(t, "group:eng"), 0
	stop := e.OnSwap(func() {
		told++
		if len(visible(e.Profile(caller, s))) == 0 {
			t.Error("told before the policy is in force")
		}
	})
	before := e.Profile(caller, s)
	next := compiled(t, team(), Options{})
	e.Swap(next)
	if told != 1 || e.Policy() != next || len(visible(before)) != 0 {
		t.Errorf("told %d times", told)
	}
	stop()
	e.Swap(next)
	if told != 1 {
		t.Error("told after stop")
	}
}

// TestSelfCheckFailsClosed breaks a compiled rule behind Casbin's back: what they disagree on is withheld.
func TestSelfCheckFailsClosed(t *testing.T) {
	p := compiled(t, Spec{Grants: map[string][]string{"group:a": {"bank/get_balance", "files/get_file"}}}, Options{})
	p.rules[0].pattern = exact(catalog.Ref{Upstream: "bank", Name: "transfer"})
	s := shop()
	f := p.ProfileOf(who(t, "group:a"), s)
	if seen := visible(f); len(seen) != 1 || seen[0] != "files/get_file" {
		t.Errorf("sees %v", seen)
	}
	if d := f.Decide(Call, find(t, s, "bank/transfer")); d.Allowed || d.Rule != "self-check" || p.Differed() == 0 {
		t.Errorf("%+v, differed %d", d, p.Differed())
	}
}

// TestStaleEntry: an entry of an older snapshot is decided anew, not by the place it had.
func TestStaleEntry(t *testing.T) {
	p := compiled(t, team(), Options{})
	old, now := shop(), shop()
	f := p.ProfileOf(who(t, "group:eng"), now)
	for _, e := range old.Entries() {
		if want := f.View.Visible(find(t, now, e.Ref.String())); f.Decide(List, e).Allowed != want || f.View.Visible(e) != want {
			t.Errorf("%s of an older snapshot", e.Ref)
		}
	}
}
