package upstream

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// acted is a connection whose calls a test answers.
type acted struct {
	still
	act func(context.Context, *catalog.Call) error
}

func (b acted) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	if err := b.act(ctx, c); err != nil {
		return nil, err
	}
	return catalog.NewAnswer(&rawjson.Message{Kind: rawjson.Result}, catalog.Modern, nil), nil
}

// actedSet is a Set in virtual time with one upstream, "up".
func actedSet(t *testing.T, spec Spec, act func(context.Context, *catalog.Call) error) *Set {
	t.Helper()
	spec.URL = "http://x"
	s := New(Options{Namespace: space(map[string]Spec{"up": spec}), Catalog: catalog.New(), dial: func(name string, _ *Spec) dialer {
		return func(context.Context, manner, func()) (backend, error) { return acted{still{name}, act}, nil }
	}})
	s.Start(t.Context())
	if err := s.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// callOf is a call of a tool of "up".
func callOf(tool string) *catalog.Call {
	return &catalog.Call{
		Method: "tools/call", Entry: &catalog.Entry{Kind: catalog.Tool, Ref: catalog.Ref{Upstream: "up", Name: tool}}, Target: tool,
		Client: &catalog.Client{Era: catalog.Modern},
	}
}

func closeSet(t *testing.T, s *Set) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// own is the error of a call; its zero value stands for none.
func own(t *testing.T, err error) catalog.Error {
	t.Helper()
	if err == nil {
		return catalog.Error{}
	}
	var e *catalog.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %#v", err)
	}
	return *e
}

// What fails is left alone after some failures in a row, one call after each wait tries it, and the first that succeeds lets the others pass. Tools are held
// back one by one.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reached atomic.Int32
		var broken atomic.Bool
		broken.Store(true)
		s := actedSet(t, Spec{}, func(_ context.Context, c *catalog.Call) error {
			if c.Target == "bad" {
				reached.Add(1)
				if broken.Load() {
					return &catalog.Error{Code: catalog.Timeout, Msg: "up: no answer"}
				}
			}
			return nil
		})
		defer closeSet(t, s)
		call := func(tool string) catalog.Error {
			_, err := s.Call(t.Context(), callOf(tool))
			return own(t, err)
		}
		for range defaultFailures {
			if e := call("bad"); e.Msg != "up: no answer" {
				t.Fatalf("%+v", e)
			}
		}
		want := catalog.Error{
			Code: catalog.Unavailable, Msg: "up/bad: 5 calls in a row failed (the last: timeout), it is tried again in 1s", Hint: "weir ls",
			Execution: catalog.NotExecuted, Retry: time.Second,
		}
		if d := cmp.Diff(want, call("bad")); d != "" {
			t.Error(d)
		}
		if e := call("good"); e.Code != "" {
			t.Errorf("another tool: %+v", e)
		}
		if st := statusOf(s, "up"); st.State != Ready || len(st.Problems) != 1 || st.Problems[0].Name != "bad" || st.Problems[0].Reason != want.Msg {
			t.Errorf("%+v", st)
		}
		if st := statusOf(s, "up"); st.Calls != defaultFailures+1 || st.Errors != defaultFailures {
			t.Errorf("%d calls, %d errors: what was held back is counted", st.Calls, st.Errors)
		}
		time.Sleep(time.Second)
		if got, want := statusOf(s, "up").Problems[0].Reason, "up/bad: 5 calls in a row failed (the last: timeout), the next call tries it"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		call("bad")                                              // it fails too
		for hold := 2 * time.Second; hold < maxHold; hold *= 2 { // each trial that fails doubles the wait
			time.Sleep(hold - time.Millisecond)
			before := reached.Load()
			if e := call("bad"); e.Execution != catalog.NotExecuted || e.Retry != time.Millisecond {
				t.Errorf("before the wait of %s is over: %+v", hold, e)
			}
			time.Sleep(time.Millisecond)
			if e := call("bad"); e.Code != catalog.Timeout {
				t.Errorf("the trial: %+v", e)
			}
			if e := call("bad"); e.Execution != catalog.NotExecuted {
				t.Errorf("after the trial: %+v", e)
			}
			if n := reached.Load() - before; n != 1 {
				t.Errorf("%d calls got through", n)
			}
		}
		broken.Store(false)
		time.Sleep(maxHold)
		for range 3 {
			if e := call("bad"); e.Code != "" {
				t.Errorf("after it recovered: %+v", e)
			}
		}
		if n := (*s.members.Load())["up"].breakers.open.Load(); n != 0 {
			t.Errorf("%d breakers are kept", n)
		}
	})
}

