package upstream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

// A child that crashes in the middle of its calls: they end at once, of unknown outcome, others are not touched, and it is started again within a second.
func TestR1_CrashMidCall(t *testing.T) {
	const open = 8
	crashing := upstreamtest.Stdio(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("hang"), tool("crash"), tool("echo")}, Script: []upstreamtest.Act{
		{On: "hang", Fault: upstreamtest.Hang}, {On: "crash", Fault: upstreamtest.Crash},
	}})
	other := upstreamtest.New(t, upstreamtest.Config{})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {Command: crashing.Command, Args: crashing.Args}, "other": {URL: other.URL}})})
	settle(t, s)
	stop := make(chan struct{})
	var beside, calls sync.WaitGroup
	beside.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				mustCall(t, s, "other__echo")
			}
		}
	})
	ended := make(chan time.Time, open)
	for range open {
		calls.Go(func() {
			_, err := callTool(t, s, "up__hang")
			ended <- time.Now()
			if e := own(t, err); e.Code != catalog.Unavailable || e.Execution != catalog.Unknown {
				t.Errorf("%+v", e)
			}
		})
	}
	crashing.Ledger().Wait(t, "tools/call", open)
	_, err := callTool(t, s, "up__crash")
	crashed := time.Now()
	if e := own(t, err); e.Execution != catalog.Unknown {
		t.Errorf("%+v", e)
	}
	calls.Wait()
	for range open {
		if late := (<-ended).Sub(crashed); late > 100*time.Millisecond {
			t.Errorf("a call in flight ended %s after the crash was seen", late)
		}
	}
	upstreamtest.Eventually(t, func() bool { return !failsOnce(t, s, "up__echo") }, "it is back")
	m := (*s.members.Load())["up"]
	m.mu.Lock()
	again := m.tried.Sub(crashed)
	m.mu.Unlock()
	t.Logf("started again after %s, back after %s", again, time.Since(crashed))
	if again > time.Second { // how long a program takes to start is the machine's business
		t.Errorf("started again after %s", again)
	}
	close(stop)
	beside.Wait()
	if n := crashing.Ledger().Count("tools/call"); n != open+2 {
		t.Errorf("%d requests for %d calls", n, open+2)
	}
}

// A thousand calls of a server that hangs end at their deadline, to the moment, and leave nothing behind.
func TestR2_Hang(t *testing.T) {
	const calls = 1000
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // which fails when a goroutine is left
			s := actedSet(t, Spec{Timeout: 10 * time.Second, Breaker: Breaker{Off: true}}, func(ctx context.Context, _ *catalog.Call) error {
				<-ctx.Done()
				return gaveUpOn(ctx)
			})
			defer closeSet(t, s)
			var wg sync.WaitGroup
			for range calls {
				wg.Go(func() {
					began := time.Now()
					_, err := s.Call(t.Context(), callOf("a"))
					if e := own(t, err); e.Code != catalog.Timeout || time.Since(began) != 10*time.Second {
						t.Errorf("%+v after %s", e, time.Since(began))
					}
				})
			}
			wg.Wait()
		})
	})
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		t.Run(string(era), func(t *testing.T) {
			up := upstreamtest.New(t, upstreamtest.Config{Era: era, Script: []upstreamtest.Act{{On: "echo", Fault: upstreamtest.Hang}}})
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL, Timeout: 100 * time.Millisecond, Breaker: Breaker{Off: true}}})})
			settle(t, s)
			var wg sync.WaitGroup
			for range calls / 50 {
				for range 50 {
					wg.Go(func() {
						if _, err := callTool(t, s, "up__echo"); own(t, err).Code != catalog.Timeout {
							t.Errorf("%v", err)
						}
					})
				}
				wg.Wait()
			}
			l := (*s.members.Load())["up"].live.Load()
			upstreamtest.Eventually(t, func() bool { return !l.busy() }, "every place is free") // what else is left, goleak finds
		})
	}
}

// gaveUpOn is what a connection says of a call whose context ended.
func gaveUpOn(ctx context.Context) error {
	if own, ok := errors.AsType[*catalog.Error](context.Cause(ctx)); ok {
		return own
	}
	return catalog.Errorf(catalog.Canceled, "canceled")
}

// Fifty reloads under load, each with other settings and every tenth with another server too, cost no call.
func TestR17_ReloadUnderLoad(t *testing.T) {
	stays, moves := upstreamtest.New(t, upstreamtest.Config{}), fleet(t, 2, upstreamtest.Config{})
	specs := func(n int) Namespace {
		return space(map[string]Spec{
			"stays": {URL: stays.URL, Timeout: time.Minute + time.Duration(n), Concurrency: 10 + n%2}, "moves": {URL: moves[n/10%2].URL},
		})
	}
	s := run(t, Options{Namespace: specs(0)})
	settle(t, s)
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for _, name := range []string{"stays__echo", "moves__echo"} {
		for range 4 {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						mustCall(t, s, name)
					}
				}
			})
		}
	}
	for n := range 50 {
		s.Reload(specs(n))
		time.Sleep(10 * time.Millisecond) // the pace of the load, not a wait for anything
	}
	close(stop)
	callers.Wait()
	if n := stays.Ledger().Count("server/discover"); n != 1 {
		t.Errorf("the server that stays was connected to %d times", n)
	}
	for _, up := range slices.Concat(moves, []*upstreamtest.Server{stays}) {
		if up.Ledger().Count("tools/call") == 0 {
			t.Error("a server was not called")
		}
	}
}
