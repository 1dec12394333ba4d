package policy

import (
	"testing"

	"weir/catalog"
)

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
	for _, p := range []Principal{{}, {id: "user:other"}, {id: "*"}, {id: "local"}} {
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

func BenchmarkDecide(b *testing.B) {
	e, err := New()
	if err != nil {
		b.Fatal(err)
	}
	s := snapshot()
	entry := s.Entries()[0]
	b.ReportAllocs()
	for b.Loop() {
		if !e.Profile(LocalUser(), s).Decide(Call, entry).Allowed {
			b.Fatal("refused")
		}
	}
}
