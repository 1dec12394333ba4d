package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weir/catalog"
	"weir/policy"
)

// swap puts a policy in force.
func (g *ruled) swap(t *testing.T, spec policy.Spec) {
	t.Helper()
	p, err := policy.Compile(spec, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.engine.Swap(p)
}

// TestListChangedFollowsThePolicy: another policy is a change of lists for those who see others now, and for nobody else.
func TestListChangedFollowsThePolicy(t *testing.T) {
	g := newRuled(t, bankPolicy())
	kinds := map[string][]catalog.Kind{}
	for name, p := range map[string]policy.Principal{"staff": person(t, "ana", "staff"), "guest": person(t, "gus", "guests"), "nobody": person(t, "no")} {
		t.Cleanup(g.Listen(p, func(k catalog.Kind) { kinds[name] = append(kinds[name], k) }))
	}
	g.swap(t, bankPolicy())
	if len(kinds) != 0 {
		t.Errorf("told of an equal policy: %v", kinds)
	}
	spec := bankPolicy()
	spec.Grants["group:guests"] = []string{"bank/balance", "bank/advice"}
	g.swap(t, spec)
	if len(kinds) != 1 || !slices.Equal(kinds["guest"], []catalog.Kind{catalog.Prompt}) {
		t.Errorf("told %v", kinds)
	}
}

// TestT33_StreamsEndWithTheirRights: a listen stream that was promised a resource completes when its caller may not watch it any more, a legacy
// subscription is dropped, and the upstream is told once nobody watches. Streams and subscriptions of others go on.
func TestT33_StreamsEndWithTheirRights(t *testing.T) {
	g := newRuled(t, bankPolicy())
	up := new(told)
	g.watching = up
	staff, boss := person(t, "ana", "staff"), person(t, "bo", "board")
	spec := bankPolicy()
	spec.Grants["group:board"] = []string{"*"}
	g.swap(t, spec)
	open := func(p policy.Principal) (ended <-chan struct{}) {
		ended, stop := g.Open(t.Context(), listening(t, p, "1"), Listening{URIs: []string{"bank://open/a"}, asked: true}, NewOutlet())
		t.Cleanup(stop)
		return ended
	}
	staffs, bosss := open(staff), open(boss)
	s := NewSession(staff, catalog.Client{Era: catalog.Legacy})
	t.Cleanup(s.End)
	m := scan(t, `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"bank://open/b"}}`)
	reply := g.Serve(t.Context(), &Request{Principal: staff, Client: s.Client(), Session: s, Message: m})
	if got := string(reply.AppendLine(nil)); !strings.Contains(got, `"result":{}`) {
		t.Fatal(got)
	}
	spec.Grants["group:staff"] = []string{"bank/balance"}
	g.swap(t, spec)
	select {
	case <-staffs:
	default:
		t.Error("the stream of who lost the right goes on")
	}
	select {
	case <-bosss:
		t.Error("the stream of who has the right ended")
	default:
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		up.mu.Lock()
		lines := slices.Clone(up.lines)
		up.mu.Unlock()
		if slices.Contains(lines, "-bank bank://open/b") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the legacy subscription is still there: %q", lines)
		}
	}
}

// TestSessionsBelongToTheirOwner: a caller who joined a group since is the same caller, and one of another name or client is not.
func TestSessionsBelongToTheirOwner(t *testing.T) {
	table := NewSessions(time.Minute, 1)
	s := NewSession(person(t, "ana"), catalog.Client{Era: catalog.Legacy})
	table.Add(s)
	if table.Get(s.ID, person(t, "ana", "staff")) != s {
		t.Error("lost with a group")
	}
	other, err := policy.Verified(policy.Identity{Issuer: "https://id.example", Subject: "ana", Client: "app"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []policy.Principal{person(t, "gus"), other, {}} {
		if table.Get(s.ID, p) != nil {
			t.Errorf("found by %s", p)
		}
	}
	if again := NewSession(person(t, "ana", "staff"), catalog.Client{}); !table.Add(again) || len(table.All()) != 1 {
		t.Error("the limit is per owner")
	}
	parked := bind(person(t, "ana"), "tools/call", &catalog.Entry{}, "", nil)
	if parked != bind(person(t, "ana", "staff"), "tools/call", &catalog.Entry{}, "", nil) || parked == bind(other, "tools/call", &catalog.Entry{}, "", nil) {
		t.Error("parked calls are bound to something else than the owner")
	}
}
