//go:build !race

package mcpconn

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"weir/catalog"
)

// An answer of a gigabyte is cut at the limit that holds without any configuration, and costs no more memory than three times that. The other calls of a
// child go on. The memory is that of the process, as the kernel counts it; the race detector's own would be most of it.
func TestR5_HugeAnswers(t *testing.T) {
	const huge = 1 << 30
	if DefaultMaxMessage != 16<<20 {
		t.Errorf("the limit is %d bytes", DefaultMaxMessage)
	}
	bounded := func(t *testing.T, what func()) {
		t.Helper()
		debug.FreeOSMemory()
		before := resident(t, "VmRSS")
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil { // the peak begins anew
			t.Fatal(err)
		}
		what()
		rise := resident(t, "VmHWM") - before
		t.Logf("the process grew by %d MiB, the limit is %d MiB", rise>>20, DefaultMaxMessage>>20)
		if rise > 3*DefaultMaxMessage {
			t.Errorf("the process grew by %d MiB, the limit is %d MiB", rise>>20, DefaultMaxMessage>>20)
		}
	}
	for name, kind := range map[string]string{"JSON": "application/json", "events": "text/event-stream"} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			c := dial(t, config(raw(t, func(w http.ResponseWriter, _ *http.Request, id string) {
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
			})))
			bounded(t, func() {
				_, err := c.Call(t.Context(), modernCaller().call(t, "tools/call", "echo", "", ""))
				wantError(t, err, catalog.TooLarge, catalog.Executed, "up: ")
			})
			if n := sent.Load(); n > 2*DefaultMaxMessage { // the sockets hold some of it
				t.Errorf("%d MiB were read", n>>20)
			}
		})
	}
	t.Run("child", func(t *testing.T) {
		c := newRaw(t, "serve")
		bounded(t, func() {
			_, err := c.call(t.Context(), "endless", fmt.Sprintf(`{"n":%d}`, huge))
			wantError(t, err, catalog.TooLarge, catalog.Executed, "up: ")
		})
		c.must(t, "ok", "")
	})
}

// resident is a line of /proc/self/status, in bytes.
func resident(t *testing.T, key string) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), key+":")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
