package upstream

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/translate"
)

// What may be sent twice, and what may not: an outcome that nobody knows is unknown for good unless the operator says otherwise.
func TestAtMostOnce(t *testing.T) {
	yes, no := true, false
	tools := map[string]translate.Tool{"get_*": {Idempotent: &yes}, "get_secret": {Idempotent: &no}, "*": {Timeout: time.Minute}}
	broke := &catalog.Error{Code: catalog.Unavailable, Msg: "up: the connection broke"}
	for name, c := range map[string]struct {
		method, target string
		err            *catalog.Error
		want           int32
	}{
		"plain tool":                    {"tools/call", "put", broke, 1},
		"marked tool":                   {"tools/call", "get_it", broke, 2},
		"unmarked by a plainer pattern": {"tools/call", "get_secret", broke, 1},
		"resource":                      {"resources/read", "x:y", broke, 2},
		"prompt":                        {"prompts/get", "get_it", broke, 1},
		"timeout":                       {"tools/call", "get_it", &catalog.Error{Code: catalog.Timeout, Msg: "late"}, 1},
		"executed":                      {"tools/call", "get_it", &catalog.Error{Code: catalog.Unavailable, Msg: "cut", Execution: catalog.Executed}, 1},
		"too large":                     {"tools/call", "get_it", &catalog.Error{Code: catalog.TooLarge, Msg: "large"}, 1},
		"never sent, connection alive":  {"tools/call", "get_it", &catalog.Error{Code: catalog.Unavailable, Msg: "no", Execution: catalog.NotExecuted}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int32
				s := actedSet(t, Spec{API: translate.Spec{Tools: tools}, Breaker: Breaker{Off: true}}, func(_ context.Context, call *catalog.Call) error {
					if call.Target == "warm" {
						return nil
					}
					sent.Add(1)
					return c.err
				})
				defer closeSet(t, s)
				for range 10 { // earns one repetition
					if _, err := s.Call(t.Context(), callOf("warm")); err != nil {
						t.Fatal(err)
					}
				}
				call := callOf(c.target)
				call.Method = c.method
				if c.method != "tools/call" {
					call.Entry.Kind = catalog.Resource
				}
				_, err := s.Call(t.Context(), call)
				if e := own(t, err); e.Code != c.err.Code || e.Execution != c.err.Execution {
					t.Errorf("%+v", e)
				}
				if n := sent.Load(); n != c.want {
					t.Errorf("sent %d times, want %d", n, c.want)
				}
			})
		})
	}
}

// An upstream that fails half of its calls gets at most a tenth more of them, though each might be repeated.
func TestR30_RepetitionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 10_000
		yes := true
		var sent atomic.Int32
		s := actedSet(t, Spec{API: translate.Spec{Tools: map[string]translate.Tool{"*": {Idempotent: &yes}}}}, func(context.Context, *catalog.Call) error {
			if sent.Add(1)%2 == 0 {
				return catalog.Errorf(catalog.Unavailable, "up: the connection broke")
			}
			return nil
		})
		defer closeSet(t, s)
		failed := 0
		for range calls {
			if _, err := s.Call(t.Context(), callOf("a")); err != nil {
				failed++
			}
		}
		if n := sent.Load(); n > calls*11/10 || n < calls {
			t.Errorf("%d requests for %d calls", n, calls)
		}
		if failed < calls*3/10 {
			t.Errorf("only %d of %d calls failed", failed, calls)
		}
	})
}
