package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// SIGTERM under 16 workers: what the upstream executed was answered, streams end with their result, a call that does not come back is given up with an error that says so,
// and weir ends with exit code 0 in the time it was given.
func TestR26_SIGTERM(t *testing.T) {
	const workers, drain = 16, 2 * time.Second
	tools := []upstreamtest.Raw{`{"name":"echo","inputSchema":{"type":"object"}}`, `{"name":"slow","inputSchema":{"type":"object"}}`, `{"name":"stuck","inputSchema":{"type":"object"}}`}
	up := upstreamtest.New(t, upstreamtest.Config{Tools: tools, Script: []upstreamtest.Act{
		{On: "tools/call stuck", Fault: upstreamtest.Hang},
		{On: "tools/call slow", Delay: upstreamtest.Duration(150 * time.Millisecond)},
	}})
	g := strained(t, object{"mcpServers": object{"up": object{"url": up.URL}}, "drainTimeout": drain.String(), "audit": object{"dir": "audit"}}, `exec "$@"`)
	g.offers(t, 3)

	streams := make(chan string, 1)
	var listening atomic.Bool
	go func() { streams <- g.listenAll(t, &listening) }()
	stuck := make(chan said, 1)
	go func() {
		s, err := g.plainCall(context.Background(), fresh(), "up__stuck", `{}`)
		if err != nil {
			t.Error(err)
		}
		stuck <- s
	}()
	var mu sync.Mutex
	answered := map[string]bool{}
	var callers sync.WaitGroup
	for w := range workers {
		callers.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for n := 0; ; n++ {
				canary := fmt.Sprintf("worker %d call %d", w, n)
				s, err := g.plainCall(context.Background(), c, "up__"+[]string{"echo", "slow"}[n%2], fmt.Sprintf(`{"canary":%q}`, canary))
				switch {
				case good(s, err):
					mu.Lock()
					answered[canary] = true
					mu.Unlock()
				case err != nil && (errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "server closed idle connection")):
					return // it takes nothing more; whether this one was executed is seen below
				default:
					t.Errorf("%s: %+v %v", canary, s, err)
					return
				}
			}
		})
	}
	upstreamtest.Eventually(t, func() bool {
		calls := up.Ledger().Calls("tools/call")
		return len(calls) > 10*workers && listening.Load() && slices.ContainsFunc(calls, func(e upstreamtest.Entry) bool { return e.Name == "stuck" })
	}, "the stream, the stuck call and those of the workers are not all there")
	began := time.Now()
	must(t, g.cmd.Process.Signal(syscall.SIGTERM))
	callers.Wait()
	calm := time.Since(began)
	if !g.waitEnd(20 * time.Second) {
		t.Fatal("weir does not end")
	}
	took := time.Since(began)
	lost, executed := 0, 0
	for _, e := range up.Ledger().Calls("tools/call") {
		canary, found := canaryIn(e)
		if !found {
			continue
		}
		if executed++; !answered[canary] {
			lost++
			t.Errorf("%s was executed and not answered", canary)
		}
	}
	t.Logf("%d calls executed, %d lost; the workers had their answers after %v, weir ended after %v of %v", executed, lost, calm, took, drain)
	if code := g.cmd.ProcessState.ExitCode(); code != 0 || took > drain+10*time.Second || executed != len(answered) {
		t.Errorf("exit code %d after %v; %d answered", code, took, len(answered))
	}
	if s := <-stuck; !strings.Contains(s.text, "weir is stopping") || !strings.Contains(s.text, "outcome unknown") {
		t.Errorf("the stuck call: %+v", s)
	}
	if text := <-streams; !strings.Contains(text, `"resultType":"complete"`) {
		t.Errorf("the stream ended with %q", text)
	}
}

// canaryIn is what a call was given to carry.
func canaryIn(e upstreamtest.Entry) (string, bool) {
	_, rest, found := strings.Cut(string(e.Body), `"canary":"`)
	canary, _, _ := strings.Cut(rest, `"`)
	return canary, found
}

// listenAll holds a modern client's listen stream, sets begun once it is there, and returns what was on it.
func (g *gateway) listenAll(t *testing.T, begun *atomic.Bool) string {
	body, err := modern.request(1, "subscriptions/listen", object{"notifications": object{"toolsListChanged": true}}, object{})
	if err != nil {
		t.Error(err)
		return ""
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	for k, v := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"} {
		r.Header.Set(k, v)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	begun.Store(true)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
