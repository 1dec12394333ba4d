//go:build unix

package upstream

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

var flapping = flag.Duration("flapping", 3*time.Second, "how long TestR8_RealStorms storms and flaps; what it costs is judged from 30s on")

// processorTime is what the process has used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// quickest99 calls a tool every five milliseconds until ctx ends, and says how long the 99th of a hundred took.
func quickest99(ctx context.Context, t *testing.T, s *Set, name string) time.Duration {
	t.Helper()
	var all []time.Duration
	for sleep(ctx, nil, 5*time.Millisecond) {
		began := time.Now()
		mustCall(t, s, name)
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// A real server that sends five thousand notices, and one that comes and goes five times a second: their lists are read every five seconds at most, clients hear
// of it every second at most, all tools stay listed, and calls to others go on. What it costs, and how long those calls take, is printed.
func TestR8_RealStorms(t *testing.T) {
	const notices, toggle = 5000, 200 * time.Millisecond
	for name, storm := range map[string]func(ctx context.Context, up *upstreamtest.Server){
		"list_changed": func(ctx context.Context, up *upstreamtest.Server) {
			for i := range notices { // each of them true
				up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{upstreamtest.Raw(fmt.Sprintf(`{"name":"echo","description":"%d","inputSchema":{"type":"object"}}`, i))}})
				if !sleep(ctx, nil, *flapping/notices) {
					return
				}
			}
		},
		"flapping": func(ctx context.Context, up *upstreamtest.Server) {
			for sleep(ctx, nil, toggle) {
				up.Refuse()
				sleep(ctx, nil, toggle)
				up.Accept()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			up, other := upstreamtest.New(t, upstreamtest.Config{}), upstreamtest.New(t, upstreamtest.Config{})
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}, "other": {URL: other.URL}})})
			settle(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			quiet := quickest99(ctx, t, s, "other__echo")
			cancel()
			var told atomic.Int32
			defer s.o.Catalog.OnPublish(func(_, next *catalog.Snapshot) {
				told.Add(1)
				if n := len(next.Entries()); n != 2 {
					t.Errorf("%d tools listed", n)
				}
			})()
			lists := up.Ledger().Count("tools/list")
			ctx, cancel = context.WithTimeout(t.Context(), *flapping)
			defer cancel()
			began, used := time.Now(), processorTime(t)
			storm(ctx, up)
			share := float64(processorTime(t)-used) / float64(time.Since(began))
			up.Accept()
			ctx, cancel = context.WithTimeout(t.Context(), *flapping/2)
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() { storm(ctx, up) })
			beside := quickest99(ctx, t, s, "other__echo")
			wg.Wait()
			up.Accept() // what came and went may have been met each time while it was away
			within(t, 2*maxRetry, "it comes back and its lists are read", func() bool { return up.Ledger().Count("tools/list") > lists && told.Load() > 0 })
			took := time.Since(began)
			t.Logf("%.1f %% of a core, servers included; p99 of others %s, %s without; %d readings and %d snapshots in %s", 100*share, beside, quiet,
				up.Ledger().Count("tools/list")-lists, told.Load(), took)
			if *flapping >= 30*time.Second && share > 0.1 {
				t.Errorf("%.1f %% of a core", 100*share)
			}
			if n, most := up.Ledger().Count("tools/list")-lists, 2*refreshBurst+int(took/refreshEvery)+1; n > most {
				t.Errorf("%d readings of the lists, at most %d wanted", n, most)
			}
			if n, most := told.Load(), int32(publishBurst+took/publishEvery+1); n > most {
				t.Errorf("%d snapshots, at most %d wanted", n, most)
			}
		})
	}
}
