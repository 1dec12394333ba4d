//go:build !race

package openapi

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the processor time of this thread, which other work on the machine does not lengthen.
func threadTime(t *testing.T) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// TestCheck13_CallTime holds what a call costs without the network, with an answer of 50 kB: in the quietest of some slices, 99 of 100 calls take at most a
// millisecond of processor time.
func TestCheck13_CallTime(t *testing.T) {
	const slicesOf, limit = 200, time.Millisecond
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a, c := callOf(t, largeAnswer())
	var best, wall time.Duration
	for n := 0; n < 25 && (best == 0 || best > limit); n++ {
		var took, lasted []time.Duration
		for range slicesOf {
			start, began := threadTime(t), time.Now()
			answer, err := a.Call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			answer.Release()
			took, lasted = append(took, threadTime(t)-start), append(lasted, time.Since(began))
		}
		slices.Sort(took)
		slices.Sort(lasted)
		if p99 := took[slicesOf*99/100]; best == 0 || p99 < best {
			best, wall = p99, lasted[slicesOf*99/100]
		}
	}
	t.Logf("99 of 100 calls take at most %v of processor time, %v by the clock", best, wall)
	if best > limit {
		t.Errorf("more than %v", limit)
	}
}
