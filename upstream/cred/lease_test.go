package cred

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// signedIn is an authority that ana signed in to on one of several nodes, which share a store. Her access token is about to end.
func signedIn(t *testing.T, nodes int) (*authority, []*SignIn, []*Server) {
	t.Helper()
	a, dir := newAuthority(t), t.TempDir()
	var ins []*SignIn
	var servers []*Server
	for range nodes {
		in := NewSignIn(newStore(t, dir), "local")
		ins, servers = append(ins, in), append(servers, a.server(t, in, Spec{}))
	}
	a.life = 1 // less than leeway
	f, err := servers[0].Begin(t.Context(), "ana", "http://127.0.0.1:1/callback", "b")
	if err != nil {
		t.Fatal(err)
	}
	if err := ins[0].Finish(t.Context(), a.signs(t, f, "ana"), "b"); err != nil {
		t.Fatal(err)
	}
	a.life = 3600
	return a, ins, servers
}

// Nodes that share a store refresh the tokens of a user once: an authorization server that sees a refresh token twice takes all of the user's away
// (RFC 9700, 4.14.2).
func TestTwoNodesRefreshOnce(t *testing.T) {
	const nodes = 4
	a, _, servers := signedIn(t, nodes)
	a.hold = 300 * time.Millisecond
	var all sync.WaitGroup
	for _, s := range servers {
		for range 10 {
			all.Go(func() {
				if got, err := sent(t, s, "ana"); got != "canary-ana-2" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
	}
	all.Wait()
	if n := len(a.forms); n != 2 || a.reused != 0 {
		t.Errorf("%d requests, %d with a token that was used before", n, a.reused)
	}
}

// A node that dies while it refreshes keeps the others waiting for a bounded time only.
func TestLeaseOfADeadNode(t *testing.T) {
	a, ins, servers := signedIn(t, 2)
	dead := &lease{store: ins[0].store, owner: "ana", resource: a.URL + "/mcp", issuer: a.URL + "/as"}
	if free, err := dead.take(t.Context(), 200*time.Millisecond); !free || err != nil {
		t.Fatal(free, err)
	}
	start := time.Now()
	if got, err := sent(t, servers[1], "ana"); got != "canary-ana-2" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if d := time.Since(start); d < 150*time.Millisecond || d > 5*time.Second {
		t.Errorf("waited %v", d)
	}
	dead.release(t.Context())
	again := &lease{store: ins[1].store, owner: "ana", resource: a.URL + "/mcp", issuer: a.URL + "/as"}
	if free, err := again.take(t.Context(), time.Minute); !free || err != nil {
		t.Errorf("what was refreshed is still leased: %v", err)
	}
	if free, err := dead.take(t.Context(), time.Minute); free || err != nil {
		t.Errorf("two have it: %v", err)
	}
	if dead.release(t.Context()); a.reused != 0 {
		t.Errorf("%d refresh tokens were used twice", a.reused)
	}
	if free, err := dead.take(t.Context(), time.Minute); free || err != nil {
		t.Errorf("one who has none gave it back: %v", err)
	}
}

// Who waits for another node's refresh may leave.
func TestLeaseIsNotWaitedForInVain(t *testing.T) {
	a, ins, servers := signedIn(t, 1)
	other := &lease{store: ins[0].store, owner: "ana", resource: a.URL + "/mcp", issuer: a.URL + "/as"}
	if free, err := other.take(t.Context(), time.Hour); !free || err != nil {
		t.Fatal(free, err)
	}
	_, err := sentWithin(t, servers[0], "ana", 200*time.Millisecond)
	if err == nil || errors.Is(err, errSignIn) {
		t.Errorf("got %v", err)
	}
}
