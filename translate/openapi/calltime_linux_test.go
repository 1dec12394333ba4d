//go:build !race

package openapi

import (
	"encoding/json"
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
// millisecond of processor time. Where no slice shows that, the machine being slower or its caches shared, it is as long as 99 of 100 decodings of the answer take in the same slice,
// and half as long again.
func TestCheck13_CallTime(t *testing.T) {
	const slicesOf, limit = 200, time.Millisecond
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	text := largeAnswer()
	a, c := callOf(t, text)
	var best, decoding time.Duration
	for n := 0; n < 25 && (best == 0 || best > limit); n++ {
		var calls, decodings []time.Duration
		for range slicesOf {
			start := threadTime(t)
			answer, err := a.Call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			answer.Release()
			middle := threadTime(t)
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			calls, decodings = append(calls, middle-start), append(decodings, threadTime(t)-middle)
		}
		slices.Sort(calls)
		slices.Sort(decodings)
		if p99 := calls[slicesOf*99/100]; best == 0 || p99 < best {
			best, decoding = p99, decodings[slicesOf*99/100]
		}
	}
	t.Logf("99 of 100 calls take at most %v of processor time; decodings of the answer %v", best, decoding)
	if best > max(limit, decoding*3/2) {
		t.Errorf("more than %v, and than half as much again as the decoding", limit)
	}
}
