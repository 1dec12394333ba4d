//go:build unix

package mcpconn

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStdio measures one round trip to a child that echoes: time, and the CPU of this process alone.
func BenchmarkStdio(b *testing.B) {
	for _, size := range []int{64, 16 << 10} {
		for _, callers := range []int{1, 32} {
			b.Run(fmt.Sprintf("%dB/c=%d", size, callers), func(b *testing.B) {
				c := newRaw(b, "echo")
				params := []byte(`{"text":"` + strings.Repeat("x", size) + `"}`)
				var left, ids atomic.Int64
				left.Store(int64(b.N))
				b.ReportAllocs()
				before := cpu()
				b.ResetTimer()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							resp, err := c.roundTrip(b.Context(), &request{method: "echo", id: ids.Add(1), params: params})
							if err != nil {
								b.Error(err)
								return
							}
							resp.release()
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
