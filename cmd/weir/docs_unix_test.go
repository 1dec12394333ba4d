//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDocumentedCommands runs every sh and console block, page by page and in order; what a console block shows must come out.
func TestDocumentedCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the examples")
	}
	need(t, "sh", "curl", "go")
	for page, text := range pages(t) {
		var blocks []fence
		for _, f := range fencesOf(page, text) {
			if f.language == "sh" || f.language == "console" {
				blocks = append(blocks, f)
			}
		}
		if len(blocks) == 0 {
			continue
		}
		t.Run(page, func(t *testing.T) {
			s := newShell(t, strings.HasPrefix(page, "help "))
			for _, f := range blocks {
				s.block(t, f)
			}
		})
	}
}

// shell runs the commands of one page. The addresses that pages show may be taken on this machine, so others are used in their place.
type shell struct {
	dir    string
	env    []string
	listen string
}

func newShell(t *testing.T, scratch bool) *shell {
	t.Helper()
	s := &shell{dir: repo, listen: freeAddr(t)}
	if scratch {
		s.dir = t.TempDir()
	}
	s.env = append(os.Environ(), "WEIR_LISTEN="+s.listen, "CLOCK_URL=http://"+freeAddr(t)+"/mcp", "LIBRARY_URL=http://"+freeAddr(t),
		"FILMS_URL=http://"+freeAddr(t)+"/graphql", "TIDES_URL=http://"+freeAddr(t), "NO_COLOR=1")
	return s
}

func (s *shell) block(t *testing.T, f fence) {
	t.Helper()
	if f.language == "sh" {
		for line := range strings.Lines(f.body) {
			s.command(t, f, strings.TrimSpace(line), nil)
		}
		return
	}
	for part := range strings.SplitSeq("\n"+f.body, "\n$ ") {
		if line, want, ok := strings.Cut(part, "\n"); ok && line != "" {
			s.command(t, f, line, &want)
		}
	}
}

// command runs one line. A gateway stays up until the end of the page; the tests themselves are not run from within.
func (s *shell) command(t *testing.T, f fence, line string, want *string) {
	t.Helper()
	switch {
	case line == "" || strings.HasPrefix(line, "#") || line == "go test -timeout 20m ./...":
		return
	case line == "go run ./examples/01-federate":
		s.serve(t, line, "clock__now", "notes__add")
		return
	case line == "go run ./examples/02-rest":
		s.serve(t, line, "library__borrow")
		return
	case line == "go run ./examples/03-grpc":
		s.serve(t, line, "tides__Tides_Next")
		return
	case line == "go run ./examples/04-graphql":
		s.serve(t, line, "films__FindFilms", "films__query")
		return
	}
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(line, "127.0.0.1:7777", s.listen))
	cmd.Dir, cmd.Env = s.dir, s.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s:%d: %s: %v\n%s", f.page, f.line, line, err, stderr.String())
	}
	if want != nil {
		if diff := cmp.Diff(strings.TrimSpace(*want), strings.TrimSpace(stdout.String())); diff != "" {
			t.Errorf("%s:%d: %s (-shown +printed)\n%s", f.page, f.line, line, diff)
		}
	}
}

// serve starts a command that runs a gateway, and waits until these tools are there.
func (s *shell) serve(t *testing.T, line string, tools ...string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "exec "+line)
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.SysProcAttr = ownGroup()
	var log lockedBuffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(func() {
		endGroup(cmd.Process.Pid)
		select {
		case <-ended:
		case <-time.After(within):
			t.Errorf("%s does not end", line)
		}
	})
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		answer, err := ask("http://"+s.listen+"/mcp", "tools/list", "")
		if err == nil && containsAll(string(answer), tools) {
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %v\n%s", line, cmd.ProcessState, log.String())
		default:
		}
	}
	t.Fatalf("%s does not serve the example\n%s", line, log.String())
}

// lockedBuffer may be read while a program writes to it.
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

// ownGroup starts a program in a process group of its own, so that endGroup ends it with everything that go run put in between.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func endGroup(pid int) {
	if err := syscall.Kill(-pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
