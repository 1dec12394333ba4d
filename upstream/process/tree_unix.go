//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tree is a child and everything it started.
type tree struct {
	leader int    // the child's pid; its process group's and session's too
	start  uint64 // when it started, in the system's terms; 0 when unknown
	mark   string // its value of WEIR_CHILD
}

// plant names the tree of a child that was just started.
func plant(cmd *exec.Cmd, mark string) (tree, error) {
	pid := cmd.Process.Pid
	return tree{leader: pid, start: startTime(pid), mark: mark}, nil
}

func (t tree) release() {}

// end ends the tree as survey.end says.
func (t tree) end(grace time.Duration, hurry <-chan struct{}) bool {
	// The zero byte ends a variable in /proc: child 1 is not child 12.
	return survey{leaders: map[int]uint64{t.leader: t.start}, mark: childVar + "=" + t.mark + "\x00", since: t.start}.end(grace, hurry)
}

// survey says which processes belong to one or more trees.
type survey struct {
	leaders map[int]uint64 // pid → start time, 0 when unknown
	mark    string         // in the environment of every process that belongs, unless it was cleared
	since   uint64         // nothing that belongs started earlier
}

// remains is what a look found alive.
type remains struct {
	groups []int // leaders whose process group has living members
	strays []int // processes that belong, outside of these groups
}

// end sends SIGTERM once to each group and stray, waits for grace or until hurry is closed, and sends SIGKILL until nothing is left.
// It reports whether that came about.
func (s survey) end(grace time.Duration, hurry <-chan struct{}) bool {
	told := map[int]bool{}
	kill := time.Now().Add(grace)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		left := s.look()
		if len(left.groups)+len(left.strays) == 0 {
			return true
		}
		switch now := time.Now(); {
		case now.Before(kill):
			left.signal(syscall.SIGTERM, told)
		case now.Before(kill.Add(killWait)):
			left.signal(syscall.SIGKILL, nil)
		default:
			return false
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-hurry:
			kill, hurry, pause = time.Now(), nil, time.Millisecond
		}
		t.Stop()
	}
}

// signal sends sig to what was found, save what told names; a second SIGTERM would cut short the shutdown that the first began.
func (r remains) signal(sig syscall.Signal, told map[int]bool) {
	send := func(pid, target int) {
		if told == nil || !told[pid] {
			_ = syscall.Kill(target, sig) // gone in the meantime, or somebody else's: nothing to do
		}
		if told != nil {
			told[pid] = true
		}
	}
	for _, g := range r.groups {
		send(g, -g)
	}
	for _, pid := range r.strays {
		send(pid, pid)
	}
}

// signalName names the signal that ended a process, "" when none did.
func signalName(s *os.ProcessState) string {
	ws, ok := s.Sys().(syscall.WaitStatus)
	if !ok || !ws.Signaled() {
		return ""
	}
	return unix.SignalName(ws.Signal())
}
