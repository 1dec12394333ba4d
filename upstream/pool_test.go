package upstream

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/upstream/upstreamtest"
)

// fleet starts servers alike.
func fleet(t *testing.T, n int, c upstreamtest.Config) []*upstreamtest.Server {
	t.Helper()
	var all []*upstreamtest.Server
	for range n {
		all = append(all, upstreamtest.New(t, c))
	}
	return all
}

// shares is how many of the calls each server got.
func shares(all []*upstreamtest.Server) []int {
	var n []int
	for _, s := range all {
		n = append(n, s.Ledger().Count("tools/call"))
	}
	return n
}

// up waits until every endpoint of "up" is ready.
func up(t *testing.T, s *Set, n int) {
	t.Helper()
	settle(t, s)
	upstreamtest.Eventually(t, func() bool {
		ready := 0
		for _, e := range statusOf(s, "up").Endpoints {
			if e.State == Ready {
				ready++
			}
		}
		return ready == n
	}, "%d endpoints are ready", n)
}

func TestS4_SharesOfCalls(t *testing.T) {
	all := fleet(t, 3, upstreamtest.Config{Era: upstreamtest.Modern})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {Endpoints: []Endpoint{
		{URL: all[0].URL, Weight: 70}, {URL: all[1].URL, Weight: 20}, {URL: all[2].URL, Weight: 10},
	}}})})
	up(t, s, 3)
	for range 1000 {
		mustCall(t, s, "up__echo")
	}
	for i, want := range []int{700, 200, 100} {
		if n := shares(all)[i]; n < want-30 || n > want+30 {
			t.Errorf("endpoint %d got %d of 1000 calls, want %d ± 30", i, n, want)
		}
	}
	st := statusOf(s, "up")
	if st.State != Ready || st.Tools != 1 || st.Era != "modern" || st.Transport != "http" || len(st.Endpoints) != 3 {
		t.Errorf("%+v", st)
	}
}

// With least, calls go where the fewest are open.
func TestS4_LeastInFlight(t *testing.T) {
	slow := upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Modern, Script: []upstreamtest.Act{{On: "echo", Fault: upstreamtest.Hang}}})
	quick := upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Modern})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {Balance: "least", Endpoints: []Endpoint{{URL: slow.URL}, {URL: quick.URL}}}})})
	up(t, s, 2)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = s.Call(ctx, wireCall(t, s, "a")) })
	slow.Ledger().Wait(t, "tools/call", 1)
	for range 50 {
		mustCall(t, s, "up__echo")
	}
	cancel()
	wg.Wait()
	if d := cmp.Diff([]int{1, 50}, shares([]*upstreamtest.Server{slow, quick})); d != "" {
		t.Error(d)
	}
}

// One caller stays with one endpoint where the configuration says so, and one session of the legacy era always; a lost endpoint moves only its own.
func TestS4_CallersAndSessionsStick(t *testing.T) {
	for name, c := range map[string]struct {
		era     upstreamtest.Era
		balance string
	}{"principal": {upstreamtest.Modern, "principal"}, "legacy": {upstreamtest.Legacy, ""}} {
		t.Run(name, func(t *testing.T) {
			all := fleet(t, 3, upstreamtest.Config{Era: c.era})
			var ends []Endpoint
			for _, e := range all {
				ends = append(ends, Endpoint{URL: e.URL})
			}
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {Balance: c.balance, Endpoints: ends}})})
			up(t, s, 3)
			const callers = 30
			home := map[string]int{}
			where := func(owner string) int {
				t.Helper()
				before := shares(all)
				a, err := s.Call(t.Context(), wireCall(t, s, owner))
				if err != nil {
					t.Fatal(err)
				}
				a.Release()
				for i, n := range shares(all) {
					if n != before[i] {
						return i
					}
				}
				t.Fatal("nowhere")
				return 0
			}
			used := map[int]bool{}
			for round := range 3 {
				for i := range callers {
					owner := fmt.Sprint("caller ", i)
					at := where(owner)
					if was, ok := home[owner]; round > 0 && (!ok || was != at) {
						t.Errorf("%s moved from %d to %d", owner, was, at)
					}
					home[owner], used[at] = at, true
				}
			}
			if len(used) != 3 {
				t.Errorf("%d endpoints in use", len(used))
			}
			all[0].Refuse()
			for owner, was := range home {
				switch at := where(owner); {
				case at == 0:
					t.Errorf("%s reached what is down", owner)
				case was != 0 && at != was:
					t.Errorf("%s moved from %d to %d", owner, was, at)
				}
			}
		})
	}
}

