package upstream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

// executed is how many calls of tools a server ran: those that it did not refuse for a session it does not know.
func executed(s *upstreamtest.Server) (n int) {
	for _, e := range s.Ledger().Calls("tools/call") {
		if e.Outcome != "refused" {
			n++
		}
	}
	return n
}

// reached is how one fake is reached.
func reached(t *testing.T, stdio bool, c upstreamtest.Config) (*upstreamtest.Server, Spec) {
	t.Helper()
	if stdio {
		up := upstreamtest.Stdio(t, c)
		return up, Spec{Command: up.Command, Args: up.Args}
	}
	up := upstreamtest.New(t, c)
	return up, Spec{URL: up.URL}
}

// What is no JSON ends the call that it is the answer of, and no other one: those that run beside it are all answered.
func TestR4_GarbageHarmsNoOtherCall(t *testing.T) {
	const callers, each = 8, 50
	garbage := map[string]upstreamtest.Act{
		"half an answer": {On: "bad", Fault: upstreamtest.Truncate}, "half an event": {On: "bad", Fault: upstreamtest.Truncate, Events: true},
		"a page": {On: "bad", Type: "application/json", Body: "<html>«ID»</html>"}, "a cut answer": {On: "bad", Fault: upstreamtest.CutBody},
		"a banner before the answer": {On: "bad", Junk: []upstreamtest.Raw{"Listening on stdio", `{"level":"info"}`, "[1,2"}},
	}
	for name, act := range garbage {
		for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
			for _, stdio := range []bool{false, true} {
				if stdio && (act.Body != "" || act.Fault == upstreamtest.CutBody) || !stdio && act.Junk != nil || stdio && act.Events {
					continue // those are of the other transport
				}
				t.Run(fmt.Sprintf("%s, %s, stdio %t", name, era, stdio), func(t *testing.T) {
					up, spec := reached(t, stdio, upstreamtest.Config{Era: era, Tools: []upstreamtest.Raw{tool("bad"), tool("echo")}, Script: []upstreamtest.Act{act}})
					spec.Breaker.Off = true
					s := run(t, Options{Namespace: space(map[string]Spec{"up": spec})})
					settle(t, s)
					var lost atomic.Int32
					var wg sync.WaitGroup
					for range callers {
						wg.Go(func() {
							for range each {
								a, err := callTool(t, s, "up__echo")
								if err != nil || a.Message.Kind != rawjson.Result {
									lost.Add(1)
									t.Logf("%v", err)
								}
								if err == nil {
									a.Release()
								}
							}
						})
					}
					for range 10 {
						a, err := callTool(t, s, "up__bad")
						if fails := act.Junk == nil; fails != (err != nil) || fails && own(t, err).Execution == catalog.NotExecuted {
							t.Errorf("the call itself: %v", err)
						}
						if err == nil {
							a.Release()
						}
					}
					wg.Wait()
					if n := lost.Load(); n > 0 {
						t.Errorf("%d of %d other calls were lost", n, callers*each)
					}
					if n := up.Ledger().Count("tools/call"); n != callers*each+10 {
						t.Errorf("%d requests", n)
					}
				})
			}
		}
	}
}

// A server that forgets its sessions in the middle of a load costs nobody an error, and no call is executed twice: what it refused it did not run.
func TestR10_ForgottenSessions(t *testing.T) {
	const rounds, callers, each = 10, 8, 10
	up := upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Legacy})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
	settle(t, s)
	for round := range rounds { // in each they are forgotten once, and all had a session before
		for i := range callers {
			a, err := s.Call(t.Context(), wireCall(t, s, fmt.Sprint("caller ", i)))
			if err != nil {
				t.Fatal(err)
			}
			a.Release()
		}
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for j := range each {
					a, err := s.Call(t.Context(), wireCall(t, s, fmt.Sprint("caller ", i)))
					if err != nil {
						t.Errorf("caller %d, call %d: %v", i, j, err)
						continue
					}
					if a.Message.Kind != rawjson.Result {
						t.Errorf("caller %d, call %d: %s", i, j, a.Message.Data)
					}
					a.Release()
				}
			})
		}
		up.Ledger().Wait(t, "tools/call", round*callers*(each+1)+callers+callers*each/2)
		up.ForgetSessions()
		wg.Wait()
	}
	refused := up.Ledger().Count("tools/call") - executed(up)
	t.Logf("%d requests met a session that was forgotten", refused)
	if n := executed(up); n != rounds*callers*(each+1) {
		t.Errorf("%d executions of %d calls", n, rounds*callers*(each+1))
	}
	if refused == 0 {
		t.Error("no session was forgotten in use")
	}
}

