//go:build unix

package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
)

const patience = 20 * time.Second

// child is a Process whose stdout is collected.
type child struct {
	*Process
	out  lockedBuffer
	read chan struct{}
}

// run starts a child; s is closed at the end of the test.
func run(t *testing.T, s *Supervisor, spec Spec) *child {
	t.Helper()
	if spec.Name == "" {
		spec.Name = "test"
	}
	if spec.Env == nil {
		spec.Env = Environ(os.Environ(), nil)
	}
	p, err := s.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Process: p, read: make(chan struct{})}
	go func() {
		defer close(c.read)
		_, _ = io.Copy(&c.out, p.Stdout)
		_ = p.Stdout.Close()
	}()
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		<-c.read
	})
	return c
}

// ready waits until the child has written that word.
func (c *child) ready(t *testing.T) {
	t.Helper()
	waitFor(t, "the child to be ready", func() bool { return strings.Contains(c.out.String(), "ready\n") })
}

// stdout is all the child wrote; it waits for the end of it.
func (c *child) stdout() string {
	<-c.read
	return c.out.String()
}

func shell(script string) Spec { return Spec{Command: "sh", Args: []string{"-c", script}} }

func TestStart(t *testing.T) {
	var log lockedBuffer
	s := New(Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), StderrLines: 2})
	spec := shell(`read line; echo "got $line in $PWD"; echo one >&2; printf '\033[31mtwo\033[0m\n' >&2; echo key=topsecret >&2; exit 3`)
	spec.Dir, spec.Secrets = "/", []string{"topsecret"}
	p := run(t, s, spec)
	if _, ended := p.Exit(); ended {
		t.Error("it has ended before it could")
	}
	if _, err := io.WriteString(p.Stdin, "hello\n"); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if got := p.stdout(); got != "got hello in /\n" {
		t.Errorf("stdout %q", got)
	}
	exit, ended := p.Exit()
	if !ended || exit.Ran <= 0 || exit.Ran > patience {
		t.Errorf("ended %v after %v", ended, exit.Ran)
	}
	exit.Ran = 0
	if d := cmp.Diff(Exit{Code: 3, Stderr: []string{"two", "key=***"}}, exit); d != "" {
		t.Error(d)
	}
	for _, want := range []string{"upstream=test line=one", "line=two", `line="key=***"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "topsecret") {
		t.Error("a secret is in the log")
	}
}

func TestStartErrors(t *testing.T) {
	s := New(Options{})
	env := Environ(os.Environ(), nil)
	closed := New(Options{})
	if err := closed.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir() + "/broken"
	if err := os.WriteFile(broken, []byte("#!/nonexistent/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		s    *Supervisor
		spec Spec
		want string
	}{
		{"no such program", s, Spec{Name: "a", Command: "weir-no-such-program", Env: env}, `a: cannot start: "weir-no-such-program" not found`},
		{"no such directory", s, Spec{Name: "a", Command: "sh", Dir: "/nonexistent", Env: env}, `a: cannot start: "/nonexistent" is not a directory`},
		{"no interpreter", s, Spec{Name: "a", Command: broken, Env: env}, "a: cannot start: no such file or directory"},
		{"closed", closed, Spec{Name: "a", Command: "sh", Env: env}, "weir: is shutting down"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.s.Start(tt.spec)
			var ce *catalog.Error
			if !errors.As(err, &ce) || ce.Msg != tt.want || ce.Code != catalog.Unavailable || ce.Execution != catalog.NotExecuted {
				t.Errorf("%#v", err)
			}
		})
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStartRefusesInAGuard(t *testing.T) {
	t.Setenv(guardVar, "x")
	if _, err := New(Options{}).Start(Spec{Name: "a", Command: "sh", Env: os.Environ()}); err == nil {
		t.Error("a guard started a child")
	}
}

func TestStop(t *testing.T) {
	quick := Options{StdinGrace: 50 * time.Millisecond, TermGrace: 50 * time.Millisecond}
	slow := Options{StdinGrace: time.Minute, TermGrace: time.Minute}
	tests := []struct {
		name   string
		o      Options
		script string
		ended  bool // ctx has ended when Stop is called
		signal string
		code   int
	}{
		{name: "ends with stdin", o: slow, script: `echo ready; cat; exit 4`, code: 4},
		{name: "ignores stdin", o: Options{StdinGrace: 50 * time.Millisecond, TermGrace: time.Minute}, script: `echo ready; exec sleep 300`, signal: "SIGTERM", code: -1},
		{name: "shuts down on SIGTERM", o: Options{StdinGrace: 50 * time.Millisecond, TermGrace: time.Minute}, script: `trap "exit 7" TERM; echo ready; while :; do sleep 0.01; done`, code: 7},
		{name: "ignores SIGTERM", o: quick, script: `trap "" TERM; echo ready; while :; do sleep 1; done`, signal: "SIGKILL", code: -1},
		{name: "in a hurry", o: slow, script: `trap "" TERM; echo ready; while :; do sleep 1; done`, ended: true, signal: "SIGKILL", code: -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := New(tt.o)
			p := run(t, s, shell(tt.script))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			p.ready(t)
			if tt.ended {
				cancel()
			}
			if err := p.Stop(ctx); err != nil {
				t.Error(err)
			}
			if err := p.Stop(context.Background()); err != nil {
				t.Errorf("the second time: %v", err)
			}
			exit, ended := p.Exit()
			if !ended || !exit.Stopped || exit.Signal != tt.signal || exit.Code != tt.code {
				t.Errorf("ended %v: %+v", ended, exit)
			}
		})
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// waitFor polls until ok or fails the test.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
