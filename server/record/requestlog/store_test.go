package requestlog

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// databases are the ones that every test runs on.
func databases(t *testing.T) map[string]string {
	return map[string]string{"sqlite": filepath.Join(t.TempDir(), "log #1? 100%20", "requests.db"), "postgres": postgres(t)}
}

// postgres starts a server of its own for the test.
func postgres(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // where Debian has it
	switch {
	case len(found) > 0:
	case os.Getenv("CI") == "true":
		t.Fatal("PostgreSQL is not there; install it with: .ci/install")
	default:
		t.Skip("PostgreSQL is not there; install it with: .ci/install")
	}
	initdb := found[len(found)-1]
	server := filepath.Join(filepath.Dir(initdb), "postgres")
	dir, err := os.MkdirTemp("", "pg") //nolint:usetesting // of a short path, for its socket, and not below a folder that only root can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // which PostgreSQL refuses to run as
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	cmd := exec.Command(initdb, "-D", data, "-U", "weir", "-A", "trust", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = dir, attr
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port //nolint:errcheck,forcetypeassert // it is TCP
	_ = ln.Close()
	run := exec.Command(server, "-D", data, "-p", strconv.Itoa(port), "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
	run.Dir, run.SysProcAttr = dir, attr
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGINT)
		_ = run.Wait()
	})
	return fmt.Sprintf("postgres://weir@127.0.0.1:%d/postgres?sslmode=disable", port)
}

func open(t *testing.T, s Spec) *Log {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		l, err := Open(context.Background(), s, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
			return l
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// fixture is 60 requests, one each minute from noon: github fails every third time, mail never.
func fixture() []Row {
	var rows []Row
	for i := range 60 {
		r := Row{
			ID: ID(noon.Add(time.Duration(i)*time.Minute), "x"), At: noon.Add(time.Duration(i) * time.Minute), Who: "user:ana", Method: "tools/call", Upstream: "mail", Name: "send", Kind: "tool",
			Era: "modern", Outcome: "ok", Millis: float64(i), Upstreams: 1, In: 10, Out: 100, Trace: strconv.Itoa(i),
		}
		if i%2 == 0 {
			r.Upstream, r.Name, r.Who = "github", "it's \"odd\"; DROP TABLE requests", "user:bob"
		}
		if i%6 == 0 {
			r.Outcome, r.Reason, r.Execution = "unavailable", "github: is down", "not executed"
		}
		if i == 59 {
			r.Outcome = "denied"
		}
		rows = append(rows, r)
	}
	return rows
}

// TestLog: what was put in comes out, filtered, in pages, counted, from either database, after it was opened anew.
func TestLog(t *testing.T) {
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			l := open(t, Spec{Database: database})
			rows := fixture()
			for _, r := range rows {
				l.Put(r)
			}
			if err := l.Close(); err != nil || l.Lost() != 0 {
				t.Fatal(err, l.Lost())
			}
			l = open(t, Spec{Database: database})
			checkPages(t, l, rows)
			checkFilters(t, l)
			checkCounts(t, l)
			(&Log{db: l.db, keep: time.Nanosecond, log: l.log}).expire()
			if all, _, err := l.List(t.Context(), Filter{}, "", 10); err != nil || len(all) != 0 {
				t.Errorf("%d old rows stay, %v", len(all), err)
			}
		})
	}
}

func checkPages(t *testing.T, l *Log, rows []Row) {
	t.Helper()
	var got []Row
	for cursor := ""; ; {
		page, next, err := l.List(t.Context(), Filter{}, cursor, 7)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if cursor = next; next == "" {
			break
		}
	}
	for i := range got {
		if diff := cmp.Diff(rows[len(rows)-1-i], got[i]); diff != "" {
			t.Fatalf("row %d (-want +got):\n%s", i, diff)
		}
	}
	if len(got) != len(rows) {
		t.Errorf("%d rows of %d", len(got), len(rows))
	}
	if _, _, err := l.List(t.Context(), Filter{}, "x'; --", 1); err != nil {
		t.Error("a made up cursor breaks the query:", err)
	}
}

func checkFilters(t *testing.T, l *Log) {
	t.Helper()
	for _, tt := range []struct {
		f    Filter
		want int
	}{
		{Filter{}, 60},
		{Filter{Since: noon.Add(30 * time.Minute)}, 30},
		{Filter{Since: noon, Until: noon.Add(time.Minute)}, 1},
		{Filter{Upstream: "github"}, 30},
		{Filter{Upstream: "github", Failed: true}, 10},
		{Filter{Failed: true}, 11},
		{Filter{Denied: true}, 1},
		{Filter{Who: "user:ana", Outcome: "ok"}, 29},
		{Filter{Trace: "7"}, 1},
		{Filter{ID: ID(noon.Add(7*time.Minute), "x")}, 1},
		{Filter{Name: "' OR 1=1 --"}, 0},
		{Filter{Method: "tools/list"}, 0},
	} {
		rows, next, err := l.List(t.Context(), tt.f, "", 100)
		if err != nil || len(rows) != tt.want || next != "" {
			t.Errorf("%+v: %d rows, want %d; %v", tt.f, len(rows), tt.want, err)
		}
	}
}

