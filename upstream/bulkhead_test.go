package upstream

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
)

// A thousand callers of a slow tool take no more of weir than it says: so many run, so many wait, and the others hear at once that they were not executed.
// Calls to others do not notice.
func TestR31_ASaturatedUpstreamFillsUpAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, slow = 1000, 10 * time.Second
		var running, most atomic.Int32
		queue := 8
		busy := func(ctx context.Context, _ *catalog.Call) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(slow)
			return ctx.Err()
		}
		s := New(Options{
			Namespace: space(map[string]Spec{"up": {URL: "http://x", Concurrency: 4, Queue: &queue}, "other": {URL: "http://y"}}), Catalog: catalog.New(),
			dial: func(name string, _ *Spec) dialer {
				act := busy
				if name == "other" {
					act = func(context.Context, *catalog.Call) error { time.Sleep(time.Millisecond); return nil }
				}
				return func(context.Context, manner, func()) (backend, error) { return acted{still{name}, act}, nil }
			},
		})
		s.Start(t.Context())
		if err := s.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer closeSet(t, s)
		var answered, refused atomic.Int32
		began := time.Now()
		for range callers {
			go func() {
				call := callOf("a")
				_, err := s.Call(t.Context(), call)
				if err == nil {
					answered.Add(1)
					if took := time.Since(began); call.Queued != took-slow {
						t.Errorf("waited %s of %s", call.Queued, took)
					}
					return
				}
				refused.Add(1)
				want := catalog.Error{
					Code: catalog.Limited, Msg: "up: 4 calls run and 8 wait already", Hint: "try again later, or raise concurrency or queue of up",
					Execution: catalog.NotExecuted, Retry: fullRetry,
				}
				if d := cmp.Diff(want, own(t, err)); d != "" {
					t.Error(d)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("refused after %s", took)
				}
			}()
		}
		synctest.Wait()
		for range 100 {
			at := time.Now()
			c := callOf("a")
			c.Entry.Ref.Upstream = "other"
			if _, err := s.Call(t.Context(), c); err != nil || time.Since(at) != time.Millisecond {
				t.Errorf("another upstream: %v after %s", err, time.Since(at))
			}
		}
		time.Sleep(3 * slow)
		synctest.Wait()
		if answered.Load() != 12 || refused.Load() != callers-12 || most.Load() != 4 || running.Load() != 0 {
			t.Errorf("answered %d, refused %d, at most %d at a time, %d still running", answered.Load(), refused.Load(), most.Load(), running.Load())
		}
		if st := statusOf(s, "up"); st.Calls != 12 || st.Errors != 0 {
			t.Errorf("%d calls, %d errors: what was refused is counted", st.Calls, st.Errors)
		}
	})
}

// Who waits for a place is bound by the deadline of the call, and leaves the queue when it is canceled.
func TestQueuedCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := 2
		free := make(chan struct{})
		s := actedSet(t, Spec{Concurrency: 1, Queue: &queue, Timeout: time.Minute}, func(_ context.Context, c *catalog.Call) error {
			if c.Target != "quick" {
				<-free
			}
			return nil
		})
		defer closeSet(t, s)
		ended := make(chan error)
		begin := func(ctx context.Context, tool string) {
			go func() {
				_, err := s.Call(ctx, callOf(tool))
				ended <- err
			}()
			synctest.Wait()
		}
		begin(t.Context(), "slow")
		ctx, cancel := context.WithCancel(t.Context())
		begin(ctx, "quick")
		cancel()
		if e := own(t, <-ended); e.Code != catalog.Canceled || e.Execution != catalog.NotExecuted {
			t.Errorf("%+v", e)
		}
		at := time.Now()
		begin(t.Context(), "quick")
		e := own(t, <-ended)
		if e.Code != catalog.Limited || e.Execution != catalog.NotExecuted || e.Msg != "up: no place among 1 calls came free within 1m0s" || time.Since(at) != time.Minute {
			t.Errorf("%+v after %s", e, time.Since(at))
		}
		begin(t.Context(), "quick")
		close(free)
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}
