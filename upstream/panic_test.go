package upstream

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/upstream/mcpconn"
	"weir/upstream/upstreamtest"
)

// bombs panic once where one was laid.
type bombs struct{ laid atomic.Pointer[string] }

func (b *bombs) lay(where string) { b.laid.Store(&where) }

func (b *bombs) reach(where string) {
	if laid := b.laid.Load(); laid != nil && *laid == where && b.laid.CompareAndSwap(laid, nil) {
		panic("boom: card 4711")
	}
}

// mined is a backend with bombs.
type mined struct {
	still
	*bombs
}

func (m mined) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	m.reach("call")
	return acted{m.still, func(context.Context, *catalog.Call) error { return nil }}.Call(ctx, c)
}

func (m mined) List(ctx context.Context) (*catalog.Source, map[catalog.Kind]error, error) {
	m.reach("list")
	return m.still.List(ctx)
}

func (m mined) Probe(context.Context) error { m.reach("probe"); return nil }

func (m mined) Watch(context.Context, catalog.Topic) error { m.reach("watch"); return nil }

func (m mined) Unwatch(context.Context, catalog.Topic) { m.reach("unwatch") }

// legacyMined is one whose callers have sessions of their own.
type legacyMined struct{ mined }

func (legacyMined) Transport() string  { return "http" }
func (legacyMined) Era() catalog.Era   { return catalog.Legacy }
func (legacyMined) Eras() mcpconn.Eras { return mcpconn.Eras{Legacy: true} }
func (legacyMined) Version() string    { return "2025-11-25" }
func (legacyMined) ServerInfo() []byte { return nil }

// locked is a log that many write and one reads.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// blown is a set of a mined upstream and another one.
type blown struct {
	*Set
	bombs
	log     locked
	changed atomic.Pointer[func()]
}

func newBlown(t *testing.T, legacy bool) *blown {
	t.Helper()
	b := &blown{}
	o := Options{Namespace: space(map[string]Spec{"up": {URL: "http://x", API: hedging(time.Second)}, "other": {URL: "http://x"}}), Catalog: catalog.New(), Log: slog.New(slog.NewTextHandler(&b.log, nil))}
	o.build = func(all []*catalog.Source, o catalog.Options) *catalog.Snapshot {
		for _, src := range all {
			if src.Upstream == "up" {
				if laid := b.laid.Load(); laid != nil && *laid == "build" { // as long as it lies there
					panic("boom: card 4711")
				}
			}
		}
		return catalog.Build(all, o)
	}
	o.dial = func(name string, _ *Spec) dialer {
		return func(_ context.Context, as manner, changed func()) (backend, error) {
			if name == "other" {
				return mined{still{name}, &bombs{}}, nil
			}
			b.changed.Store(&changed)
			if as.capabilities != everything {
				b.reach("session")
			}
			b.reach("dial")
			if m := (mined{still{name}, &b.bombs}); !legacy {
				return m, nil
			}
			return legacyMined{mined{still{name}, &b.bombs}}, nil
		}
	}
	b.Set = New(o)
	return b
}

// call calls a tool of "up" or of another upstream.
func (b *blown) call(t *testing.T, upstream, tool string) error {
	t.Helper()
	c := callOf(tool)
	c.Entry.Ref.Upstream = upstream
	_, err := b.Call(t.Context(), c)
	return err
}

