package requestlog

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Who may only read the database can look at it, while it is written and after; looking makes nothing.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	s := Spec{Database: filepath.Join(dir, "x.db")}
	if _, err := Look(t.Context(), s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	l := open(t, s)
	l.Put(fixture()[0])
	read := func(when string) {
		t.Helper()
		reader, err := Look(t.Context(), s)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		defer func() { _ = reader.Close() }()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			rows, _, err := reader.List(t.Context(), Filter{}, "", 10)
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			if len(rows) == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d rows", when, len(rows))
			}
		}
		if _, err := reader.db.ExecContext(t.Context(), "DELETE FROM request_chunks"); err == nil {
			t.Errorf("%s: it can be written", when)
		}
	}
	read("while it is written")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{s.Database: 0o444, dir: 0o555, filepath.Dir(dir): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 { // this thread's files are those of nobody for a while, and it ends with the goroutine
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			runtime.LockOSThread()
			_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0) // it has no errors
			read("by somebody else")
		}()
		<-ended
	} else {
		read("without the right to write")
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// The error of a file that is no database names it, and is ErrBroken.
func TestBroken(t *testing.T) {
	s := Spec{Database: filepath.Join(t.TempDir(), "x.db")}
	if err := os.WriteFile(s.Database, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, opened := Open(t.Context(), s, slog.New(slog.DiscardHandler))
	_, looked := Look(t.Context(), s)
	for _, err := range []error{opened, looked} {
		if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), s.Database) {
			t.Errorf("%v", err)
		}
	}
}

// A database that could not be written and then can again is told of once each, with how many rows were lost.
func TestWrittenAgain(t *testing.T) {
	var log strings.Builder
	l, err := Open(context.Background(), Spec{Database: filepath.Join(t.TempDir(), "x.db")}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	alter := func(statement string) {
		t.Helper()
		if _, err := l.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	lose := func(n int64) {
		t.Helper()
		l.Put(Row{})
		for deadline := time.Now().Add(10 * time.Second); l.Lost() != n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d rows are lost, want %d", l.Lost(), n)
			}
		}
	}
	for round := range int64(2) {
		alter("ALTER TABLE request_chunks RENAME TO away")
		lose(3*round + 1)
		lose(3*round + 2)
		lose(3*round + 3)
		alter("ALTER TABLE away RENAME TO request_chunks")
		l.Put(Row{})
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			rows, _, err := l.List(t.Context(), Filter{}, "", 10)
			if err == nil && len(rows) == int(round)+1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d rows: %v", len(rows), err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for text, n := range map[string]int{"cannot be written": 2, `msg="the request log is written again" lost=3`: 2} {
		if got := strings.Count(log.String(), text); got != n {
			t.Errorf("%q is said %d times, want %d:\n%s", text, got, n, log.String())
		}
	}
}
