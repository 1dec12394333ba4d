package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("AUDIT_CHILD"); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

func event(kind string, i int) []byte {
	return fmt.Appendf(nil, `{"kind":%q,"id":"%d"}`, kind, i)
}

func open(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func verify(t testing.TB, dir string) *Report {
	t.Helper()
	r, err := Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r[0]
}

func kinds(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := Read(dir, func(r Record) bool {
		kind, id := kindAndID(r.Event)
		all = append(all, strings.TrimSpace(kind+" "+id))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLogOverRestartsAndSegments: one chain over everything that was ever written.
func TestLogOverRestartsAndSegments(t *testing.T) {
	dir := t.TempDir()
	for run := range 3 {
		l := open(t, Options{Dir: dir, SegmentBytes: 600})
		for i := range 5 {
			if err := l.Append(t.Context(), event("intent", run*5+i)); err != nil {
				t.Fatal(err)
			}
			l.Post(event("outcome", run*5+i))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(t.Context(), event("intent", 0)); !errors.Is(err, ErrClosed) {
			t.Fatalf("a closed log takes records: %v", err)
		}
	}
	r := verify(t, dir)
	if len(r.Problems) > 0 || r.Open != 0 || r.First != 1 || r.Last != r.Records || r.Segments < 4 {
		t.Errorf("%+v", r)
	}
	n := 0
	for _, k := range kinds(t, dir) {
		if strings.HasPrefix(k, "intent") || strings.HasPrefix(k, "outcome") {
			n++
		}
	}
	if n != 30 {
		t.Errorf("%d records of 30", n)
	}
}

// TestLanes: programs that write at the same time have a chain each, and later ones take the lanes that are free.
func TestLanes(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		a, b := open(t, Options{Dir: dir}), open(t, Options{Dir: dir})
		for i, l := range []*Log{a, b} {
			if err := l.Append(t.Context(), event("intent", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Verify(dir)
	if err != nil || len(all) != 2 || len(all[0].Problems)+len(all[1].Problems) > 0 || all[0].Records < 4 || all[1].Records < 4 {
		t.Errorf("%+v %v", all, err)
	}
	if n := len(kinds(t, dir)); n < 8 {
		t.Errorf("%d records are read", n)
	}
}

// TestTampering: every way to change a log is found, and the place is named.
func TestTampering(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tamper func(lines []string) []string
		want   string
	}{
		{"nothing", func(l []string) []string { return l }, ""},
		{"a byte flipped", func(l []string) []string { l[2] = strings.Replace(l[2], `"id":"2"`, `"id":"7"`, 1); return l }, "audit-00000001.jsonl:4: record 4, or the one before it, was changed"},
		{"the last byte flipped", func(l []string) []string {
			l[len(l)-1] = strings.Replace(l[len(l)-1], "seal", "sead", 1)
			return l
		}, "HEAD: the newest record is not the one that was written"},
		{"a time changed", func(l []string) []string { l[0] = strings.Replace(l[0], `"time":"2`, `"time":"3`, 1); return l }, ":2: record 2, or the one before it, was changed"},
		{"a record dropped", func(l []string) []string { return append(l[:3:3], l[4:]...) }, ":4: record 5 stands behind record 3: records were dropped, added or moved"},
		{"the first dropped", func(l []string) []string { return l[1:] }, ""}, // looks like a segment that was removed for its age: First says so
		{"two swapped", func(l []string) []string { l[3], l[4] = l[4], l[3]; return l }, ":4: record 5 stands behind record 3"},
		{"one repeated", func(l []string) []string { return append(l[:4:4], l[3:]...) }, ":5: record 4 stands behind record 4"},
		{"the tail cut off", func(l []string) []string { return l[:5] }, "HEAD: the log ended at record 11 and ends at 5 now: its tail was cut off"},
		{"half a line", func(l []string) []string { l[len(l)-1] = l[len(l)-1][:20]; return l }, "not a record"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, Options{Dir: dir})
			for i := range 10 {
				if err := l.Append(t.Context(), event("intent", i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, laneName(0), segmentName(1))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := tt.tamper(strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"))
			if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(strings.Join(changed, "\n")+"\n"), 0o600)); err != nil {
				t.Fatal(err)
			}
			r := verify(t, dir)
			var said []string
			for _, p := range r.Problems {
				said = append(said, p.String())
			}
			if got := strings.Join(said, "\n"); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("want %q, got:\n%s", tt.want, got)
			}
		})
	}
}

// TestHeads: what was kept elsewhere tells of a log that was written anew, and of an end that was cut off together with HEAD.
func TestHeads(t *testing.T) {
	write := func(dir, kind string, n int) (kept Head) {
		l := open(t, Options{Dir: dir})
		for i := range n {
			if err := l.Append(t.Context(), event(kind, i)); err != nil {
				t.Fatal(err)
			}
			head := l.Head()
			if head.Seq != uint64(i)+1 {
				t.Errorf("record %d is written, the head is record %d", i+1, head.Seq)
			}
			if i == 4 {
				kept = head
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if end := l.Head(); end.Seq != uint64(n)+1 { // with the seal
			t.Errorf("the head is record %d", end.Seq)
		}
		return kept
	}
	dir := t.TempDir()
	kept := write(dir, "intent", 9)
	write(t.TempDir(), "intent", 300) // whatever runs first: who waited for a record, or who wrote it
	if again, err := ParseHead(kept.String()); err != nil || again != kept || kept.Seq != 5 {
		t.Errorf("%s: %+v %v", kept, again, err)
	}
	for _, tt := range []struct {
		name, kind string
		n          int
		want       string
	}{
		{"as it was", "intent", 0, ""},
		{"written anew", "other", 9, "record 5 is not the one whose hash was kept elsewhere"},
		{"cut off", "intent", 2, "record 5, whose hash was kept elsewhere, is not there: the log ends at record 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := dir
			if tt.n > 0 {
				at = t.TempDir()
				write(at, tt.kind, tt.n)
			}
			reports, err := Verify(at, kept)
			if err != nil {
				t.Fatal(err)
			}
			if p := reports[0].Problems; tt.want == "" && len(p) > 0 || tt.want != "" && (len(p) != 1 || !strings.Contains(p[0].Reason, tt.want)) {
				t.Errorf("problems: %v", p)
			}
		})
	}
	if _, err := Verify(dir, Head{"lane-07", 1, kept.Hash}); err == nil {
		t.Error("a whole lane is gone, and nobody says so")
	}
	for _, bad := range []string{"", "lane-00", "lane-00:x:" + kept.Hash, "lane-00:0:" + kept.Hash, "lane-00:5:abc", kept.String() + ":1"} {
		if h, err := ParseHead(bad); err == nil {
			t.Errorf("%q is %+v", bad, h)
		}
	}
}

// TestTornTail: what a crash left of a line goes, what was whole stays, and the log says so.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	if err := l.Append(t.Context(), event("intent", 1)); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), event("intent", 2)); err != nil {
		t.Fatal(err)
	}
	l.Post(event("outcome", 1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, laneName(0), segmentName(1))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.SplitAfter(string(b), "\n")
	torn := strings.Join(whole[:3], "") + whole[3][:17]
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(torn), 0o600), os.Remove(filepath.Join(dir, laneName(0), headName))); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); len(r.Problems) != 2 { // the line, and HEAD
		t.Errorf("before: %v", r.Problems)
	}
	l = open(t, Options{Dir: dir})
	if err := l.Append(t.Context(), event("intent", 3)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); len(r.Problems) != 0 {
		t.Errorf("after: %v", r.Problems)
	}
	want := []string{"intent 1", "intent 2", "outcome 1", "recovered", "intent 3", "seal"}
	if diff := cmp.Diff(want, kinds(t, dir)); diff != "" {
		t.Error("(-want +got):", diff)
	}
	b, err = os.ReadFile(filepath.Join(dir, laneName(0), segmentName(2)))
	if err != nil || !strings.Contains(string(b), `"event":{"kind":"recovered","bytes":17,"open":["2"],"unanswered":1}`) {
		t.Errorf("%s %v", b, err)
	}
}

// TestCrashInAdvance: a segment is longer than its lines while it is written. What a crash leaves in there goes; what was durable stays, changed or not.
func TestCrashInAdvance(t *testing.T) {
	for _, tt := range []struct {
		name    string
		leave   func(lines []string) []string
		kinds   string
		torn    string // what the log says of it
		problem string
	}{
		{"nothing", func(l []string) []string { return l }, "intent 1,intent 2,intent 3,seal", "", ""},
		{"half a line", func(l []string) []string { return append(l, `{"seq":4,"prev":"ab`) }, "intent 1,intent 2,intent 3,recovered,seal", `"bytes":19,`, ""},
		{"the second half of a commit", func(l []string) []string { return append(l, "", "", strings.Replace(l[2], `"seq":3`, `"seq":5`, 1)) }, "intent 1,intent 2,intent 3,recovered,seal", `"bytes":`, ""},
		{"a durable line was changed", func(l []string) []string { l[1] = strings.Replace(l[1], `"2"`, `"7"`, 1); return l }, "intent 1,intent 7,intent 3,seal", "", ":3: record 3, or the one before it, was changed"},
		{"a durable line was broken", func(l []string) []string { l[2] = l[2][:30]; return l }, "intent 1,intent 2,seal", "", ":3: not a record"},
		{"an empty line was put in", func(l []string) []string { return []string{l[0], "", l[1], l[2]} }, "intent 1,intent 2,intent 3,seal", "", ":3: stands behind an empty line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, Options{Dir: dir})
			for i := range 3 {
				if err := l.Append(t.Context(), event("intent", i+1)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, laneName(0), segmentName(1))
			b, err := os.ReadFile(path)
			if err != nil || len(b) < ahead {
				t.Fatalf("%d bytes, nothing in advance: %v", len(b), err)
			}
			if r := verify(t, dir); len(r.Problems) > 0 || r.Records != 3 {
				t.Errorf("while it is written: %d records, %v", r.Records, r.Problems)
			}
			crashed := t.TempDir()
			if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			left := strings.Join(tt.leave(strings.Split(strings.TrimRight(string(b), "\n"), "\n")), "\n") + strings.Repeat("\n", 1000)
			if err := os.WriteFile(filepath.Join(crashed, laneName(0), segmentName(1)), []byte(left), 0o600); err != nil {
				t.Fatal(err)
			}
			again := open(t, Options{Dir: crashed})
			again.Post([]byte(`{"kind":"outcome","id":"1"}`))
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range kinds(t, crashed) {
				if k != "outcome 1" && (k != "recovered" || tt.torn != "") { // it also tells of open intents
					got = append(got, k)
				}
			}
			if diff := cmp.Diff(tt.kinds, strings.Join(got, ",")); diff != "" {
				t.Error("(-want +got):", diff)
			}
			second, err := os.ReadFile(filepath.Join(crashed, laneName(0), segmentName(2)))
			if err != nil || !strings.Contains(string(second), tt.torn) {
				t.Errorf("%s %v", second, err)
			}
			r := verify(t, crashed)
			if tt.problem == "" && len(r.Problems) > 0 || tt.problem != "" && (len(r.Problems) == 0 || !strings.Contains(r.Problems[0].String(), tt.problem)) {
				t.Errorf("problems: %v, want %q", r.Problems, tt.problem)
			}
			for n := range 2 {
				if b, err := os.ReadFile(filepath.Join(crashed, laneName(0), segmentName(n+1))); err != nil || strings.HasSuffix(string(b), "\n\n") {
					t.Errorf("segment %d ends with empty lines: %v", n+1, err)
				}
			}
		})
	}
}

// child appends until it is killed, and says on standard output what was acknowledged.
func child(dir string) {
	l, err := Open(Options{Dir: dir, SegmentBytes: 4 << 10})
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(os.Stdout)
	var mu sync.Mutex
	for c := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := c*1_000_000 + i
				if l.Append(context.Background(), event("intent", id)) == nil {
					mu.Lock()
					_, _ = fmt.Fprintln(out, id)
					_ = out.Flush()
					mu.Unlock()
				}
			}
		}()
	}
	select {}
}

