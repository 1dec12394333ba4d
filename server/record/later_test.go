package record_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/catalog"
	"weir/policy"
	"weir/server"
	"weir/server/record"
)

// over lets a request that nobody answers be over.
func over(ctx context.Context, t *testing.T, r *record.Recorder, method string) {
	t.Helper()
	e := &server.Event{
		Start: time.Now(), Principal: policy.LocalUser(), Client: &catalog.Client{Era: catalog.Modern}, Method: method,
		Request: scan(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"token":"s3cret","n":1}}}`), Outcome: "ok",
	}
	r.End(r.Begin(ctx, e), e)
}

func recorderOf(t *testing.T, o record.Options) *record.Recorder {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	r, err := record.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Nobody has to ask for what is over: it is told in the order in which it ended, without what the message said, but for arguments that are wanted.
func TestWhatIsOverIsTold(t *testing.T) {
	told := make(chan *record.Record, 10)
	r := recorderOf(t, record.Options{RecordContents: record.Contents{Arguments: true}, Done: func(r *record.Record) { told <- r }})
	for i := range 10 {
		over(t.Context(), t, r, fmt.Sprint(i))
	}
	ids := make(map[string]bool)
	for i := range 10 {
		got := <-told
		if ids[got.ID] = true; got.Method != fmt.Sprint(i) || got.Request != nil || string(got.Arguments) != `{"token":"[redacted]","n":1}` {
			t.Errorf("%d: %+v, arguments %s", i, got.Event, got.Arguments)
		}
	}
	if len(ids) != 10 {
		t.Errorf("%d ids", len(ids))
	}
}

// Flush leaves nothing that ended before it untold, also while others end and are told of by themselves; each is told once.
func TestFlushTellsOfAll(t *testing.T) {
	const callers, each = 8, 2000
	var (
		mu   sync.Mutex
		told = make(map[string]int)
		wg   sync.WaitGroup
	)
	r := recorderOf(t, record.Options{Done: func(r *record.Record) {
		mu.Lock()
		defer mu.Unlock()
		told[r.Method]++
	}})
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				method := fmt.Sprintf("%d/%d", c, i)
				over(t.Context(), t, r, method)
				if i%100 != 0 {
					continue
				}
				r.Flush()
				mu.Lock()
				if told[method] != 1 {
					t.Errorf("%s was told %d times", method, told[method])
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	r.Flush()
	if len(told) != callers*each || slices.Max(slices.Collect(func(yield func(int) bool) {
		for _, n := range told {
			if !yield(n) {
				return
			}
		}
	})) != 1 {
		t.Errorf("%d of %d were told", len(told), callers*each)
	}
}

// Who brings more than may wait has to wait until it is told, so that what waits is bounded however slow the telling is.
func TestWhatWaitsIsBounded(t *testing.T) {
	const all, bound, callers = 20_000, 4096, 4
	var ended, told atomic.Int64
	r := recorderOf(t, record.Options{Done: func(*record.Record) {
		n := told.Add(1)
		for start := time.Now(); time.Since(start) < 20*time.Microsecond; { // slower than they come
			runtime.Gosched()
		}
		if ahead := ended.Load() - n; ahead > 2*bound+callers { // a batch that is being told, and one that waits
			t.Errorf("%d wait", ahead)
		}
	}})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range all / callers {
				ended.Add(1)
				over(t.Context(), t, r, "ping")
			}
		})
	}
	wg.Wait()
	if r.Flush(); told.Load() != all {
		t.Errorf("%d were told", told.Load())
	}
}
