package upstream

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
)

// still is a connection on which nothing happens.
type still struct{ name string }

func (still) Call(context.Context, *catalog.Call) (*catalog.Answer, error) { return nil, nil }
func (b still) List(context.Context) (*catalog.Source, map[catalog.Kind]error, error) {
	return &catalog.Source{Upstream: b.name}, nil, nil
}
func (still) Done() <-chan struct{}       { return nil }
func (still) Err() error                  { return nil }
func (still) Close(context.Context) error { return nil }

// A call that waits for an upstream which was tried just before makes it try again once wakeEvery is over, however long the upstream would rest.
func TestWaitingCallsWakeTheirUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		s := New(Options{Namespace: space(map[string]Spec{"up": {URL: "http://x"}}), Catalog: catalog.New(), dial: func(name string, _ *Spec) dialer {
			return func(context.Context, manner, func()) (backend, error) {
				if away.Load() {
					return nil, &catalog.Error{Code: catalog.Unavailable, Msg: "up: away"}
				}
				return still{name}, nil
			}
		}})
		s.Start(t.Context())
		m := (*s.members.Load())["up"]
		due := func() time.Duration {
			m.mu.Lock()
			defer m.mu.Unlock()
			return time.Until(m.nextTry)
		}
		const rest = (wakeEvery + patience) / 2 // longer than a call may have to wait, and not so long that it does not
		for due() < rest {                      // after some attempts
			time.Sleep(time.Millisecond)
		}
		time.Sleep(due() - rest)
		away.Store(false)
		began := time.Now()
		if _, err := m.connection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > wakeEvery {
			t.Errorf("waited %s", took)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