func checkCounts(t *testing.T, l *Log) {
	t.Helper()
	by, cut, err := l.Count(t.Context(), Filter{}, []Dimension{"upstream"}, "", 10)
	want := []Count{
		{By: []string{"github"}, Requests: 30, Failed: 10, MeanMillis: 29, MaxMillis: 58, UpstreamMs: 1, In: 300, Out: 3000},
		{By: []string{"mail"}, Requests: 30, Failed: 1, MeanMillis: 30, MaxMillis: 59, UpstreamMs: 1, In: 300, Out: 3000},
	}
	if diff := cmp.Diff(want, by); diff != "" || cut || err != nil {
		t.Errorf("%v cut %v (-want +got):\n%s", err, cut, diff)
	}
	if slowest, _, err := l.Count(t.Context(), Filter{}, []Dimension{"upstream"}, "mean_ms", 1); err != nil || slowest[0].By[0] != "mail" {
		t.Errorf("ordered by the mean: %+v %v", slowest, err)
	}
	if _, _, err := l.Count(t.Context(), Filter{}, nil, "ms; DROP TABLE requests", 1); err == nil {
		t.Error("ordered by anything")
	}
	by, cut, err = l.Count(t.Context(), Filter{Failed: true}, []Dimension{"hour", "outcome"}, "", 1)
	if err != nil || !cut || len(by) != 1 || strings.Join(by[0].By, " ") != "2026-11-20T12:00Z unavailable" || by[0].Requests != 10 {
		t.Errorf("%+v cut %v, %v", by, cut, err)
	}
	if all, _, err := l.Count(t.Context(), Filter{Who: "nobody"}, nil, "", 10); err != nil || len(all) != 1 || all[0].Requests != 0 {
		t.Errorf("nothing: %+v %v", all, err)
	}
	for _, bad := range [][]Dimension{{"upstream", "name", "who"}, {"reason; DROP TABLE requests"}} {
		if _, _, err := l.Count(t.Context(), Filter{}, bad, "", 10); err == nil {
			t.Errorf("%v is counted by", bad)
		}
	}
}

// TestChunks: rows that come slowly become chunks that are large, none is lost or doubled on the way, and calls that took long are where they belong.
func TestChunks(t *testing.T) {
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			l := open(t, Spec{Database: database})
			const writes, each = 80, 16
			for i := range writes {
				var c chunk
				for k := range each {
					at := noon.Add(time.Duration(i*each+k) * time.Second)
					if k == 0 {
						at = noon.Add(-time.Duration(i) * time.Second) // it began long ago
					}
					c.add(&Row{ID: ID(at, strconv.Itoa(i)), At: at, Upstream: "mail", Outcome: "ok", Millis: 2})
				}
				if err := l.store(t.Context(), &c, false); err != nil {
					t.Fatal(err)
				}
			}
			if n := chunks(t, l); n != writes-chunkRows/each+1 {
				t.Errorf("%d chunks", n)
			}
			var ids []string
			for cursor := ""; ; {
				rows, next, err := l.List(t.Context(), Filter{}, cursor, 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					ids = append(ids, r.ID)
				}
				if cursor = next; next == "" {
					break
				}
			}
			if !slices.IsSortedFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) || len(slices.Compact(ids)) != writes*each {
				t.Errorf("%d rows, not in order or not once each", len(ids))
			}
			var n int
			var ms float64
			if err := l.db.QueryRowContext(t.Context(), `SELECT COUNT(*), SUM(ms) FROM request_log WHERE upstream = 'mail' AND outcome = 'ok'`).Scan(&n, &ms); err != nil || n != writes*each || ms != 2*float64(n) {
				t.Errorf("in SQL there are %d rows of %v ms: %v", n, ms, err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if n := chunks(t, open(t, Spec{Database: database})); n != 2 {
				t.Errorf("%d chunks after the end", n)
			}
		})
	}
}

