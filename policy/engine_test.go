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