// What says nothing about the server opens no breaker.
func TestBreakerCountsOnlyTheServersFaults(t *testing.T) {
	for name, err := range map[string]*catalog.Error{
		"never sent":  {Code: catalog.Unavailable, Execution: catalog.NotExecuted},
		"given up":    {Code: catalog.Canceled},
		"refused":     {Code: catalog.Limited},
		"bad request": {Code: catalog.Invalid},
		"too large":   {Code: catalog.TooLarge},
		"sign in":     {Code: catalog.NeedsLogin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err.Msg = name
				s := actedSet(t, Spec{}, func(context.Context, *catalog.Call) error { return err })
				defer closeSet(t, s)
				for range 5 * defaultFailures {
					if _, got := s.Call(t.Context(), callOf("a")); own(t, got).Msg != name {
						t.Fatal(got)
					}
				}
			})
		})
	}
	t.Run("off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := actedSet(t, Spec{Breaker: Breaker{Off: true}}, func(context.Context, *catalog.Call) error { return catalog.Errorf(catalog.Timeout, "off") })
			defer closeSet(t, s)
			for range 5 * defaultFailures {
				if _, got := s.Call(t.Context(), callOf("a")); own(t, got).Msg != "off" {
					t.Fatal(got)
				}
			}
		})
	})
}

// Calls that are lost together are one failure: a server that restarts under load is not left alone for it. A trial that ends without a verdict is not the
// last one.
func TestBreakerTakesOneIncidentForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fall := make(chan struct{})
		s := actedSet(t, Spec{Breaker: Breaker{Failures: 2}}, func(_ context.Context, c *catalog.Call) error {
			switch c.Target {
			case "held":
				<-fall
				fallthrough
			case "lost":
				return catalog.Errorf(catalog.Unavailable, "up: the connection broke")
			case "away":
				return &catalog.Error{Code: catalog.Unavailable, Msg: "up: away", Execution: catalog.NotExecuted}
			}
			return nil
		})
		defer closeSet(t, s)
		const crowd = 50
		ended := make(chan error)
		for range crowd {
			go func() {
				_, err := s.Call(t.Context(), callOf("held"))
				ended <- err
			}()
		}
		synctest.Wait()
		close(fall)
		for range crowd {
			if e := own(t, <-ended); e.Execution != catalog.Unknown {
				t.Errorf("%+v", e)
			}
		}
		if p := statusOf(s, "up").Problems; len(p) != 0 {
			t.Errorf("%+v", p)
		}
		for range 4 { // one for each is another incident, and all are of the same upstream
			_, _ = s.Call(t.Context(), callOf("lost"))
		}
		p := statusOf(s, "up").Problems
		if len(p) != 1 || p[0].Name != "lost" {
			t.Fatalf("%+v", p)
		}
		_, _ = s.Call(t.Context(), callOf("held"))
		_, _ = s.Call(t.Context(), callOf("held"))
		if p = statusOf(s, "up").Problems; len(p) != 3 || !strings.HasPrefix(p[0].Reason, "up: 4 calls in a row failed") {
			t.Fatalf("%+v", p)
		}
		time.Sleep(defaultHold)
		for range 3 { // the upstream's trial says nothing, so the next call is one too
			if _, err := s.Call(t.Context(), callOf("away")); own(t, err).Msg != "up: away" {
				t.Error(err)
			}
		}
	})
}

func BenchmarkPlainCall(b *testing.B) {
	s := New(Options{Namespace: space(map[string]Spec{"up": {URL: "http://x"}}), Catalog: catalog.New(), dial: func(name string, _ *Spec) dialer {
		return func(context.Context, manner, func()) (backend, error) {
			return acted{still{name}, func(context.Context, *catalog.Call) error { return nil }}, nil
		}
	}})
	s.Start(b.Context())
	if err := s.Settled(b.Context()); err != nil {
		b.Fatal(err)
	}
	c := callOf("a")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Call(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	_ = s.Close(context.Background())
}
