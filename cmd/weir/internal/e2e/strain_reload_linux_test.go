package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

var reloads = flag.Duration("reloads", 6*time.Second, "how long TestR17_ReloadsAtLoad changes the configuration; 50 times in 60s")

// The file changes every 1.2 s while 16 clients make 1,000 calls a second: no call fails, each is decided by one policy as a whole, what is in flight ends as it began, and
// each change is in force. How much slower the slowest calls are than without changes is printed.
func TestR17_ReloadsAtLoad(t *testing.T) {
	const workers, rate, every = 16, 1000, 1200 * time.Millisecond
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{
		`{"name":"a","inputSchema":{"type":"object"}}`, `{"name":"b","inputSchema":{"type":"object"}}`,
	}})
	content := func(n int) []byte {
		allowed, denied := "a", "b"
		if n%2 == 1 {
			allowed, denied = denied, allowed
		}
		b, err := json.Marshal(object{"mcpServers": object{"up": object{"url": up.URL}}, "policy": object{
			"grants": object{"user:local": []string{"up/*"}},
			"deny":   []object{{"match": "up/" + denied, "reason": fmt.Sprintf("only %s since change %d", allowed, n), "instead": "up/" + allowed}},
		}})
		must(t, err)
		return b
	}
	path := configFile(t, object{})
	must(t, os.WriteFile(path, content(0), 0o600))
	g := serveFile(t, path)
	g.offers(t, 1)

	var mu sync.Mutex
	var took []time.Duration
	seen, calls, wrong := map[string]bool{}, 0, 0
	stop := make(chan struct{})
	var load sync.WaitGroup
	for w := range workers {
		load.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			beat := time.NewTicker(workers * time.Second / rate)
			defer beat.Stop()
			tool, other := "a", "b"
			if w%2 == 1 {
				tool, other = other, tool
			}
			for {
				select {
				case <-stop:
					return
				case <-beat.C:
				}
				began := time.Now()
				s, err := g.plainCall(t.Context(), c, "up__"+tool, `{}`)
				d := time.Since(began)
				_, reason, denied := strings.Cut(s.text, "only "+other+" since ")
				reason, _, _ = strings.Cut(reason, `"`)
				reason, _, _ = strings.Cut(reason, `\`)
				ok := good(s, err) || err == nil && s.status == 200 && denied && strings.Contains(s.text, "deny[0]") && strings.Contains(s.text, "up__"+other)
				mu.Lock()
				took, calls = append(took, d), calls+1
				if denied {
					seen[reason] = true
				}
				if !ok {
					if wrong++; wrong < 10 {
						t.Errorf("%s: %+v %v", tool, s, err)
					}
				}
				mu.Unlock()
			}
		})
	}
	p99 := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(took)
		d := took[len(took)*99/100]
		took = nil
		return d
	}
	inForce := func(change int) bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) > change
	}
	time.Sleep(max(*reloads/3, time.Second))
	quiet, n := p99(), 0
	for began := time.Now(); time.Since(began) < *reloads; {
		n++
		must(t, os.WriteFile(path+".next", content(n), 0o600))
		must(t, os.Rename(path+".next", path))
		time.Sleep(every)
		for deadline := time.Now().Add(10 * time.Second); !inForce(n) && time.Now().Before(deadline); { // on a busy machine it takes longer
			time.Sleep(10 * time.Millisecond)
		}
	}
	busy := p99()
	close(stop)
	load.Wait()
	t.Logf("%d changes, %d calls, %d wrong; p99 %v without changes, %v with them", n, calls, wrong, quiet, busy)
	if wrong > 0 || len(seen) != n+1 {
		t.Errorf("%d calls were decided by no policy; %d of %d policies were in force", wrong, len(seen), n+1)
	}
}
