package requestlog

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzRow: what is written of a row is one line of JSON with all of it, and each member is found.
func FuzzRow(f *testing.F) {
	f.Add("user:ana", "it's \"odd\"\n\\ \u2028 \xff", 1.5, 7, int64(1_700_000_000_000_000))
	f.Add("", "", 0.0, 0, int64(0))
	f.Fuzz(func(t *testing.T, who, name string, ms float64, size int, at int64) {
		if math.IsNaN(ms) || math.IsInf(ms, 0) || at < 0 || at > 1<<52 {
			return // no duration, or no time
		}
		r := Row{ID: "i", At: time.UnixMicro(at).UTC(), Who: who, Name: name, Reason: name, Millis: ms, Queue: ms, Upstreams: ms, In: size, Out: size, Arguments: name}
		text := r.append(nil)
		if strings.ContainsRune(string(text), '\n') {
			t.Fatalf("%q is not one line", text)
		}
		var back Row
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		r.Who, r.Name = strings.ToValidUTF8(r.Who, "\ufffd"), strings.ToValidUTF8(r.Name, "\ufffd")
		back.Who, back.Name = strings.ReplaceAll(back.Who, "\ufffd", ""), strings.ReplaceAll(back.Name, "\ufffd", "")
		r.Who, r.Name = strings.ReplaceAll(r.Who, "\ufffd", ""), strings.ReplaceAll(r.Name, "\ufffd", "")
		back.Reason, back.Arguments, r.Reason, r.Arguments = "", "", "", ""
		if diff := cmp.Diff(r, back); diff != "" {
			t.Error("(-want +got):", diff)
		}
		if got := string(appendMoment(nil, r.At)); got != r.At.Format(moment) {
			t.Errorf("%v is written as %s", r.At, got)
		}
		var l line
		keys := names()
		if err := l.parse(text, &keys); err != nil {
			t.Fatal(err)
		}
		for i, there := range map[int]bool{inID: true, inAt: true, inWho: who != "", inName: name != "", inMillis: ms != 0, inArguments: name != "", inTrace: false} {
			if there != (len(l.member[i]) > 0) {
				t.Errorf("%s: there is %s: %v", text, keys[i], !there)
			}
		}
		if l.number(inMillis) != ms || l.number(inOut) != float64(size) {
			t.Errorf("%s: %v ms, %v bytes", text, l.number(inMillis), l.number(inOut))
		}
	})
}

// TestID: ids are in the order of their times, and say them.
func TestID(t *testing.T) {
	last := ""
	for _, at := range []time.Time{time.UnixMicro(-5), time.UnixMicro(1), noon, noon.Add(time.Microsecond), noon.Add(20 * 365 * 24 * time.Hour)} {
		id := ID(at, "x")
		if n, ok := idTime(id); !ok || n != max(at.UnixMicro(), 0) || id <= last || len(id) != 12 {
			t.Errorf("%v is %s after %s, which is %d", at, id, last, n)
		}
		last = id
	}
	if _, ok := idTime("x'; --"); ok {
		t.Error("a made up id has a time")
	}
}
