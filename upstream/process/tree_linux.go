package process

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes makes the child the leader of a session, and has the kernel kill it when the thread that makes it ends (prctl(2),
// PR_SET_PDEATHSIG). Go checks in the child that the parent had not ended before that.
func attributes(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// keepDescriptors keeps from children what whoever started weir left open to it. Kernels before 5.11 cannot.
func keepDescriptors() { _ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) }

// ownProgram is where weir's own program is. The link holds even when the file was replaced or removed since.
func ownProgram() []string {
	file, _ := os.Executable()
	return []string{"/proc/self/exe", file}
}

// rename sets this process's name in process lists (proc(5), comm).
func rename(name string) {
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0) // cosmetic
}

// status is what /proc/<pid>/stat says of a process.
type status struct {
	pid, parent, group, session int
	state                       byte
	start                       uint64 // clock ticks since boot
}

func (s status) dead() bool { return s.state == 'Z' || s.state == 'X' }

// startTime returns when a process started, 0 when that cannot be known.
func startTime(pid int) uint64 {
	var buf [1024]byte
	s, ok := readStatus(strconv.Itoa(pid), buf[:])
	if !ok {
		return 0
	}
	return s.start
}

func readStatus(pid string, buf []byte) (status, bool) {
	// Not os.Open: its attempt to poll the file makes ten system calls of three, hundreds of times a look.
	f, err := syscall.Open("/proc/"+pid+"/stat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return status{}, false
	}
	n, err := syscall.Read(f, buf)
	_ = syscall.Close(f)
	if err != nil {
		return status{}, false
	}
	return parseStatus(buf[:n])
}

// parseStatus reads a line of proc(5) stat: the name in the second field may hold anything, the last parenthesis ends it.
func parseStatus(line []byte) (s status, ok bool) {
	name, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if name < 0 || end < name {
		return s, false
	}
	f := bytes.Fields(line[end+1:])
	if len(f) < 20 || len(f[0]) != 1 {
		return s, false
	}
	s.state = f[0][0]
	numbers := []struct {
		to   *int
		from []byte
	}{{&s.pid, bytes.TrimSpace(line[:name])}, {&s.parent, f[1]}, {&s.group, f[2]}, {&s.session, f[3]}}
	for _, n := range numbers {
		v, err := strconv.Atoi(string(n.from))
		if err != nil {
			return s, false
		}
		*n.to = v
	}
	start, err := strconv.ParseUint(string(f[19]), 10, 64)
	s.start = start
	return s, err == nil
}

// processes lists what runs.
func processes() []status {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := dir.Readdirnames(-1)
	_ = dir.Close()
	all := make([]status, 0, len(names))
	var buf [1024]byte
	for _, n := range names {
		if n[0] < '0' || n[0] > '9' {
			continue
		}
		if s, ok := readStatus(n, buf[:]); ok {
			all = append(all, s)
		}
	}
	return all
}

// look finds what is alive: members of a leader's group or session, processes that carry the mark, and children of any of these.
func (s survey) look() remains {
	all := processes()
	if all == nil { // no /proc in this container: the groups at least
		return s.lookAtGroups()
	}
	valid := map[int]bool{}
	for pid := range s.leaders {
		valid[pid] = true
	}
	for _, p := range all {
		// The number is in use again, so the group and session it named are long gone.
		if start, ok := s.leaders[p.pid]; ok && start != 0 && p.start != start {
			delete(valid, p.pid)
		}
	}
	var left remains
	member := map[int]bool{}
	for _, p := range all {
		switch {
		case p.start < s.since || p.pid == os.Getpid():
		case p.dead():
			if p.parent == os.Getpid() && p.pid != p.group && valid[p.group] {
				reap(p.pid)
			}
		case valid[p.group]:
			member[p.pid] = true
			if !slices.Contains(left.groups, p.group) {
				left.groups = append(left.groups, p.group)
			}
		case valid[p.session] || s.marked(p.pid):
			member[p.pid] = true
			left.strays = append(left.strays, p.pid)
		}
	}
	for more := true; more; {
		more = false
		for _, p := range all {
			if member[p.parent] && !member[p.pid] && !p.dead() {
				member[p.pid], more = true, true
				left.strays = append(left.strays, p.pid)
			}
		}
	}
	return left
}

// lookAtGroups asks the kernel, which counts zombies too.
func (s survey) lookAtGroups() remains {
	var left remains
	for pid := range s.leaders {
		if syscall.Kill(-pid, 0) == nil {
			left.groups = append(left.groups, pid)
		}
	}
	return left
}

func (s survey) marked(pid int) bool {
	if s.mark == "" {
		return false
	}
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && bytes.Contains(env, []byte(s.mark))
}

// reap takes a grandchild that ended after it was left to us: weir is process 1 of a container without an init. It is no child that
// os/exec waits for, because those lead their groups.
func reap(pid int) {
	var ws syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
}
