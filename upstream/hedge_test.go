package upstream

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/translate"
	"weir/upstream/upstreamtest"
)

// hedging marks tools whose names begin with get as idempotent, and lets a call of any tool be made twice after some time.
func hedging(after time.Duration) translate.Spec {
	yes := true
	return translate.Spec{Tools: map[string]translate.Tool{"*": {Hedge: after}, "get*": {Idempotent: &yes}}}
}

// A call that is slow is made a second time if the operator said so of the tool, and never otherwise: the servers' ledgers show it. The second answer
// comes at once, and the first call is cancelled.
func TestR30_HedgesOnlyMarkedTools(t *testing.T) {
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		t.Run(string(era), func(t *testing.T) {
			const slow = 500 * time.Millisecond
			up := upstreamtest.New(t, upstreamtest.Config{Era: era, Tools: []upstreamtest.Raw{tool("get"), tool("put"), tool("quick")}, Script: []upstreamtest.Act{
				{On: "get", Nth: 1, Fault: upstreamtest.Hang}, {On: "put", Nth: 1, Delay: upstreamtest.Duration(slow)},
			}})
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL, API: hedging(slow / 10)}})})
			settle(t, s)
			count := func(tool string) (n int) {
				for _, e := range up.Ledger().Calls("tools/call") {
					if e.Name == tool {
						n++
					}
				}
				return n
			}
			for range 10 { // earns one
				mustCall(t, s, "up__quick")
			}
			mustCall(t, s, "up__put")
			mustCall(t, s, "up__get")
			if quick, put, get := count("quick"), count("put"), count("get"); quick != 10 || put != 1 || get != 2 {
				t.Errorf("quick was called %d times, put %d, get %d", quick, put, get)
			}
			upstreamtest.Eventually(t, func() bool {
				for _, e := range up.Ledger().Calls("tools/call") {
					if e.Name == "get" && e.Outcome == "canceled" {
						return true
					}
				}
				return false
			}, "the first call is cancelled")
		})
	}
}

// When each of two attempts ends, how many are made, and what the caller hears.
func TestHedge(t *testing.T) {
	const after = 200 * time.Millisecond
	broke := &catalog.Error{Code: catalog.Unavailable, Msg: "up: the connection broke"}
	refused := &catalog.Error{Code: catalog.Unavailable, Msg: "up: refused", Execution: catalog.NotExecuted}
	type attempt struct {
		takes time.Duration
		err   *catalog.Error
	}
	for name, c := range map[string]struct {
		tool     string
		attempts []attempt
		sent     int32
		takes    time.Duration
		want     *catalog.Error
	}{
		"in time":                       {"get", []attempt{{after - 1, nil}}, 1, after - 1, nil},
		"the second is quicker":         {"get", []attempt{{time.Hour, nil}, {time.Second, nil}}, 2, after + time.Second, nil},
		"the first is quicker":          {"get", []attempt{{time.Second, nil}, {time.Hour, nil}}, 2, time.Second, nil},
		"the second fails":              {"get", []attempt{{time.Second, nil}, {0, broke}}, 2, time.Second, nil},
		"the first fails":               {"get", []attempt{{time.Second, broke}, {time.Minute, nil}}, 2, after + time.Minute, nil},
		"both fail":                     {"get", []attempt{{time.Second, broke}, {time.Minute, refused}}, 2, after + time.Minute, broke},
		"neither was executed":          {"get", []attempt{{time.Second, refused}, {time.Minute, refused}}, 2, after + time.Minute, refused},
		"only the second may have been": {"get", []attempt{{time.Second, refused}, {time.Minute, broke}}, 2, after + time.Minute, broke},
		"not marked":                    {"put", []attempt{{time.Hour - time.Second, nil}}, 1, time.Hour - time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int32
				var told [2]bool
				s := actedSet(t, Spec{API: hedging(after), Timeout: time.Hour, Breaker: Breaker{Off: true}}, func(ctx context.Context, call *catalog.Call) error {
					if call.Target == "warm" {
						return nil
					}
					n := sent.Add(1) - 1
					a := c.attempts[n]
					told[n] = call.Notify != nil && call.Ask != nil
					select {
					case <-time.After(a.takes):
						if a.err != nil {
							return a.err
						}
						return nil
					case <-ctx.Done():
						return gaveUpOn(ctx)
					}
				})
				defer closeSet(t, s)
				for range 10 {
					if _, err := s.Call(t.Context(), callOf("warm")); err != nil {
						t.Fatal(err)
					}
				}
				call := callOf(c.tool)
				call.Notify = func(catalog.Notification) {}
				call.Ask = func(context.Context, catalog.Request) ([]byte, error) { return nil, nil }
				began := time.Now()
				_, err := s.Call(t.Context(), call)
				if took := time.Since(began); took != c.takes || sent.Load() != c.sent {
					t.Errorf("%d attempts in %s, want %d in %s", sent.Load(), took, c.sent, c.takes)
				}
				want := catalog.Error{}
				if c.want != nil {
					want = *c.want
				}
				if e := own(t, err); e.Msg != want.Msg || e.Execution != want.Execution {
					t.Errorf("%+v", e)
				}
				if told != [2]bool{true, false} {
					t.Errorf("the attempts tell the caller: %t", told)
				}
			})
		})
	}
}

// Calls that are all slow cost at most a tenth more, and no place that the bound on calls does not have.
func TestR30_HedgesAreBounded(t *testing.T) {
	for name, c := range map[string]struct{ places, most int32 }{"unbounded": {0, 1100}, "no place left": {1, 1000}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const calls = 1000
				var sent, running, most atomic.Int32
				s := actedSet(t, Spec{API: hedging(time.Millisecond), Concurrency: int(c.places)}, func(ctx context.Context, _ *catalog.Call) error {
					sent.Add(1)
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
					select {
					case <-time.After(time.Second):
						return nil
					case <-ctx.Done():
						return gaveUpOn(ctx)
					}
				})
				defer closeSet(t, s)
				for range calls {
					if _, err := s.Call(t.Context(), callOf("get")); err != nil {
						t.Error(err)
					}
				}
				if n := sent.Load(); n > c.most || n < calls || c.places == 0 && n < calls+50 {
					t.Errorf("%d requests for %d calls", n, calls)
				}
				if c.places > 0 && most.Load() > c.places {
					t.Errorf("%d at a time", most.Load())
				}
			})
		})
	}
}
