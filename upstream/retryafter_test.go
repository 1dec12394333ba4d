package upstream

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/translate"
	"weir/upstream/upstreamtest"
)

// A server that asks to be left alone for a while is: a call is not sent again though its tool may be, and the caller is told when to come back.
func TestR30_RetryAfterOfACall(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		status int
		header string
		code   catalog.Code
		least  time.Duration
		most   time.Duration
		sent   int
	}{
		"seconds":       {503, "7", catalog.Unavailable, 7 * time.Second, 7 * time.Second, 1},
		"a date":        {503, time.Now().Add(time.Minute).UTC().Format(http.TimeFormat), catalog.Unavailable, 30 * time.Second, time.Minute, 1},
		"limits":        {429, "7", catalog.Limited, 7 * time.Second, 7 * time.Second, 1},
		"too long":      {503, "4000000000", catalog.Unavailable, 24 * time.Hour, 24 * time.Hour, 1},
		"in the past":   {503, "Sun, 06 Nov 1994 08:49:37 GMT", catalog.Unavailable, 0, 0, 2},
		"nonsense":      {503, "soon", catalog.Unavailable, 0, 0, 2},
		"not a word":    {503, "", catalog.Unavailable, 0, 0, 2},
		"limits, alone": {429, "", catalog.Limited, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			act := upstreamtest.Act{On: "get", Status: c.status, Type: "text/plain", Body: "busy"}
			if c.header != "" {
				act.Header = map[string]string{"Retry-After": c.header}
			}
			up := upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Modern, Tools: []upstreamtest.Raw{tool("get"), tool("quick")}, Script: []upstreamtest.Act{act}})
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL, API: translate.Spec{Tools: map[string]translate.Tool{"*": {Idempotent: &yes}}}}})})
			settle(t, s)
			for range 10 { // earns one repetition
				mustCall(t, s, "up__quick")
			}
			_, err := callTool(t, s, "up__get")
			if e := own(t, err); e.Code != c.code || e.Execution != catalog.Unknown || e.Retry < c.least || e.Retry > c.most {
				t.Errorf("%+v, to come back after %s", e, e.Retry)
			}
			if n := up.Ledger().Count("tools/call") - 10; n != c.sent {
				t.Errorf("sent %d times, want %d", n, c.sent)
			}
		})
	}
}

// A server that cannot be connected to and says for how long is not tried before, whatever calls come; they hear when it makes sense.
func TestR30_RetryAfterOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const away = time.Minute
		dials := 0
		var began time.Time
		s := New(Options{Namespace: space(map[string]Spec{"up": {URL: "http://x"}}), Catalog: catalog.New(), dial: func(name string, _ *Spec) dialer {
			return func(context.Context, manner, func()) (backend, error) {
				if dials++; dials == 1 {
					began = time.Now()
					return nil, &catalog.Error{Code: catalog.Unavailable, Msg: "up: the server gave no MCP answer", Retry: away}
				}
				if took := time.Since(began); took != away {
					t.Errorf("tried again after %s", took)
				}
				return still{name}, nil
			}
		}})
		s.Start(t.Context())
		if err := s.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			at, left := time.Now(), away-time.Since(began)
			_, err := s.Call(t.Context(), callOf("a"))
			if e := own(t, err); e.Code != catalog.Unavailable || e.Execution != catalog.NotExecuted || e.Retry != left || time.Since(at) != 0 {
				t.Errorf("with %s to go: %+v after %s", left, e, time.Since(at))
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(20 * time.Second)
		if st := statusOf(s, "up"); dials != 2 || st.State != Ready {
			t.Errorf("%d attempts, %+v", dials, st)
		}
		closeSet(t, s)
	})
}
