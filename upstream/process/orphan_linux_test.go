package process

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tough are servers that do not go by themselves; each has a grandchild that ignores the end of stdin.
func tough() map[string]string {
	return map[string]string{
		"grandchild in the group":            `sleep 300 & echo ready; exec cat >/dev/null`,
		"grandchild in its own session":      `setsid sleep 300 & echo ready; wait`,
		"grandchild of a session that ended": `setsid sh -c 'sleep 300 & exit 0'; echo ready; exec cat >/dev/null`,
		"all ignore SIGTERM":                 `trap "" TERM INT HUP; (while :; do sleep 1; done) & echo ready; while :; do sleep 1; done`,
	}
}

// marked lists the living processes that carry mark.
func marked(mark string) []int {
	var pids []int
	for _, p := range processes() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		if err == nil && p.pid != os.Getpid() && bytes.Contains(env, []byte(markVar+"="+mark+"\x00")) {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// guardsOf lists the living guards of a process.
func guardsOf(pid int) []int {
	var pids []int
	for _, p := range processes() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if err == nil && string(line) == guardName+"\x00"+strconv.Itoa(pid)+"\x00" {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

func setsidTool(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("setsid"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("setsid is missing")
		}
		t.Skip("setsid is missing")
	}
}

func TestStopLeavesNothing(t *testing.T) {
	setsidTool(t)
	for name, script := range tough() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := t.Name()
			s := New(Options{StdinGrace: 30 * time.Millisecond, TermGrace: 100 * time.Millisecond})
			spec := shell(script)
			spec.Env = Environ(os.Environ(), map[string]string{markVar: mark})
			p := run(t, s, spec)
			p.ready(t)
			if len(marked(mark)) < 2 {
				t.Fatal("there is no grandchild")
			}
			if err := p.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if left := marked(mark); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestCrashLeavesNothing(t *testing.T) {
	setsidTool(t)
	for _, script := range []string{`sleep 300 & echo ready; exit 1`, `setsid sleep 300 & echo ready; kill -KILL $$`} {
		mark := t.Name()
		s := New(Options{})
		spec := shell(script)
		spec.Env = Environ(os.Environ(), map[string]string{markVar: mark})
		p := run(t, s, spec)
		<-p.Done()
		if exit, _ := p.Exit(); exit.Stopped || exit.Code == 0 {
			t.Errorf("%+v", exit)
		}
		waitFor(t, "the grandchild's end", func() bool { return len(marked(mark)) == 0 })
	}
}

func TestStopSparesOthers(t *testing.T) {
	s := New(Options{})
	spec := shell(`echo ready; exec sleep 300`)
	first, second := run(t, s, spec), run(t, s, spec)
	first.ready(t)
	second.ready(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.Stop(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-second.Done():
		t.Error("the other child ended too")
	default:
	}
	if left := (survey{leaders: map[int]uint64{second.PID(): second.tree.start + 1}}).look(); len(left.groups)+len(left.strays) > 0 {
		t.Error("a process number that was given to another process was taken for the child")
	}
	if left := (survey{leaders: map[int]uint64{second.PID(): second.tree.start}}).look(); len(left.groups) != 1 {
		t.Error("the child was not found")
	}
}

func TestGuardIsReplaced(t *testing.T) {
	s := New(Options{})
	p := run(t, s, shell(`echo ready; exec cat >/dev/null`))
	p.ready(t)
	first := theGuard(t, os.Getpid())
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		_ = syscall.Kill(first, sig)
	}
	if status, ok := readStatus(strconv.Itoa(first), make([]byte, 1024)); !ok || status.session != first {
		t.Error("the guard is not in a session of its own")
	}
	_ = syscall.Kill(first, syscall.SIGKILL)
	waitFor(t, "another guard", func() bool {
		g := guardsOf(os.Getpid())
		return len(g) == 1 && g[0] != first
	})
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if g := guardsOf(os.Getpid()); len(g) > 0 {
		t.Errorf("guard %v outlives its work", g)
	}
}

// theGuard waits for the one guard of a process to have its signals set.
func theGuard(t *testing.T, pid int) (guard int) {
	t.Helper()
	waitFor(t, "the guard", func() bool {
		g := guardsOf(pid)
		if len(g) != 1 {
			return false
		}
		guard = g[0]
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", guard))
		return err == nil && strings.TrimSpace(string(name)) == guardName
	})
	return guard
}

func startWeir(t *testing.T, mark, script string, polite bool, env ...string) (cmd *exec.Cmd, stdin io.Closer, stdout io.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", roleVar+"=weir", markVar+"="+mark, "WEIR_TEST_SCRIPT="+script)
	cmd.Env = append(cmd.Env, env...)
	if polite {
		cmd.Env = append(cmd.Env, "WEIR_TEST_POLITE=1")
	}
	stdinPipe, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdinPipe, stdout
}

// TestNoOrphans ends a gateway with two servers in every way, 100 times, and looks for what is left of it.
func TestNoOrphans(t *testing.T) {
	setsidTool(t)
	ways := []struct {
		name   string
		polite bool // it closes its Supervisor on SIGTERM and SIGINT
		early  bool // it is ended while it starts its children
		end    func(cmd *exec.Cmd, stdin io.Closer)
	}{
		{"SIGTERM", true, false, func(c *exec.Cmd, _ io.Closer) { _ = c.Process.Signal(syscall.SIGTERM) }},
		{"SIGINT", true, false, func(c *exec.Cmd, _ io.Closer) { _ = c.Process.Signal(syscall.SIGINT) }},
		{"stdin closed", true, false, func(_ *exec.Cmd, in io.Closer) { _ = in.Close() }},
		{"SIGTERM unhandled", false, false, func(c *exec.Cmd, _ io.Closer) { _ = c.Process.Signal(syscall.SIGTERM) }},
		{"SIGKILL", true, false, func(c *exec.Cmd, _ io.Closer) { _ = c.Process.Kill() }},
		{"SIGKILL while starting", true, true, func(c *exec.Cmd, _ io.Closer) { _ = c.Process.Kill() }},
		{"SIGKILL of guard and weir", true, false, func(c *exec.Cmd, _ io.Closer) {
			// The guard first, and its successor with weir: nobody is left but the kernel.
			for _, g := range guardsOf(c.Process.Pid) {
				_ = syscall.Kill(g, syscall.SIGKILL)
			}
			_ = c.Process.Kill()
		}},
	}
	scripts := tough()
	var names []string
	for n := range scripts {
		names = append(names, n)
	}
	limit := make(chan struct{}, 10)
	for round := range 100 {
		way := ways[round%len(ways)]
		script := scripts[names[round/len(ways)%len(names)]]
		if way.name == "SIGKILL of guard and weir" {
			script = `trap "" TERM HUP; echo ready; while :; do sleep 0.1; done` // no grandchild that could outlive it
		}
		t.Run(fmt.Sprintf("%d %s", round, way.name), func(t *testing.T) {
			t.Parallel()
			limit <- struct{}{}
			defer func() { <-limit }()
			mark := fmt.Sprintf("%d.%d", os.Getpid(), round)
			cmd, stdin, stdout := startWeir(t, mark, script, way.polite)
			if way.early {
				time.Sleep(rand.N(60 * time.Millisecond)) // not to wait for something, but to hit any moment of the start
			} else if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
				t.Fatalf("it did not come up: %q, %v", line, err)
			}
			way.end(cmd, stdin)
			pid := cmd.Process.Pid
			_ = cmd.Wait()
			defer func() {
				if t.Failed() {
					for _, p := range processes() {
						for _, m := range marked(mark) {
							if m == p.pid {
								c, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", m))
								e, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", m))
								t.Logf("left: %+v %q %q", p, c, e)
							}
						}
					}
				}
			}()
			waitFor(t, "the end of all of it", func() bool { return len(marked(mark)) == 0 && len(guardsOf(pid)) == 0 })
		})
	}
}

func TestParseStatus(t *testing.T) {
	line := "42 (a) b (c)) S 1 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n"
	got, ok := parseStatus([]byte(line))
	if want := (status{pid: 42, parent: 1, group: 40, session: 39, state: 'S', start: 987654}); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	self, ok := readStatus("self", make([]byte, 1024))
	if !ok || self.pid != os.Getpid() || self.parent != os.Getppid() || self.group != syscall.Getpgrp() {
		t.Errorf("%+v", self)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte("42 (a b) S 1 40 39 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 987654"))
	f.Add([]byte(") ("))
	f.Fuzz(func(t *testing.T, line []byte) {
		if s, ok := parseStatus(line); !ok && s.start != 0 {
			t.Errorf("%+v", s)
		}
	})
}
