package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

func FuzzParseLine(f *testing.F) {
	f.Add(string(appendLine(nil, 1, hash{}, time.Unix(0, 0), []byte(`{"kind":"x"}`))))
	f.Add(`{"seq":1}`)
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parseLine([]byte(line))
		if err != nil {
			return
		}
		if again, err := parseLine(appendLine(nil, r.Seq, r.Prev, r.Time, r.Event)); err != nil || again.Seq != r.Seq || again.Prev != r.Prev || !again.Time.Equal(r.Time) {
			t.Errorf("%q reads back as %+v, %v", line, again, err)
		}
	})
}

// BenchmarkAppend is the rate of durable records, by callers.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 32, 256} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			l := open(b, Options{Dir: b.TempDir()})
			record := fmt.Appendf(nil, `{"kind":"intent","id":"1","pad":%q}`, strings.Repeat("x", 200))
			b.SetParallelism(max(callers/2, 1))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Append(context.Background(), record); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
