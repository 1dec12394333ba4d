package upstream

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

// A caller that goes away takes its call with it: the server hears of it within 200 ms, however it is reached, and the place is free.
func TestR19_CanceledCallsReachTheServer(t *testing.T) {
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		for _, stdio := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stdio %t", era, stdio), func(t *testing.T) {
				up, spec := reached(t, stdio, upstreamtest.Config{Era: era, Script: []upstreamtest.Act{{On: "echo", Nth: 1, Fault: upstreamtest.Hang}}})
				spec.Concurrency = 1
				s := run(t, Options{Namespace: space(map[string]Spec{"up": spec})})
				settle(t, s)
				ctx, cancel := context.WithCancel(t.Context())
				var call sync.WaitGroup
				call.Go(func() {
					if _, err := s.Call(ctx, wireCall(t, s, "a")); own(t, err).Code != catalog.Canceled {
						t.Errorf("%v", err)
					}
				})
				up.Ledger().Wait(t, "tools/call", 1)
				began := time.Now()
				cancel()
				upstreamtest.Eventually(t, func() bool { // by a notification, or by the end of the stream
					return up.Ledger().Count("notifications/cancelled") > 0 || up.Ledger().Calls("tools/call")[0].Outcome == "canceled"
				}, "the server hears of it")
				took := time.Since(began)
				t.Logf("heard after %s", took)
				if took > 200*time.Millisecond {
					t.Errorf("heard after %s", took)
				}
				call.Wait()
				mustCall(t, s, "up__echo")
			})
		}
	}
}

// cancelRace makes a call whose answer comes in pieces, from answer on, one every gap milliseconds, and that is cancelled after some. Whatever comes first counts;
// the next call gets its own answer and nothing of the other one's; nothing is left behind, which the bubble sees to.
func cancelRace(t *testing.T, events bool, answer, gap, canceled, pieces uint8) {
	ms := func(n uint8) time.Duration { return time.Duration(n) * time.Millisecond }
	s, end := virtualSet(t, Spec{Concurrency: 1}, func(w http.ResponseWriter, r *http.Request, id string) {
		text, wait := "second", time.Duration(0)
		if r.Header.Get("Traceparent") == "" {
			text, wait = "first", ms(answer)
		}
		body, kind := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%q}]}}`, id, text), "application/json"
		if events {
			body, kind = "data: "+body+"\n\n", "text/event-stream"
		}
		w.Header().Set("Content-Type", kind)
		size := len(body)/(int(pieces)%16+1) + 1
		for len(body) > 0 {
			time.Sleep(wait)
			n := min(size, len(body))
			if _, err := w.Write([]byte(body[:n])); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			body, wait = body[n:], ms(gap)
		}
	})
	defer end()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(ms(canceled), cancel)
	a, err := s.Call(ctx, callOfWire(t, s, ""))
	switch {
	case err == nil:
		if text := string(a.Message.Result.Of(a.Message.Data)); a.Message.Kind != rawjson.Result || !strings.Contains(text, "first") {
			t.Errorf("answered with %s", text)
		}
		a.Release()
	case own(t, err).Code != catalog.Canceled:
		t.Errorf("%v", err)
	case canceled > 0 && own(t, err).Execution != catalog.Unknown:
		t.Errorf("cancelled after it was sent, %v", own(t, err).Execution)
	}
	a, err = s.Call(t.Context(), callOfWire(t, s, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(a.Message.Data); !strings.Contains(text, "second") || strings.Contains(text, "first") {
		t.Errorf("the next call got %s", text)
	}
	a.Release()
}

// callOfWire is a call of up's tool, which the server knows by its trace.
func callOfWire(t *testing.T, s *Set, trace string) *catalog.Call {
	t.Helper()
	e, err := s.o.Catalog.Snapshot().Resolve(catalog.Tool, "up__a", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &catalog.Call{
		Method: "tools/call", Entry: e, Target: "a", Message: message(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__a"}}`), InputRequired: true,
		Traceparent: trace, Client: &catalog.Client{Era: catalog.Modern, Capabilities: []byte(`{}`)},
	}
}

// FuzzR20_CancelRace tries orders of the parts of an answer and its call's cancellation.
func FuzzR20_CancelRace(f *testing.F) {
	for _, seed := range [][4]uint8{{10, 0, 10, 0}, {10, 0, 9, 0}, {10, 0, 11, 0}, {0, 0, 0, 0}, {5, 5, 10, 3}, {5, 5, 12, 15}, {0, 1, 3, 15}, {200, 0, 10, 1}, {1, 200, 10, 3}} {
		for _, events := range []bool{false, true} {
			f.Add(events, seed[0], seed[1], seed[2], seed[3])
		}
	}
	f.Fuzz(func(t *testing.T, events bool, answer, gap, canceled, pieces uint8) {
		synctest.Test(t, func(t *testing.T) { cancelRace(t, events, answer, gap, canceled, pieces) })
	})
}

// TestR20_CancelRace goes through many of those orders; those at the same moment fall either way.
func TestR20_CancelRace(t *testing.T) {
	for _, events := range []bool{false, true} {
		for canceled := range uint8(24) {
			for _, gap := range []uint8{0, 1, 5} {
				synctest.Test(t, func(t *testing.T) { cancelRace(t, events, 10, gap, canceled, 3) })
			}
		}
	}
}
