package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestGap: what memory cannot hold is counted in the log.
func TestGap(t *testing.T) {
	dir := t.TempDir()
	o, room := sickDisk(Options{Dir: dir, OnFailure: Degrade}, 0)
	l := open(t, o)
	const n = held + 100
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _ = l.Append(t.Context(), event("intent", i)) })
	}
	wg.Wait()
	room.Store(1 << 30)
	if err := l.Append(t.Context(), event("intent", n)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	all := kinds(t, dir)
	b, _ := os.ReadFile(filepath.Join(dir, laneName(0), segmentName(1)))
	if r := verify(t, dir); len(r.Problems) > 0 || all[0] != "gap" || len(all) != held+3 || !strings.Contains(string(b), `{"kind":"gap","records":100}`) {
		t.Errorf("%v %d records, the first is %s", r.Problems, len(all), all[0])
	}
}

// TestLargeGap: large records do not fill memory while the disk is away.
func TestLargeGap(t *testing.T) {
	dir := t.TempDir()
	o, room := sickDisk(Options{Dir: dir, OnFailure: Degrade}, 0)
	l := open(t, o)
	const size, fit = 8 << 20, heldBytes / (8 << 20)
	for i := range fit + 3 {
		large := fmt.Appendf(nil, `{"kind":"intent","id":"%d","arguments":"`, i)
		large = append(large, bytes.Repeat([]byte("x"), size-len(large)-2)...)
		if err := l.Append(t.Context(), append(large, `"}`...)); err != nil {
			t.Fatal(err)
		}
	}
	room.Store(1 << 30)
	if err := l.Append(t.Context(), event("intent", fit)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	all := kinds(t, dir)
	b, _ := os.ReadFile(filepath.Join(dir, laneName(0), segmentName(1)))
	if r := verify(t, dir); len(r.Problems) > 0 || all[0] != "gap" || len(all) != fit+3 || !bytes.Contains(b, []byte(`{"kind":"gap","records":3}`)) {
		t.Errorf("%v %d records, the first is %s", r.Problems, len(all), all[0])
	}
}