// wireCall is a call of up's echo by a caller.
func wireCall(t *testing.T, s *Set, owner string) *catalog.Call {
	t.Helper()
	e, err := s.o.Catalog.Snapshot().Resolve(catalog.Tool, "up__echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &catalog.Call{
		Method: "tools/call", Entry: e, Target: e.Ref.Name, Message: message(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{}}}`),
		Owner: owner, InputRequired: true, Client: &catalog.Client{Era: catalog.Modern, Capabilities: []byte(`{}`)},
	}
}

// The spare takes over when the first is killed in the middle of a call, and hands back. What the operator marked succeeds on the spare; a write is not
// repeated, and its error says that nobody knows. The list stays whole.
func TestS5_R12_Failover(t *testing.T) {
	yes := true
	config := upstreamtest.Config{Era: upstreamtest.Modern, Tools: []upstreamtest.Raw{tool("write"), tool("get")}, Script: []upstreamtest.Act{
		{On: "write", Fault: upstreamtest.Drop}, {On: "get", Fault: upstreamtest.Drop},
	}}
	flaky := upstreamtest.New(t, config)
	config.Script = nil
	spare := upstreamtest.New(t, config)
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {
		Endpoints: []Endpoint{{URL: flaky.URL}, {URL: spare.URL, Priority: 1}}, API: translate.Spec{Tools: map[string]translate.Tool{"get": {Idempotent: &yes}}},
	}})})
	up(t, s, 2)
	(*s.members.Load())["up"].budget.saved = 1
	count := func(want ...int) {
		t.Helper()
		if d := cmp.Diff(want, shares([]*upstreamtest.Server{flaky, spare})); d != "" {
			t.Error(d)
		}
	}
	_, err := callTool(t, s, "up__write")
	if e := own(t, err); e.Code != catalog.Unavailable || e.Execution != catalog.Unknown {
		t.Errorf("%+v", e)
	}
	count(1, 0)
	time.Sleep(spareFor) // the endpoint is the first choice again
	mustCall(t, s, "up__get")
	count(2, 1)
	flaky.Refuse()
	began := time.Now()
	for range 20 {
		mustCall(t, s, "up__write")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("20 calls beside the one that is down took %s", took)
	}
	count(2, 21)
	if got := strings.Join(names(s.o.Catalog), " "); got != "up__get up__write" && got != "up__write up__get" {
		t.Errorf("listed: %s", got)
	}
	spare.Refuse()
	_, err = callTool(t, s, "up__write")
	if e := own(t, err); e.Execution != catalog.NotExecuted || e.Code != catalog.Unavailable {
		t.Errorf("%+v", e)
	}
	upstreamtest.Eventually(t, func() bool { st := statusOf(s, "up"); return st.State == Failed && st.Stale && st.Tools == 2 }, "all are seen to be down")
	began = time.Now()
	spare.Accept()
	upstreamtest.Eventually(t, func() bool {
		a, err := callTool(t, s, "up__get")
		if err == nil {
			a.Release()
		}
		return err == nil
	}, "the spare is back")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("back after %s", took)
	}
}

func message(t *testing.T, text string) *rawjson.Message {
	t.Helper()
	m := &rawjson.Message{}
	if err := rawjson.Scan(m, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return m
}