// TestViewOfAnEarlierProgram: the view has the columns of today, whoever made it.
func TestViewOfAnEarlierProgram(t *testing.T) {
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			l := open(t, Spec{Database: database})
			l.Put(Row{ID: ID(noon, "x"), At: noon, Result: `{"n":1}`})
			for _, statement := range []string{"DROP VIEW request_log", "CREATE " + viewOf(inResult, isPostgres(database))} {
				if _, err := l.db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, Spec{Database: database})
			var result string
			if err := l.db.QueryRowContext(t.Context(), "SELECT result FROM request_log").Scan(&result); err != nil || result != `{"n":1}` {
				t.Errorf("%q, %v", result, err)
			}
		})
	}
}

func chunks(t *testing.T, l *Log) (n int) {
	t.Helper()
	if err := l.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM request_chunks").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestChunkSpan: rows that come very slowly do not wait for others for ever, since they are removed together.
func TestChunkSpan(t *testing.T) {
	l := open(t, Spec{Database: filepath.Join(t.TempDir(), "x.db")})
	for i := range 5 {
		var c chunk
		c.add(&Row{ID: ID(noon, strconv.Itoa(i)), At: noon})
		if err := l.store(t.Context(), &c, false); err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			l.tail.since = l.tail.since.Add(-chunkSpan)
		}
	}
	if n := chunks(t, l); n != 1 || len(l.tail.ids) > 0 {
		t.Errorf("%d chunks, and a tail of %d", n, len(l.tail.ids))
	}
}

// BenchmarkMillion is what people wait for with a million requests.
func BenchmarkMillion(b *testing.B) {
	l, err := Open(b.Context(), Spec{Database: filepath.Join(b.TempDir(), "x.db")}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	const rows = 1_000_000
	var c chunk
	for i := range rows {
		at := noon.Add(time.Duration(i) * time.Millisecond)
		r := Row{ID: ID(at, "abcdef-"+strconv.Itoa(i)), At: at, Who: "user:" + strconv.Itoa(i%50), Method: "tools/call", Upstream: "up" + strconv.Itoa(i%9), Name: "tool_" + strconv.Itoa(i%300), Kind: "tool", Era: "modern", Rule: "readers", Outcome: "ok", Millis: 1.234, Upstreams: 0.98, In: 200, Out: 300, Address: "127.0.0.1"}
		if i%100 == 0 {
			r.Outcome, r.Reason, r.Trace = "timeout", "up: took too long", fmt.Sprintf("%032x", i)
		}
		if c.add(&r); c.n == chunkRows || i == rows-1 {
			if err := l.store(b.Context(), &c, false); err != nil {
				b.Fatal(err)
			}
			c = chunk{}
		}
	}
	b.Run("errors by upstream", func(b *testing.B) {
		for b.Loop() {
			if n, _, err := l.Count(b.Context(), Filter{Failed: true}, []Dimension{"upstream"}, "requests", 10); err != nil || len(n) != 9 {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("all by hour and who", func(b *testing.B) {
		for b.Loop() {
			if n, _, err := l.Count(b.Context(), Filter{}, []Dimension{"hour", "who"}, "requests", 10); err != nil || len(n) != 10 {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("newest", func(b *testing.B) {
		for b.Loop() {
			if r, _, err := l.List(b.Context(), Filter{}, "", 50); err != nil || len(r) != 50 {
				b.Fatal(r, err)
			}
		}
	})
	b.Run("trace", func(b *testing.B) {
		for b.Loop() {
			if r, _, err := l.List(b.Context(), Filter{Trace: fmt.Sprintf("%032x", 500)}, "", 50); err != nil || len(r) != 1 {
				b.Fatal(r, err)
			}
		}
	})
	b.Run("id", func(b *testing.B) {
		for b.Loop() {
			if r, _, err := l.List(b.Context(), Filter{ID: ID(noon.Add(time.Second), "abcdef-1000")}, "", 50); err != nil || len(r) != 1 {
				b.Fatal(r, err)
			}
		}
	})
}

// TestDatabaseAway: the log is lost, and nothing waits for it; no error shows a password.
func TestDatabaseAway(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, database := range []string{"postgres://weir:CANARY@127.0.0.1:1/x?sslmode=disable", "postgres://weir:CANARY@[::bad/x", "postgres://weir:CANARY@127.0.0.1:1/x?pool=%zz"} {
		_, err := Open(ctx, Spec{Database: database}, slog.New(slog.DiscardHandler))
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%v", err)
		}
	}
	l := open(t, Spec{Database: filepath.Join(t.TempDir(), "x.db")})
	if err := l.db.Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 3 * queuedRows {
		l.Put(Row{})
	}
	if spent := time.Since(start); spent > 5*time.Second {
		t.Errorf("putting took %v", spent)
	}
	_ = l.Close()
	if l.Lost() != 3*queuedRows {
		t.Errorf("%d lost rows are counted, not %d", l.Lost(), 3*queuedRows)
	}
}
