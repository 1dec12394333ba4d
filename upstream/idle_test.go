package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

// nap is an upstream whose connections a test can look at: each call is answered with a text.
type nap struct {
	name   string
	answer string
	start  time.Duration // how long a start takes
	away   error         // why a start fails

	mu     sync.Mutex
	dials  int
	closed int
	lists  int
	topics []string
	lost   chan struct{} // of the last connection
}

// lose ends the last connection.
func (n *nap) lose() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.lost)
}

func (n *nap) dial(string, *Spec) dialer {
	return func(ctx context.Context, _ manner, _ func()) (backend, error) {
		if !sleep(ctx, nil, n.start) {
			return nil, context.Cause(ctx)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.dials++
		if n.away != nil {
			return nil, n.away
		}
		n.lost = make(chan struct{})
		return &napping{n, n.lost}, nil
	}
}

func (n *nap) counts() [3]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return [3]int{n.dials, n.closed, n.lists}
}

type napping struct {
	*nap
	done chan struct{}
}

func (b *napping) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	if c.Target == "long" && !sleep(ctx, nil, time.Hour) {
		return nil, gaveUp(ctx, b.name)
	}
	var m rawjson.Message
	if err := rawjson.Scan(&m, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"result":%s}`, b.answer)); err != nil {
		return nil, err
	}
	return catalog.NewAnswer(&m, catalog.Modern, nil), nil
}

func (b *napping) List(context.Context) (*catalog.Source, map[catalog.Kind]error, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lists++
	return &catalog.Source{Upstream: b.name, Tools: [][]byte{[]byte(tool("a"))}}, nil, nil
}
func (b *napping) Done() <-chan struct{} { return b.done }
func (b *napping) Err() error {
	select {
	case <-b.done:
		return catalog.Errorf(catalog.Unavailable, "up: exited with code 1")
	default:
		return nil
	}
}

func (b *napping) Close(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

func (b *napping) Watch(_ context.Context, topic catalog.Topic) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics = append(b.topics, topic.ID)
	return nil
}
func (b *napping) Unwatch(context.Context, catalog.Topic) {}

// memory is a cache.
type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (c *memory) Get(key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.m[key]
	return data, ok
}

func (c *memory) Put(key string, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string][]byte{}
	}
	c.m[key] = data
}

// napSet is a Set with one such upstream.
func napSet(t *testing.T, spec Spec, n *nap, cache *memory) *Set {
	t.Helper()
	n.name = "up"
	if n.answer == "" {
		n.answer = `{"content":[]}`
	}
	spec.Command = "server"
	s := New(Options{Namespace: space(map[string]Spec{"up": spec}), Catalog: catalog.New(), dial: n.dial, Cache: cache})
	s.Start(t.Context())
	if err := s.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func answers(t *testing.T, s *Set) {
	t.Helper()
	if _, err := s.Call(t.Context(), callOf("a")); err != nil {
		t.Error(err)
	}
}

// An upstream without use is stopped once the time is over and not before, stays listed, and is started by the next call, however long that takes.
func TestIdleStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nap{start: 20 * time.Second} // far more than a call waits for one that is down
		s := napSet(t, Spec{IdleStop: 10 * time.Minute}, n, nil)
		defer closeSet(t, s)
		shown := s.o.Catalog.Snapshot()
		for range 4 { // each call puts it off
			time.Sleep(8 * time.Minute)
			answers(t, s)
		}
		time.Sleep(10*time.Minute - time.Second)
		if got := n.counts(); got != [3]int{1, 0, 1} {
			t.Errorf("starts, stops, listings: %v", got)
		}
		time.Sleep(2 * time.Minute)
		st := statusOf(s, "up")
		if want := "up: stopped, it was not used for 10m0s; the next call starts it"; st.State != Idle || st.Reason != want || st.Restarts != 0 || st.Stale {
			t.Errorf("%+v", st)
		}
		if got := n.counts(); got != [3]int{1, 1, 1} {
			t.Errorf("starts, stops, listings: %v", got)
		}
		if now := s.o.Catalog.Snapshot(); now != shown || now.Partial() {
			t.Error("clients are told of an upstream that rests")
		}
		var calls sync.WaitGroup
		began := time.Now()
		for range 10 {
			calls.Go(func() { answers(t, s) })
		}
		calls.Wait()
		if took := time.Since(began); took != n.start {
			t.Errorf("the first calls took %s", took)
		}
		time.Sleep(time.Second)
		if got := n.counts(); got != [3]int{2, 1, 2} || statusOf(s, "up").State != Ready {
			t.Errorf("starts, stops, listings: %v; %s", got, statusOf(s, "up").State)
		}
	})
}

// What is under way keeps an upstream running: a call, a subscription, a question or a task that a call left open.
func TestIdleStopWaitsForWhatIsOpen(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		open   func(t *testing.T, s *Set)
		stops  time.Duration // from then on
	}{
		"call": {"", func(t *testing.T, s *Set) {
			t.Helper()
			go func() { _, _ = s.Call(t.Context(), callOf("long")) }()
		}, time.Hour + 10*time.Minute},
		"question": {`{"resultType":"input_required","inputRequests":{}}`, func(t *testing.T, s *Set) { t.Helper(); answers(t, s) }, owedFor + 10*time.Minute},
		"task":     {`{"resultType":"task","taskId":"1"}`, func(t *testing.T, s *Set) { t.Helper(); answers(t, s) }, owedFor + 10*time.Minute},
		"result":   {`{"resultType":"complete","content":[]}`, func(t *testing.T, s *Set) { t.Helper(); answers(t, s) }, 10 * time.Minute},
		"subscription": {"", func(t *testing.T, s *Set) {
			t.Helper()
			topic := catalog.Topic{ID: "file:///a"}
			if err := s.Subscribe(t.Context(), "up", topic); err != nil {
				t.Error(err)
			}
			time.AfterFunc(5*time.Hour, func() { s.Unsubscribe(t.Context(), "up", topic) })
		}, 5*time.Hour + 10*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &nap{answer: c.answer}
				s := napSet(t, Spec{IdleStop: 10 * time.Minute, Timeout: 2 * time.Hour}, n, nil)
				defer closeSet(t, s)
				c.open(t, s)
				time.Sleep(c.stops - 2*time.Second)
				if st := statusOf(s, "up"); st.State != Ready {
					t.Errorf("%s too early: %s", st.State, st.Reason)
				}
				time.Sleep(10*time.Minute/looks*2 + 3*time.Second)
				if st := statusOf(s, "up"); st.State != Idle {
					t.Errorf("still %s", st.State)
				}
			})
		})
	}
}

// A subscription starts what rests. A start that fails ends the calls that wait for it with its reason, and is tried again like any.
func TestIdleUpstreamsAreWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nap{}
		s := napSet(t, Spec{IdleStop: time.Minute}, n, nil)
		defer closeSet(t, s)
		time.Sleep(2 * time.Minute)
		topic := catalog.Topic{ID: "file:///a"}
		if err := s.Subscribe(t.Context(), "up", topic); err != nil || !slices.Equal(n.topics, []string{"file:///a"}) {
			t.Errorf("%v %v", err, n.topics)
		}
		s.Unsubscribe(t.Context(), "up", topic)
		time.Sleep(2 * time.Minute)
		n.mu.Lock()
		n.away = catalog.Errorf(catalog.Unavailable, "up: cannot start: gone")
		n.mu.Unlock()
		began := time.Now()
		_, err := s.Call(t.Context(), callOf("a"))
		if e := own(t, err); e.Execution != catalog.NotExecuted || !strings.HasPrefix(e.Msg, "up: cannot start: gone") || time.Since(began) > time.Second {
			t.Errorf("%+v after %s", e, time.Since(began))
		}
		if st := statusOf(s, "up"); st.State != Failed {
			t.Errorf("%+v", st)
		}
		n.mu.Lock()
		n.away = nil
		n.mu.Unlock()
		time.Sleep(time.Second)
		answers(t, s)
	})
}

// Calls that come at any moment of a stop and a start are answered, all of them.
func TestIdleStopLosesNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nap{start: 3 * time.Millisecond}
		s := napSet(t, Spec{IdleStop: 8 * time.Millisecond}, n, nil)
		defer closeSet(t, s)
		for i := range 2000 {
			time.Sleep(8*time.Millisecond + time.Duration(i)*time.Microsecond)
			answers(t, s)
		}
		if got := n.counts(); got[0] < 100 || got[0] != got[2] {
			t.Errorf("starts, stops, listings: %v", got)
		}
	})
}

// A lazy upstream is started once to be asked what it offers, and after that only by calls, in this run and the next.
func TestLazyStart(t *testing.T) {
	cache := &memory{}
	synctest.Test(t, func(t *testing.T) {
		n := &nap{}
		s := napSet(t, Spec{Lazy: true}, n, cache)
		defer closeSet(t, s)
		time.Sleep(2 * readRest)
		if st := statusOf(s, "up"); st.State != Idle || st.Reason != "up: not started; the next call starts it" || st.Tools != 1 {
			t.Errorf("%+v", st)
		}
		if got := n.counts(); got != [3]int{1, 1, 1} {
			t.Errorf("starts, stops, listings: %v", got)
		}
		answers(t, s)
		time.Sleep(24 * time.Hour) // without idleStop it runs from then on
		if got := n.counts(); got != [3]int{2, 1, 2} {
			t.Errorf("starts, stops, listings: %v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n := &nap{}
		s := napSet(t, Spec{Lazy: true, IdleStop: time.Minute}, n, cache)
		defer closeSet(t, s)
		if d := cmp.Diff([]string{"up__a"}, names(s.o.Catalog)); d != "" || s.o.Catalog.Snapshot().Partial() {
			t.Error(d, s.o.Catalog.Snapshot().Partial())
		}
		time.Sleep(time.Hour)
		if got := n.counts(); got != [3]int{} || statusOf(s, "up").State != Idle {
			t.Errorf("starts, stops, listings: %v; %+v", got, statusOf(s, "up"))
		}
		answers(t, s)
		time.Sleep(2 * time.Minute)
		if got := n.counts(); got != [3]int{1, 1, 1} || statusOf(s, "up").State != Idle {
			t.Errorf("starts, stops, listings: %v; %+v", got, statusOf(s, "up"))
		}
	})
	synctest.Test(t, func(t *testing.T) { // another server under the same name
		n := &nap{}
		s := napSet(t, Spec{Lazy: true, Args: []string{"--other"}}, n, cache)
		defer closeSet(t, s)
		if got := n.counts(); got != [3]int{1, 0, 1} {
			t.Errorf("starts, stops, listings: %v", got)
		}
	})
	for key := range cache.m {
		cache.m[key] = []byte("{")
	}
	synctest.Test(t, func(t *testing.T) { // damaged
		n := &nap{}
		s := napSet(t, Spec{Lazy: true}, n, cache)
		defer closeSet(t, s)
		if got := n.counts(); got != [3]int{1, 0, 1} {
			t.Errorf("starts, stops, listings: %v", got)
		}
	})
}

// With a real child: what a start costs the first call, that nothing of the child is left while it rests, and that a change of lists is told when it runs again.
func TestIdleStopOfAChild(t *testing.T) {
	up := upstreamtest.Stdio(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo")}})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {Command: up.Command, Args: up.Args, IdleStop: 200 * time.Millisecond}})})
	settle(t, s)
	var first, next []time.Duration
	for range 5 {
		upstreamtest.Eventually(t, func() bool { return statusOf(s, "up").State == Idle }, "it is idle")
		for _, took := range []*[]time.Duration{&first, &next} {
			began := time.Now()
			mustCall(t, s, "up__echo")
			*took = append(*took, time.Since(began))
		}
	}
	t.Logf("the call that starts the server took %v, the one after it %v", first, next)
	if n := up.Ledger().Count("tools/call"); n != 10 {
		t.Errorf("%d calls were executed", n)
	}
}

// A reload that changes nothing of the server leaves it at rest; one that does starts the new one, and what it offered stays listed until then.
func TestIdleUpstreamsRestOverReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nap{}
		spec := Spec{IdleStop: time.Minute}
		s := napSet(t, spec, n, nil)
		defer closeSet(t, s)
		time.Sleep(2 * time.Minute)
		spec.Command, spec.Timeout = "server", time.Hour
		s.Reload(space(map[string]Spec{"up": spec}))
		time.Sleep(time.Minute)
		if got := n.counts(); got != [3]int{1, 1, 1} || statusOf(s, "up").State != Idle {
			t.Errorf("starts, stops, listings: %v; %s", got, statusOf(s, "up").State)
		}
		n.start = 5 * time.Second
		spec.Args = []string{"--new"}
		s.Reload(space(map[string]Spec{"up": spec}))
		time.Sleep(time.Second)
		if st := statusOf(s, "up"); st.State != Starting || st.Tools != 1 {
			t.Errorf("%+v", st)
		}
		time.Sleep(10 * time.Second)
		if got := n.counts(); got != [3]int{2, 1, 2} || statusOf(s, "up").State != Ready {
			t.Errorf("starts, stops, listings: %v; %s", got, statusOf(s, "up").State)
		}
	})
}