// A panic in what runs for an upstream, wherever that is, costs what it was for: an attempt, a connection, a reading of lists, a call. The process lives, others are
// served meanwhile, the state or the error says which fault it was, the log has it with its stack, and the upstream is back.
func TestR28_PanicsBehindTheGateway(t *testing.T) {
	for _, tt := range []struct {
		where  string
		legacy bool
		reason string // in the state, once it happened
		act    func(t *testing.T, b *blown) error
	}{
		{where: "dial", reason: "up: internal error (fault "}, // before the first connection
		{where: "list", reason: "up: internal error (fault "},
		{where: "build", reason: "up: its lists cannot be shown: internal error (fault "},
		{where: "probe", reason: "up: internal error (fault ", act: func(*testing.T, *blown) error { time.Sleep(DefaultProbe + time.Millisecond); return nil }},
		{where: "list", reason: "up: internal error (fault ", act: func(_ *testing.T, b *blown) error { (*b.changed.Load())(); time.Sleep(quiet * 2); return nil }},
		{where: "call", act: func(t *testing.T, b *blown) error { return b.call(t, "up", "get") }},
		{where: "session", legacy: true, act: func(t *testing.T, b *blown) error { return b.call(t, "up", "a") }},
		{where: "watch", act: func(t *testing.T, b *blown) error { // the next connection renews the subscription
			if err := b.Subscribe(t.Context(), "up", catalog.Topic{ID: "x:y"}); err != nil {
				t.Error(err)
			}
			m := (*b.members.Load())["up"]
			b.lay("watch")
			m.subs.renew(m, m.live.Load())
			return nil
		}},
		{where: "unwatch", act: func(t *testing.T, b *blown) error {
			b.Unsubscribe(t.Context(), "up", catalog.Topic{ID: "x:y"})
			return nil
		}},
	} {
		t.Run(tt.where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBlown(t, tt.legacy)
				defer closeSet(t, b.Set)
				if tt.act == nil {
					b.lay(tt.where)
				}
				b.Start(t.Context())
				var err error
				if tt.act != nil {
					if err := b.Settled(t.Context()); err != nil {
						t.Fatal(err)
					}
					if tt.where != "watch" {
						b.lay(tt.where)
					}
					err = tt.act(t, b)
				}
				time.Sleep(100 * time.Millisecond) // it is tried again later than that, and published by then
				synctest.Wait()
				st := statusOf(b.Set, "up")
				said := st.Reason
				for _, p := range st.Problems {
					said += p.Reason
				}
				if !strings.HasPrefix(said, tt.reason) || strings.Contains(said, "4711") {
					t.Errorf("the state says %q", said)
				}
				if tt.where == "call" || tt.where == "session" {
					if _, ok := errors.AsType[*fault.PanicError](err); !ok || strings.Contains(err.Error(), "4711") {
						t.Errorf("the caller hears %v", err)
					}
				}
				if err := b.call(t, "other", "a"); err != nil {
					t.Errorf("another upstream: %v", err)
				}
				b.laid.Store(nil)
				time.Sleep(maxRetry)
				if err := b.call(t, "up", "a"); err != nil || statusOf(b.Set, "up").State != Ready {
					t.Errorf("afterwards: %v, %+v", err, statusOf(b.Set, "up"))
				}
				if log := b.log.String(); !strings.Contains(log, "msg=panic upstream=up fault=") || !strings.Contains(log, "panic_test.go") {
					t.Errorf("the log: %s", log)
				}
			})
		})
	}
}

// What panics while a server's own messages are read ends the connection to that server, on every transport; it is connected to anew, and others are served.
func TestR28_PanicsOnTheWire(t *testing.T) {
	content := upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo")}, Resources: []upstreamtest.Raw{`{"uri":"x:y","name":"y"}`}}
	for name, of := range map[string]struct {
		era  upstreamtest.Era
		kind string
	}{
		"modern HTTP": {upstreamtest.Modern, "http"}, "legacy HTTP": {upstreamtest.Legacy, "http"}, "SSE": {upstreamtest.Legacy, "sse"},
		"modern stdio": {upstreamtest.Modern, "stdio"}, "legacy stdio": {upstreamtest.Legacy, "stdio"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := content
			cfg.Era, cfg.SSE = of.era, of.kind == "sse"
			var up *upstreamtest.Server
			var spec Spec
			if of.kind == "stdio" {
				up = upstreamtest.Stdio(t, cfg)
				spec = Spec{Command: up.Command, Args: up.Args}
			} else {
				up = upstreamtest.New(t, cfg)
				spec = Spec{URL: up.URL}
			}
			if cfg.SSE {
				spec.Type = "sse"
			}
			other := upstreamtest.New(t, upstreamtest.Config{})
			var log locked
			var b bombs
			heard := make(chan struct{}, 10)
			s := run(t, Options{
				Namespace: space(map[string]Spec{"up": spec, "other": {URL: other.URL}}), Log: slog.New(slog.NewTextHandler(&log, nil)),
				Updated: func(string, catalog.Topic, []byte) {
					b.reach("updated")
					heard <- struct{}{}
				},
			})
			settle(t, s)
			if err := s.Subscribe(t.Context(), "up", catalog.Topic{ID: "x:y"}); err != nil {
				t.Fatal(err)
			}
			b.lay("updated")
			up.Update("x:y")
			until(t, "the panic is in the log", func() bool { return strings.Contains(log.String(), "msg=panic upstream=up fault=") })
			mustCall(t, s, "other__echo")
			until(t, "it is connected to anew", func() bool { st := statusOf(s, "up"); return st.State == Ready && st.Restarts == 1 })
			<-heard // the subscription is renewed, and what was missed counts as an update
			up.Update("x:y")
			<-heard
			mustCall(t, s, "up__echo")
			if !strings.Contains(log.String(), `msg="upstream is down" upstream=up error="up: internal error (fault `) {
				t.Errorf("the log: %s", log.String())
			}
		})
	}
}
