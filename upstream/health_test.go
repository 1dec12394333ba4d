package upstream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

// fickle is a server whose connections a test ends, and that can be asked for a sign of life.
type fickle struct {
	name  string
	done  chan struct{}
	once  sync.Once
	dead  *atomic.Bool
	lists *atomic.Int32
	asked *atomic.Int32
}

func (f *fickle) Call(ctx context.Context, _ *catalog.Call) (*catalog.Answer, error) {
	<-ctx.Done()
	return nil, gaveUp(ctx, f.name)
}

func (f *fickle) List(context.Context) (*catalog.Source, map[catalog.Kind]error, error) {
	f.lists.Add(1)
	return &catalog.Source{Upstream: f.name, Tools: [][]byte{[]byte(tool("a"))}}, nil, nil
}

func (f *fickle) Probe(ctx context.Context) error {
	f.asked.Add(1)
	if !f.dead.Load() {
		return nil
	}
	<-ctx.Done()
	return catalog.Errorf(catalog.Unavailable, "%s: the server does not answer ping", f.name)
}

func (f *fickle) lose()                 { f.once.Do(func() { close(f.done) }) }
func (f *fickle) Done() <-chan struct{} { return f.done }
func (f *fickle) Err() error {
	select {
	case <-f.done:
		return errors.New("lost")
	default:
		return nil
	}
}
func (f *fickle) Close(context.Context) error { f.lose(); return nil }

// stage is a Set with one fickle upstream.
type stage struct {
	*Set
	dead, away   atomic.Bool
	lists, asked atomic.Int32
	now          atomic.Pointer[fickle]
	changed      atomic.Pointer[func()]
	dials        atomic.Int32
}

func newStage(t *testing.T, spec Spec) *stage {
	t.Helper()
	st := &stage{}
	spec.URL = "http://x"
	st.Set = New(Options{Namespace: space(map[string]Spec{"up": spec}), Catalog: catalog.New(), dial: func(name string, _ *Spec) dialer {
		return func(_ context.Context, _ manner, changed func()) (backend, error) {
			st.dials.Add(1)
			if st.away.Load() {
				return nil, catalog.Errorf(catalog.Unavailable, "up: away")
			}
			f := &fickle{name: name, done: make(chan struct{}), dead: &st.dead, lists: &st.lists, asked: &st.asked}
			st.now.Store(f)
			st.changed.Store(&changed)
			return f, nil
		}
	}})
	st.Start(t.Context())
	if err := st.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st
}

// A server that is silent is found by asking it, and connected anew; one that answers, or works on a call, is left alone.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, Spec{Probe: 10 * time.Second, Timeout: time.Minute})
		defer closeSet(t, st.Set)
		time.Sleep(35 * time.Second)
		if n := st.asked.Load(); n != 3 || st.dials.Load() != 1 {
			t.Errorf("asked %d times in 35 s, %d connections", n, st.dials.Load())
		}
		st.dead.Store(true)
		go func() { _, _ = st.Call(t.Context(), callOf("a")) }()
		time.Sleep(time.Minute)
		if n := st.asked.Load(); n != 3 || st.dials.Load() != 1 {
			t.Errorf("asked %d times beside a call, %d connections", n, st.dials.Load())
		}
		time.Sleep(10*time.Second + 2*probeWait)
		if n := st.asked.Load() - 3; n != probeTries {
			t.Errorf("asked %d times", n)
		}
		if s := statusOf(st.Set, "up"); st.dials.Load() < 2 && s.Reason != "up: the server does not answer ping" {
			t.Errorf("%d connections, %+v", st.dials.Load(), s)
		}
	})
}

// What is asked of a real server, and what counts as an answer.
func TestProbeOnTheWire(t *testing.T) {
	for era, method := range map[upstreamtest.Era]string{upstreamtest.Modern: "server/discover", upstreamtest.Legacy: "ping"} {
		t.Run(string(era), func(t *testing.T) {
			up := upstreamtest.New(t, upstreamtest.Config{Era: era, Script: []upstreamtest.Act{
				{On: "ping", Nth: 1, Error: `{"code":-32601,"message":"no"}`}, {On: method, Nth: 4, Fault: upstreamtest.Hang}, {On: method, Nth: 5, Fault: upstreamtest.Drop},
			}})
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}})})
			settle(t, s)
			p, ok := (*s.members.Load())["up"].live.Load().backend.(prober)
			if !ok {
				t.Fatal("cannot be asked")
			}
			for n := up.Ledger().Count(method); n < 3; n++ {
				if err := p.Probe(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				err := p.Probe(ctx)
				cancel()
				if e := own(t, err); e.Code != catalog.Unavailable || e.Msg != "up: the server does not answer "+method {
					t.Errorf("%+v", e)
				}
			}
			if err := p.Probe(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The entries of an upstream that is down stay listed, marked, for the grace period and no longer, and come back with it.
func TestR8_GracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, Spec{Grace: 10 * time.Minute})
		defer closeSet(t, st.Set)
		listed := func() []string { synctest.Wait(); return names(st.o.Catalog) }
		st.away.Store(true)
		st.now.Load().lose()
		time.Sleep(10*time.Minute - time.Second)
		if s := statusOf(st.Set, "up"); !slices.Equal(listed(), []string{"up__a"}) || !s.Stale || s.State != Failed {
			t.Errorf("during the grace period: %q, %+v", listed(), s)
		}
		time.Sleep(3 * time.Second)
		if l := listed(); len(l) != 0 {
			t.Errorf("after the grace period: %q", l)
		}
		st.away.Store(false)
		time.Sleep(2 * maxRetry)
		if s := statusOf(st.Set, "up"); !slices.Equal(listed(), []string{"up__a"}) || s.Stale || s.State != Ready {
			t.Errorf("afterwards: %q, %+v", listed(), s)
		}
	})
}

// A storm of notices costs one reading of the lists in five seconds; an upstream that comes and goes five times a second keeps its tools on the list, and
// clients hear of it at most once a second.
func TestR8_Storms(t *testing.T) {
	const long = time.Minute
	t.Run("list_changed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := newStage(t, Spec{})
			defer closeSet(t, st.Set)
			before := st.lists.Load()
			for range 5000 {
				(*st.changed.Load())()
				time.Sleep(long / 5000)
			}
			time.Sleep(2 * refreshEvery)
			most := int32(refreshBurst + long/refreshEvery + 1)
			if n := st.lists.Load() - before; n > most || n < 2 {
				t.Errorf("%d readings of the lists, at most %d wanted", n, most)
			}
		})
	})
	t.Run("flapping", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := newStage(t, Spec{})
			defer closeSet(t, st.Set)
			var published atomic.Int32
			defer st.o.Catalog.OnPublish(func(_, next *catalog.Snapshot) {
				published.Add(1)
				if len(next.Entries()) != 1 {
					t.Errorf("%d entries listed", len(next.Entries()))
				}
			})()
			for range long / (200 * time.Millisecond) {
				st.away.Store(!st.away.Load())
				if st.away.Load() {
					st.now.Load().lose()
				}
				time.Sleep(200 * time.Millisecond)
			}
			time.Sleep(2 * publishEvery)
			if n, most := published.Load(), int32(publishBurst+long/publishEvery+2); n > most || n < 2 {
				t.Errorf("%d snapshots, at most %d wanted", n, most)
			}
			if l := names(st.o.Catalog); strings.Join(l, " ") != "up__a" {
				t.Errorf("%q", l)
			}
		})
	})
}
