package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

// space makes a Namespace of specs in alphabetical order.
func space(specs map[string]Spec) Namespace {
	return Namespace{Specs: specs, Order: slices.Sorted(maps.Keys(specs)), Naming: catalog.Prefix}
}

// run starts a Set that ends with the test.
func run(t testing.TB, o Options) *Set {
	t.Helper()
	if o.Catalog == nil {
		o.Catalog = catalog.New()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := New(o)
	s.Start(context.Background())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// settle waits until the Set is settled.
func settle(t testing.TB, s *Set) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Settled(ctx); err != nil {
		t.Fatal(err)
	}
}

func statusOf(s *Set, name string) Status {
	for _, st := range s.Status() {
		if st.Name == name {
			return st
		}
	}
	return Status{}
}

// names are the public names of all tools.
func names(c *catalog.Catalog) []string {
	var all []string
	for _, e := range c.Snapshot().Entries() {
		if e.Kind == catalog.Tool {
			all = append(all, e.Name)
		}
	}
	return all
}

// callTool calls the tool of a public name as a modern client does.
func callTool(t testing.TB, s *Set, name string) (*catalog.Answer, error) {
	t.Helper()
	e, err := s.o.Catalog.Snapshot().Resolve(catalog.Tool, name, nil)
	if err != nil {
		return nil, err
	}
	var m rawjson.Message
	if err := rawjson.Scan(&m, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{}}}`, name)); err != nil {
		t.Fatal(err)
	}
	return s.Call(t.Context(), &catalog.Call{
		Method: "tools/call", Entry: e, Target: e.Ref.Name, Message: &m, InputRequired: true,
		Client: &catalog.Client{Era: catalog.Modern, Capabilities: []byte(`{}`)},
	})
}

// mustCall calls and wants a result.
func mustCall(t testing.TB, s *Set, name string) {
	t.Helper()
	a, err := callTool(t, s, name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if a.Message.Kind != rawjson.Result {
		t.Errorf("%s: %s", name, a.Message.Data)
	}
	a.Release()
}

func tool(name string) upstreamtest.Raw {
	return upstreamtest.Raw(`{"name":"` + name + `","inputSchema":{"type":"object"}}`)
}

func TestSetJoinsUpstreams(t *testing.T) {
	modern := upstreamtest.New(t, upstreamtest.Config{Name: "m", Era: upstreamtest.Modern, Tools: []upstreamtest.Raw{tool("a"), tool("b")}, Prompts: []upstreamtest.Raw{`{"name":"p"}`}})
	legacy := upstreamtest.New(t, upstreamtest.Config{Name: "l", Era: upstreamtest.Legacy, Tools: []upstreamtest.Raw{tool("a")}})
	s := run(t, Options{Namespace: space(map[string]Spec{
		"one": {URL: modern.URL, Exclude: []string{"b"}}, "two": {URL: legacy.URL, Alias: map[string]string{"a": "mine"}}, "off": {URL: legacy.URL, Disabled: true},
	})})
	settle(t, s)
	if d := cmp.Diff([]string{"mine", "one__a"}, names(s.o.Catalog)); d != "" {
		t.Error(d)
	}
	mustCall(t, s, "one__a")
	mustCall(t, s, "mine")
	for _, want := range []Status{
		{Name: "off", Transport: "http", State: Disabled},
		{Name: "one", Transport: "http", State: Ready, Era: "modern", Version: "2026-07-28", ServerName: "m", ServerVer: "1", Tools: 2, Prompts: 1, Calls: 1},
		{Name: "two", Transport: "http", State: Ready, Era: "legacy", Version: "2025-11-25", ServerName: "l", ServerVer: "1", Tools: 1, Calls: 1},
	} {
		got := statusOf(s, want.Name)
		got.Since = time.Time{}
		want.ServerVer = got.ServerVer
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", want.Name, d)
		}
	}
}

// An upstream that accepts and never answers, one that refuses, and one that speaks nonsense delay and hide nothing of the others.
func TestR21_BadUpstreamsLeaveTheOthersAlone(t *testing.T) {
	good := upstreamtest.New(t, upstreamtest.Config{})
	deaf := upstreamtest.New(t, upstreamtest.Config{Deaf: true})
	page := upstreamtest.New(t, upstreamtest.Config{Script: []upstreamtest.Act{{On: "server/discover", Fault: upstreamtest.HTML}, {On: "initialize", Fault: upstreamtest.HTML}}})
	began := time.Now()
	s := run(t, Options{Namespace: space(map[string]Spec{
		"good": {URL: good.URL}, "deaf": {URL: deaf.URL}, "gone": {URL: "http://127.0.0.1:1/mcp"}, "page": {URL: page.URL},
		"bad": {URL: "http://127.0.0.1:1/mcp", Headers: map[string]string{"X": "${NO}"}},
	}), Expand: func(string) (string, error) { return "", fmt.Errorf("NO is not set") }})
	upstreamtest.Eventually(t, func() bool { return len(names(s.o.Catalog)) == 1 }, "the good one listed")
	if d := time.Since(began); d > time.Second {
		t.Errorf("the good one took %v", d)
	}
	mustCall(t, s, "good__echo")
	upstreamtest.Eventually(t, func() bool { return statusOf(s, "page").State == Failed && statusOf(s, "gone").State == Failed }, "failures seen")
	for name, want := range map[string]string{
		"gone": "gone: no connection: connection refused",
		"page": "page: the server gave no MCP answer (HTTP 500 Internal Server Error, text/html",
		"bad":  "bad: headers.X: NO is not set",
	} {
		if st := statusOf(s, name); st.State != Failed || !strings.HasPrefix(st.Reason, want) {
			t.Errorf("%s: %s %q", name, st.State, st.Reason)
		}
	}
	if st := statusOf(s, "deaf"); st.State != Starting {
		t.Errorf("deaf: %+v", st)
	}
}

func TestR21_OneFailingListLeavesTheOthers(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{
		Prompts: []upstreamtest.Raw{`{"name":"p"}`}, Tools: []upstreamtest.Raw{tool("a")},
		Script: []upstreamtest.Act{{On: "prompts/list", Nth: 1, Error: `{"code":-32603,"message":"secret words"}`}},
	})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
	settle(t, s)
	st := statusOf(s, "up")
	if st.State != Ready || st.Tools != 1 || st.Prompts != 0 || len(st.Problems) != 1 || st.Problems[0].Reason != "up: prompts/list failed (error -32603)" {
		t.Errorf("%+v", st)
	}
}

func TestLostUpstreamStaysListedAndComesBack(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
	settle(t, s)
	up.Refuse()
	a, err := callTool(t, s, "up__echo")
	if err == nil {
		a.Release()
		t.Fatal("a call to a closed port succeeded")
	}
	upstreamtest.Eventually(t, func() bool { return statusOf(s, "up").State == Failed }, "the loss is seen")
	for range 3 {
		began := time.Now()
		_, err = callTool(t, s, "up__echo")
		e, ok := err.(*catalog.Error) //nolint:errorlint // the contract is this very type
		if !ok || e.Code != catalog.Unavailable || e.Execution != catalog.NotExecuted || !strings.HasPrefix(e.Msg, "up: no connection: connection refused (down for ") {
			t.Errorf("error %#v", err)
		}
		if d := time.Since(began); d > patience {
			t.Errorf("the error took %v", d)
		}
	}
	upstreamtest.Eventually(t, func() bool {
		return slices.ContainsFunc(s.o.Catalog.Snapshot().Sources(), func(s *catalog.Source) bool { return s.Stale })
	}, "stale")
	if got := names(s.o.Catalog); len(got) != 1 {
		t.Errorf("listed while down: %v", got)
	}
	up.Accept()
	upstreamtest.Eventually(t, func() bool { // calls wake it, once a second
		a, err := callTool(t, s, "up__echo")
		if err == nil {
			a.Release()
		}
		return err == nil
	}, "back")
	upstreamtest.Eventually(t, func() bool { return !s.o.Catalog.Snapshot().Sources()[0].Stale }, "fresh")
	if st := statusOf(s, "up"); st.State != Ready || st.Restarts != 1 || st.Reason != "" {
		t.Errorf("%+v", st)
	}
}

// A restarted upstream that forgot its sessions costs at most one failed call.
func TestRestartCostsAtMostOneCall(t *testing.T) {
	for _, era := range []upstreamtest.Era{upstreamtest.Legacy, upstreamtest.Modern} {
		t.Run(string(era), func(t *testing.T) {
			up := upstreamtest.New(t, upstreamtest.Config{Era: era})
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
			settle(t, s)
			failed := 0
			for range 5 {
				for range 5 {
					if a, err := callTool(t, s, "up__echo"); err != nil {
						failed++
					} else {
						a.Release()
					}
				}
				up.Refuse()
				up.ForgetSessions()
				up.Accept()
			}
			if failed > 5 {
				t.Errorf("%d failed calls in 5 restarts", failed)
			}
		})
	}
}

// A server that changes its era between two connections is spoken to in the new one.
func TestTrap5_14_EraIsFoundAnewAfterALoss(t *testing.T) {
	for _, eras := range [][2]upstreamtest.Era{{upstreamtest.Legacy, upstreamtest.Modern}, {upstreamtest.Modern, upstreamtest.Legacy}} {
		t.Run(string(eras[0])+" to "+string(eras[1]), func(t *testing.T) {
			first := upstreamtest.New(t, upstreamtest.Config{Era: eras[0]})
			second := upstreamtest.New(t, upstreamtest.Config{Era: eras[1]})
			var to atomic.Pointer[string]
			to.Store(&first.URL)
			proxy := newRelay(t, &to)
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: proxy.url}})})
			settle(t, s)
			if got := statusOf(s, "up").Era; got != string(eras[0]) {
				t.Fatalf("era %q at first", got)
			}
			to.Store(&second.URL)
			proxy.reset()
			upstreamtest.Eventually(t, func() bool {
				if a, err := callTool(t, s, "up__echo"); err == nil {
					a.Release()
				}
				return statusOf(s, "up").Era == string(eras[1])
			}, "the new era")
			mustCall(t, s, "up__echo")
		})
	}
}

// A server that cannot be reached is not taken for a legacy one.
func TestTrap5_14_UnreachableIsNotLegacy(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{})
	up.Refuse()
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
	settle(t, s)
	up.Accept()
	upstreamtest.Eventually(t, func() bool { return statusOf(s, "up").State == Ready }, "up")
	if st := statusOf(s, "up"); st.Era != "modern" || !st.OtherEra {
		t.Errorf("%+v", st)
	}
	if n := up.Ledger().Count("initialize"); n != 0 {
		t.Errorf("%d times initialize", n)
	}
}

func TestTrap5_16_OneChangePerStorm(t *testing.T) {
	for _, era := range []upstreamtest.Era{upstreamtest.Legacy, upstreamtest.Modern} {
		t.Run(string(era), func(t *testing.T) {
			up := upstreamtest.New(t, upstreamtest.Config{Era: era, Tools: []upstreamtest.Raw{tool("t0")}})
			c := catalog.New()
			s := run(t, Options{Catalog: c, Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
			settle(t, s)
			if era == upstreamtest.Legacy {
				up.Ledger().Wait(t, "GET", 1)
			} else {
				up.Ledger().Wait(t, "subscriptions/listen", 1)
			}
			upstreamtest.Eventually(t, func() bool { // until the stream is open at the server, nothing is heard
				up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{tool("open")}})
				return slices.Equal(names(c), []string{"up__open"})
			}, "the first change")
			lists := up.Ledger().Count("tools/list")
			var published atomic.Int32
			defer c.OnPublish(func(_, _ *catalog.Snapshot) { published.Add(1) })()
			for i := range 100 {
				up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{tool(fmt.Sprintf("t%d", i))}})
			}
			upstreamtest.Eventually(t, func() bool { return slices.Equal(names(c), []string{"up__t99"}) }, "the last change")
			if n := published.Load(); n > 2 {
				t.Errorf("%d snapshots for one storm", n)
			}
			if n := up.Ledger().Count("tools/list") - lists; n > 2 {
				t.Errorf("%d lists for one storm", n)
			}
		})
	}
}

func TestReloadKeepsWhatStaysTheSame(t *testing.T) {
	a := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("x"), tool("y")}})
	b := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("x")}})
	secret := atomic.Pointer[string]{}
	first := "one"
	secret.Store(&first)
	s := run(t, Options{
		Namespace: space(map[string]Spec{"a": {URL: a.URL}, "b": {URL: b.URL, Headers: map[string]string{"Authorization": "${KEY}"}}, "c": {URL: b.URL}}),
		Expand:    func(string) (string, error) { return *secret.Load(), nil },
	})
	settle(t, s)
	discovers := func() [2]int { return [2]int{a.Ledger().Count("server/discover"), b.Ledger().Count("server/discover")} }
	if got := discovers(); got != [2]int{1, 2} {
		t.Fatalf("handshakes %v", got)
	}
	next := map[string]Spec{"a": {URL: a.URL, Exclude: []string{"y"}}, "b": {URL: b.URL, Headers: map[string]string{"Authorization": "${KEY}"}}}
	s.Reload(space(next))
	settle(t, s)
	if d := cmp.Diff([]string{"a__x", "b__x"}, names(s.o.Catalog)); d != "" {
		t.Error(d)
	}
	if got := discovers(); got != [2]int{1, 2} {
		t.Errorf("handshakes after a reload that changes no server: %v", got)
	}
	second := "two"
	secret.Store(&second)
	s.Reload(space(next))
	settle(t, s)
	if got := discovers(); got != [2]int{1, 3} {
		t.Errorf("handshakes after a secret changed: %v", got)
	}
	if d := cmp.Diff([]string{"a__x", "b__x"}, names(s.o.Catalog)); d != "" {
		t.Error(d)
	}
	calls := b.Ledger().Calls("server/discover")
	if got := calls[len(calls)-1].Header.Get("Authorization"); got != "two" {
		t.Errorf("secret sent: %q", got)
	}
}

func TestR8_ReloadNeverEmptiesTheList(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
	settle(t, s)
	var (
		wg   sync.WaitGroup
		stop atomic.Bool
	)
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				if got := names(s.o.Catalog); len(got) != 1 {
					t.Errorf("listed: %v", got)
					return
				}
				mustCall(t, s, "up__echo")
			}
		})
	}
	for i := range 20 {
		s.Reload(space(map[string]Spec{"up": {URL: up.URL, Headers: map[string]string{"X-Round": fmt.Sprint(i)}}}))
		if i%4 == 0 {
			settle(t, s)
		}
	}
	settle(t, s)
	stop.Store(true)
	wg.Wait()
}

func TestTimeoutNamesItsLimit(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{Script: []upstreamtest.Act{{On: "tools/call", Fault: upstreamtest.Hang}}})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL, Timeout: 50 * time.Millisecond}})})
	settle(t, s)
	_, err := callTool(t, s, "up__echo")
	e, ok := err.(*catalog.Error) //nolint:errorlint // the contract is this very type
	if !ok || e.Code != catalog.Timeout || e.Execution != catalog.Unknown || e.Msg != "up: no answer within 50ms" || e.Hint != "raise timeout of up" {
		t.Errorf("%#v", err)
	}
}

func TestSignInNeeded(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{Script: []upstreamtest.Act{{On: "server/discover", Status: 401, Body: "no", Type: "text/plain"}}})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
	settle(t, s)
	if st := statusOf(s, "up"); st.State != SignIn || !strings.Contains(st.Reason, "wants credentials (HTTP 401") {
		t.Errorf("%+v", st)
	}
}
