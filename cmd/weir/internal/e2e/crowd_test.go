package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"weir/catalog"
	"weir/policy"
	"weir/server"
	"weir/server/authn"
	"weir/server/mcphttp"
	"weir/upstream"
	"weir/upstream/upstreamtest"
)

// The crowd: so many principals, each with a client of either era, so many requests at a time on each client, and so many calls in all.
const (
	crowdPrincipals = 100
	crowdAtOnce     = 2
	crowdCalls      = 10_000
	crowdHeader     = "X-Test-Principal"
)

// crowdGateway wires a gateway before two upstreams that ask, in this process, whose callers are who the header says.
func crowdGateway(t *testing.T, up map[string]*upstreamtest.Server) (url string) {
	t.Helper()
	space := upstream.Namespace{Specs: map[string]upstream.Spec{}}
	for name, s := range up {
		spec := upstream.Spec{URL: s.URL, Era: name}
		space.Specs[name], space.Order = spec, append(space.Order, name)
	}
	engine, err := policy.New()
	must(t, err)
	rules, err := policy.Compile(policy.Spec{Grants: map[string][]string{"group:crowd": {"*"}}}, policy.Options{})
	must(t, err)
	engine.Swap(rules)
	names, quiet := catalog.New(), slog.New(slog.DiscardHandler)
	set := upstream.New(upstream.Options{Namespace: space, Catalog: names, Version: "test", Log: quiet})
	g := server.New(server.Options{Catalog: names, Policy: engine, Upstream: set, Log: quiet, Version: "test"})
	e := mcphttp.New(mcphttp.Options{Gateway: g, Spec: server.Default(), Log: quiet, Authenticate: func(r *http.Request) (authn.Caller, error) {
		p, err := policy.Verified(policy.Identity{Subject: r.Header.Get(crowdHeader), Groups: []string{"crowd"}})
		return authn.Caller{Principal: p}, err
	}})
	set.Start(context.Background())
	web := httptest.NewServer(e)
	t.Cleanup(func() {
		e.Close()
		web.Close()
		g.Close()
		must(t, set.Close(context.Background()))
	})
	must(t, set.Settled(t.Context()))
	return web.URL
}

// crowdAnswer is the content of an answer: which question it is to, and who gave it.
type crowdAnswer struct {
	Canary string `json:"canary"`
	By     string `json:"by"`
}

// dialCrowd is a client of a principal, who answers with a name and with what was asked.
func dialCrowd(t *testing.T, url string, e era, name string) *httpPeer {
	t.Helper()
	who := person{can: object{"elicitation": object{}}, answers: func(m message) object {
		return object{"action": "accept", "content": crowdAnswer{canaryOf(m.Params), name}}
	}}
	return dialHTTPAs(t, url, e, who, http.Header{crowdHeader: {name}})
}

// canaryOf reads which call a question says that it belongs to.
func canaryOf(params json.RawMessage) string {
	var question struct {
		About struct{ Canary string }
	}
	_ = json.Unmarshal(params, &question) // it is then about nothing
	return question.About.Canary
}

// interact makes one call that asks, and returns what is wrong with it: a question that is another call's, or an answer that is another's.
func interact(p *httpPeer, tool, name, canary string) error {
	params := object{"name": tool, "arguments": object{"canary": canary}}
	for asked := 0; ; {
		events, err := p.call("tools/call", params)
		if err != nil {
			return err
		}
		last := events[len(events)-1]
		for _, m := range events[:len(events)-1] { // a legacy client was asked
			if asked++; canaryOf(m.Params) != canary {
				return fmt.Errorf("asked %s %s", m.Method, m.Params)
			}
		}
		var result struct {
			ResultType        string
			InputRequests     map[string]message
			RequestState      *string
			StructuredContent struct {
				Answers []struct{ Content crowdAnswer }
			}
		}
		if err := json.Unmarshal(last.Result, &result); err != nil {
			return fmt.Errorf("%w: %s", err, last.Error)
		}
		if result.ResultType != "input_required" {
			got := result.StructuredContent.Answers
			if asked != 1 || len(got) != 1 || got[0].Content != (crowdAnswer{canary, name}) {
				return fmt.Errorf("asked %d times, result %s", asked, last.Result)
			}
			return nil
		}
		responses := object{}
		for key, m := range result.InputRequests {
			if asked++; canaryOf(m.Params) != canary {
				return fmt.Errorf("asked %s %s", m.Method, m.Params)
			}
			responses[key] = p.answers(m)
		}
		params = maps.Clone(params)
		params["inputResponses"] = responses
		if result.RequestState != nil {
			params["requestState"] = *result.RequestState
		}
	}
}

// Interactive calls of a crowd, in all pairs of eras at once: every question reaches who made the call, every answer the call it is for, none is
// lost, and nothing is left behind.
func TestCrowdKeepsItsAnswersApart(t *testing.T) {
	calls := crowdCalls
	if testing.Short() {
		calls /= 5
	}
	up := map[string]*upstreamtest.Server{}
	for _, e := range []era{legacy, modern} {
		up[string(e)] = upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Era(e), Script: []upstreamtest.Act{{On: "echo", Ask: []upstreamtest.Ask{{
			Method: "elicitation/create", Params: `{"message":"yes?","requestedSchema":{"type":"object"},"about":«ARGUMENTS»}`,
		}}}}})
	}
	url := crowdGateway(t, up)
	var peers []*httpPeer
	for n := range crowdPrincipals {
		for _, e := range []era{legacy, modern} {
			peers = append(peers, dialCrowd(t, url, e, fmt.Sprintf("p%d", n)))
		}
	}
	sessions := func() int { return up["legacy"].Ledger().Count("initialize") }
	lane := calls / len(peers) / crowdAtOnce
	part := func(name string, n int) {
		var callers sync.WaitGroup
		for i, p := range peers {
			for at := range crowdAtOnce {
				callers.Go(func() {
					for n := range n {
						canary := fmt.Sprintf("%s-%d-%d-%d", name, i, at, n)
						tool := []string{"legacy__echo", "modern__echo"}[(n+at)%2]
						if err := interact(p, tool, fmt.Sprintf("p%d", i/2), canary); err != nil {
							t.Errorf("%s client, %s, call %s: %v", p.era, tool, canary, err)
							return
						}
					}
				})
			}
		}
		callers.Wait()
		for _, p := range peers {
			p.client.CloseIdleConnections() // what is left is the gateway's
		}
	}
	begin := time.Now()
	part("first", lane/2)
	opened, running := sessions(), runtime.NumGoroutine()
	part("second", lane-lane/2)
	t.Logf("%d interactive calls in %s, %d upstream sessions, %d goroutines", calls, time.Since(begin).Round(time.Millisecond), sessions(), runtime.NumGoroutine())
	if n := sessions(); n != opened {
		t.Errorf("%d upstream sessions after half of the calls, %d after all", opened, n)
	}
	upstreamtest.Eventually(t, func() bool { return runtime.NumGoroutine() <= running+20 }, "%d goroutines after half of the calls", running)
	for name, s := range up {
		outcomes := map[string]int{}
		for _, e := range s.Ledger().Calls("tools/call") {
			outcomes[e.Outcome]++
		}
		rounds := map[string]int{"legacy": 1, "modern": 2}[name]
		if want := calls / 2 * rounds; outcomes["answered"] != want || len(outcomes) != 1 {
			t.Errorf("%s upstream: calls ended %v, want %d answered", name, outcomes, want)
		}
		for _, breach := range s.Ledger().Breaches() {
			t.Fatalf("%s upstream: %s", name, breach)
		}
	}
}
