package upstream

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

// A server that crashes whenever it is started is started again within a second, then ever more rarely, 30 seconds apart at most; one that ran for a
// while begins anew.
func TestR1_BackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nap{}
		s := napSet(t, Spec{}, n, nil)
		defer closeSet(t, s)
		n.mu.Lock()
		n.away = catalog.Errorf(catalog.Unavailable, "up: exited with code 1")
		n.mu.Unlock()
		time.Sleep(2 * steadyAfter)
		lost := time.Now()
		n.lose()
		var tries []time.Duration // after the one before
		for before := n.counts()[0]; len(tries) < 12; time.Sleep(time.Millisecond) {
			if now := n.counts()[0]; now > before {
				tries = append(tries, time.Since(lost))
				before, lost = now, time.Now()
			}
		}
		for i, wait := range tries {
			want := min(firstRetry<<i, maxRetry)
			if wait < want*79/100 || wait > want*121/100+5*time.Millisecond {
				t.Errorf("attempt %d came after %s, want about %s", i+1, wait, want)
			}
		}
		if tries[0] > time.Second {
			t.Errorf("restarted after %s", tries[0])
		}
		n.mu.Lock()
		n.away = nil
		n.mu.Unlock()
		time.Sleep(2*maxRetry + steadyAfter)
		before := n.counts()[0]
		n.lose()
		time.Sleep(time.Second)
		if n.counts()[0] != before+1 {
			t.Error("a server that ran for long is not started within a second")
		}
	})
}

// A thousand calls of a child that hangs end at their deadline and leave no goroutine. What they were late by is printed: it is the machine's business.
func TestR2_HangOfAChild(t *testing.T) {
	const calls, atATime, limit = 1000, 100, 200 * time.Millisecond
	for name, c := range map[string]upstreamtest.Config{
		"legacy": {Era: upstreamtest.Legacy, Script: []upstreamtest.Act{{On: "echo", Fault: upstreamtest.Hang}}},
		"modern": {Era: upstreamtest.Modern, Script: []upstreamtest.Act{{On: "echo", Fault: upstreamtest.Hang}}},
	} {
		t.Run(name, func(t *testing.T) {
			up := upstreamtest.Stdio(t, c)
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {Command: up.Command, Args: up.Args, Timeout: limit, Breaker: Breaker{Off: true}}})})
			settle(t, s)
			before := runtime.NumGoroutine()
			var mu sync.Mutex
			var late []time.Duration
			for range calls / atATime {
				var wg sync.WaitGroup
				for range atATime {
					wg.Go(func() {
						began := time.Now()
						_, err := callTool(t, s, "up__echo")
						took := time.Since(began)
						if e := own(t, err); e.Code != catalog.Timeout || e.Execution != catalog.Unknown || took < limit {
							t.Errorf("%+v after %s", e, took)
						}
						mu.Lock()
						defer mu.Unlock()
						late = append(late, took-limit)
					})
				}
				wg.Wait()
			}
			slices.Sort(late)
			t.Logf("late by %s in the middle, %s at most", late[calls/2], late[calls-1])
			upstreamtest.Eventually(t, func() bool { return runtime.NumGoroutine() <= before }, "no goroutine is left")
			l := (*s.members.Load())["up"].live.Load()
			if l.busy() || l.backend.Err() != nil {
				t.Error("the connection is not as it was")
			}
			up.Ledger().Wait(t, "notifications/cancelled", calls)
		})
	}
}
