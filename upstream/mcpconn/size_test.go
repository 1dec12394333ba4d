package mcpconn

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"weir/catalog"
)

// An answer of a gigabyte is cut at the limit, and costs no more memory than three times that.
func TestR5_HugeAnswers(t *testing.T) {
	const (
		limit = 16 << 20
		huge  = 1 << 30
	)
	for name, kind := range map[string]string{"JSON": "application/json", "events": "text/event-stream"} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			url := raw(t, func(w http.ResponseWriter, _ *http.Request, id string) {
				w.Header().Set("Content-Type", kind)
				if name == "events" {
					_, _ = fmt.Fprint(w, "data: ")
				}
				_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"`, id)
				piece := bytes.Repeat([]byte("x"), 64<<10)
				for sent.Load() < huge {
					n, err := w.Write(piece)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
			c := dial(t, config(url, func(c *Config) { c.MaxMessage = limit }))
			runtime.GC()
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			ended := make(chan error)
			go func() {
				_, err := c.Call(t.Context(), modernCaller().call(t, "tools/call", "echo", "", ""))
				ended <- err
			}()
			var most uint64
			for {
				select {
				case err := <-ended:
					wantError(t, err, catalog.TooLarge, catalog.Executed, "up: ")
					if rise := int64(most) - int64(before.HeapAlloc); rise > 3*limit {
						t.Errorf("the heap rose by %d MiB, the limit is %d MiB", rise>>20, limit>>20)
					}
					if n := sent.Load(); n > 2*limit {
						t.Errorf("%d MiB were read", n>>20)
					}
					return
				case <-time.After(time.Millisecond):
					runtime.ReadMemStats(&now)
					most = max(most, now.HeapAlloc)
				}
			}
		})
	}
}