// An answer that says success without the result of this very call is an error, every time, in both eras and on all transports; the call is not made again.
func TestR11_EmptySuccess(t *testing.T) {
	const times = 10
	for name, act := range map[string]upstreamtest.Act{
		"empty": {Fault: upstreamtest.Empty}, "accepted": {Status: 202, Fault: upstreamtest.Empty}, "wrong id": {Fault: upstreamtest.WrongID}, "no content": {Status: 204, Fault: upstreamtest.Empty},
		"an event of another": {Fault: upstreamtest.WrongID, Events: true}, "a stream without events": {Fault: upstreamtest.EndEarly},
	} {
		for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
			t.Run(fmt.Sprintf("%s, %s", name, era), func(t *testing.T) {
				act.On = "echo"
				up := upstreamtest.New(t, upstreamtest.Config{Era: era, Script: []upstreamtest.Act{act}})
				s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL, Timeout: 2 * time.Second, Breaker: Breaker{Off: true}}})})
				settle(t, s)
				for range times {
					a, err := callTool(t, s, "up__echo")
					if e := own(t, err); e.Code != catalog.Unavailable || e.Execution != catalog.Unknown {
						t.Errorf("%+v", e)
					}
					if err == nil {
						a.Release()
					}
				}
				if n := up.Ledger().Count("tools/call"); n != times {
					t.Errorf("%d requests for %d calls", n, times)
				}
			})
		}
	}
}

// One of five servers is killed and comes back. Its calls fail meanwhile and succeed within two seconds of its return, on the same Set as before, and calls
// of the other four never notice.
func TestR12_OneOfFive(t *testing.T) {
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		t.Run(string(era), func(t *testing.T) {
			all := fleet(t, 5, upstreamtest.Config{Era: era})
			specs := map[string]Spec{}
			for i, up := range all {
				specs[fmt.Sprint("s", i)] = Spec{URL: up.URL}
			}
			s := run(t, Options{Namespace: space(specs)})
			settle(t, s)
			stop := make(chan struct{})
			var beside sync.WaitGroup
			for i := 1; i < len(all); i++ {
				beside.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							mustCall(t, s, fmt.Sprintf("s%d__echo", i))
						}
					}
				})
			}
			handshakes := func(up *upstreamtest.Server) int {
				return up.Ledger().Count("server/discover") + up.Ledger().Count("initialize")
			}
			var before []int
			for i, up := range all {
				mustCall(t, s, fmt.Sprintf("s%d__echo", i))
				before = append(before, handshakes(up))
			}
			var longest time.Duration
			for range 3 {
				mustCall(t, s, "s0__echo")
				all[0].Refuse()
				upstreamtest.Eventually(t, func() bool { return statusOf(s, "s0").State != Ready || failsOnce(t, s, "s0__echo") }, "the loss is seen")
				if l := len(names(s.o.Catalog)); l != 5 {
					t.Errorf("%d tools listed while one server is down", l)
				}
				began := time.Now()
				all[0].Accept()
				upstreamtest.Eventually(t, func() bool { return !failsOnce(t, s, "s0__echo") }, "it is back")
				longest = max(longest, time.Since(began))
			}
			close(stop)
			beside.Wait()
			t.Logf("longest recovery: %s", longest)
			if longest > 2*time.Second {
				t.Errorf("recovery took %s", longest)
			}
			for i, up := range all[1:] {
				if n := handshakes(up) - before[i+1]; n != 0 {
					t.Errorf("server %d was connected to %d times more", i+1, n)
				}
			}
		})
	}
}

// failsOnce calls a tool.
func failsOnce(t *testing.T, s *Set, name string) bool {
	t.Helper()
	a, err := callTool(t, s, name)
	if err == nil {
		a.Release()
	}
	return err != nil
}