// TestR27_Killed: what was acknowledged is there after SIGKILL, a hundred times.
func TestR27_Killed(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	acknowledged := 0
	for range rounds {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "AUDIT_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(30*time.Millisecond, func() { _ = cmd.Process.Kill() })
		var ids []string
		for s := bufio.NewScanner(out); s.Scan(); {
			ids = append(ids, s.Text())
		}
		kill.Stop()
		_ = cmd.Wait()
		l := open(t, Options{Dir: dir}) // repairs
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, k := range kinds(t, dir) {
			there[strings.TrimPrefix(k, "intent ")] = true
		}
		for i, id := range ids {
			if !there[id] && i < len(ids)-1 { // the last line of the pipe may itself be torn
				t.Fatalf("record %s was acknowledged and is not there", id)
			}
		}
		if len(ids) == 0 {
			continue // killed before it began
		}
		if r := verify(t, dir); len(r.Problems) > 0 {
			t.Fatal(r.Problems)
		}
		acknowledged += len(ids)
	}
	if acknowledged < rounds {
		t.Fatalf("%d records in %d rounds prove nothing", acknowledged, rounds)
	}
	t.Logf("%d acknowledged records over %d kills, none lost", acknowledged, rounds)
}

func TestExpiry(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, SegmentBytes: 200, Keep: time.Hour})
	for i := range 4 {
		if err := l.Append(t.Context(), event("intent", i)); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, laneName(0), segmentName(1)), old, old); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := l.Append(t.Context(), event("intent", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, laneName(0), segmentName(1))); err == nil {
		t.Error("the old segment is still there")
	}
	if r := verify(t, dir); len(r.Problems) > 0 || r.First == 1 {
		t.Errorf("%+v", r)
	}
}
