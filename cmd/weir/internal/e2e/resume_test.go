package e2e

import (
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/upstream/upstreamtest"
)

// cable is a network between a client and the gateway that can be cut.
type cable struct {
	url string

	mu    sync.Mutex
	conns []net.Conn
}

// newCable is a cable to the endpoint at target.
func newCable(t *testing.T, target string) *cable {
	t.Helper()
	u, err := url.Parse(target)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &cable{url: "http://" + ln.Addr().String() + u.Path}
	var pipes sync.WaitGroup
	pipes.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", u.Host)
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, near, far)
			w.mu.Unlock()
			pipes.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
			pipes.Go(func() { _, _ = io.Copy(near, far); _ = near.Close() })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		w.cut()
		pipes.Wait()
	})
	return w
}

// cut breaks all connections. New ones can be made.
func (w *cable) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// TestResume: a client of the field that loses its connection in the middle of a call hears everything once and gets its answer. The
// call is made once.
func TestResume(t *testing.T) {
	const steps = 12
	up := upstreamtest.New(t, upstreamtest.Config{Script: []upstreamtest.Act{
		{On: "echo", Progress: steps, Gap: upstreamtest.Duration(100 * time.Millisecond)},
	}})
	g := serve(t, object{"mcpServers": object{"up": object{"url": up.URL}}})
	g.offers(t, 1)
	w := newCable(t, g.url)
	c, ok := dialGoSDK(t, w.url, nil, legacy).(*goSDK)
	if !ok {
		t.Fatal("not a client of the SDK")
	}
	cut := make(chan []float64, 1)
	go func() {
		seen := c.progress(3)
		w.cut()
		cut <- seen
	}()
	if got := c.call("up__echo", "a broken cable", "token"); got != `{"via":"a broken cable"}` {
		t.Errorf("answer: %s", got)
	}
	if before := <-cut; len(before) >= steps {
		t.Error("the cable was cut too late")
	}
	want := make([]float64, steps)
	for i := range want {
		want[i] = float64(i + 1)
	}
	got := c.progress(steps)
	slices.Sort(got) // the SDK calls its handlers on goroutines of their own
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("progress: %s", diff)
	}
	if n := up.Ledger().Count("tools/call"); n != 1 {
		t.Errorf("the upstream was called %d times", n)
	}
}
