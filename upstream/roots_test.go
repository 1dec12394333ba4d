package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

// away is a client that keeps no stream.
type away chan struct{}

func (a away) AskOutside(context.Context, catalog.Request) ([]byte, error) {
	return []byte(`{"roots":[]}`), nil
}
func (a away) Tell(catalog.Notification) {}
func (a away) Done() <-chan struct{}     { return a }

// TestRootsChangedReachesTheClientsSessions: every legacy server that has a session for the client is told, in that session, and no session of another
// client; the session says that it will be. When the client is gone, so are its sessions.
func TestRootsChangedReachesTheClientsSessions(t *testing.T) {
	one, two := upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Legacy}), upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Legacy})
	c := catalog.New()
	s := run(t, Options{Namespace: space(map[string]Spec{"one": {URL: one.URL}, "two": {URL: two.URL}}), Catalog: c})
	settle(t, s)
	clients := map[string]away{"a": make(away), "b": make(away)}
	call := func(upstream, client string) {
		t.Helper()
		m := new(rawjson.Message)
		if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"who":"`+client+`"}}}`)); err != nil {
			t.Fatal(err)
		}
		entry, err := c.Snapshot().Resolve(catalog.Tool, upstream+"__echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Call(t.Context(), &catalog.Call{
			Method: "tools/call", Entry: entry, Target: "echo", Message: m, Owner: "o",
			Client: &catalog.Client{Era: catalog.Legacy, Capabilities: []byte(`{"roots":{"listChanged":true}}`), Session: client, Outside: clients[client]},
			Ask:    func(context.Context, catalog.Request) ([]byte, error) { return nil, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		a.Release()
	}
	call("one", "a")
	call("two", "a")
	call("one", "b")
	sessionOf := func(up *upstreamtest.Server, client string) string {
		for _, e := range up.Ledger().Calls("tools/call") {
			if strings.Contains(string(e.Body), `"who":"`+client+`"`) {
				return e.Session
			}
		}
		return ""
	}
	told := func(up *upstreamtest.Server) (sessions []string) {
		for _, e := range up.Ledger().Entries() {
			if e.Method == "notifications/roots/list_changed" {
				sessions = append(sessions, e.Session)
			}
		}
		return sessions
	}
	s.RootsChanged("a")
	s.RootsChanged("")
	until(t, "both servers to be told", func() bool { return len(told(one)) > 0 && len(told(two)) > 0 })
	if got, want := fmt.Sprint(told(one), told(two)), fmt.Sprint([]string{sessionOf(one, "a")}, []string{sessionOf(two, "a")}); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	declared := slices.ContainsFunc(one.Ledger().Calls("initialize"), func(e upstreamtest.Entry) bool {
		return strings.Contains(string(e.Params), `"capabilities":{"roots":{"listChanged":true}}`)
	})
	if !declared {
		t.Error("no session declared that its roots change")
	}
	close(clients["a"])
	until(t, "the session to end", func() bool {
		return slices.ContainsFunc(one.Ledger().Entries(), func(e upstreamtest.Entry) bool { return e.Verb == "DELETE" && e.Session == sessionOf(one, "a") })
	})
}
