package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"weir/catalog"
)

// triesVar makes the test binary a program that tries things and says how each went: a list of "what argument".
const triesVar = "WEIR_TEST_TRIES"

// runTries is called in TestMain.
func runTries() {
	list := os.Getenv(triesVar)
	if list == "" {
		return
	}
	for try := range strings.SplitSeq(list, "\n") {
		what, arg, _ := strings.Cut(try, " ")
		fmt.Printf("%s: %s\n", try, verdict(attempt(what, arg)))
	}
	os.Exit(0)
}

func verdict(err error) string {
	var no syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &no):
		return unix.ErrnoName(no)
	default:
		return err.Error()
	}
}

func attempt(what, arg string) error {
	switch what {
	case "read":
		_, err := os.ReadFile(arg)
		return err
	case "list":
		_, err := os.ReadDir(arg)
		return err
	case "write":
		return os.WriteFile(arg, []byte("changed"), 0o600)
	case "truncate":
		return os.Truncate(arg, 0)
	case "remove":
		return os.Remove(arg)
	case "run":
		return exec.Command(arg).Run()
	case "connect", "multipath", "udp", "listen":
		return dial(what, arg)
	case "raw":
		return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	case "vsock":
		return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	case "uring":
		var params [120]byte // struct io_uring_params
		fd, _, no := syscall.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
		if no != 0 {
			return no
		}
		return syscall.Close(int(fd))
	case "signal":
		pid, _ := strconv.Atoi(arg)
		return syscall.Kill(pid, 0)
	case "open":
		return openMany(arg)
	case "grow":
		return os.WriteFile(arg, make([]byte, 1<<20), 0o600)
	case "burn":
		for x := 1; x != 0; x += 2 {
		}
		return errors.New("never")
	}
	return errors.New("unknown")
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

func dial(how, arg string) error {
	port, _ := strconv.Atoi(arg)
	kind, protocol := unix.SOCK_STREAM, 0
	switch how {
	case "multipath":
		protocol = unix.IPPROTO_MPTCP
	case "udp":
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET, kind, protocol)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	address := &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	if how == "listen" {
		return unix.Bind(fd, address)
	}
	return unix.Connect(fd, address)
}

func openMany(arg string) error {
	n, _ := strconv.Atoi(arg)
	for range n {
		f, err := os.Open("/dev/null")
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
	}
	return nil
}

// needLandlock skips where the kernel cannot do it, and fails there in CI.
func needLandlock(t *testing.T) {
	t.Helper()
	if lack := (Sandbox{Connect: []int{}}).Lacks(); lack != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(lack)
		}
		t.Skip(lack)
	}
}

// tries starts the test binary in a sandbox and returns what it says.
func tries(t *testing.T, box Sandbox, list ...string) (string, *child) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{triesVar: strings.Join(list, "\n"), "GORACE": "atexit_sleep_ms=0"}
	p := run(t, New(Options{}), Spec{Command: self, Env: Environ(os.Environ(), vars), Sandbox: box})
	<-p.Done()
	return p.stdout(), p
}

// What is not allowed fails in the child, what is allowed works, and what the child starts is bound too.
func TestT17_SandboxBindsFiles(t *testing.T) {
	needLandlock(t)
	dir := t.TempDir()
	for _, name := range []string{"in/a", "out/b", "away/c"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "away"), filepath.Join(dir, "in/link")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	box := Sandbox{Read: []string{"~/in"}, Write: []string{filepath.Join(dir, "out")}}
	var list, want []string
	for _, c := range [][2]string{
		{"read " + dir + "/in/a", "ok"},
		{"list " + dir + "/in", "ok"},
		{"write " + dir + "/in/a", "EACCES"},
		{"truncate " + dir + "/in/a", "EACCES"},
		{"remove " + dir + "/in/a", "EACCES"},
		{"read " + dir + "/in/link/c", "EACCES"},
		{"read " + dir + "/in/../away/c", "EACCES"},
		{"write " + dir + "/out/new", "ok"},
		{"truncate " + dir + "/out/b", "ok"},
		{"remove " + dir + "/out/b", "ok"},
		{"read " + dir + "/away/c", "EACCES"},
		{"list " + dir + "/away", "EACCES"},
		{"write " + dir + "/away/c", "EACCES"},
		{"list /", "EACCES"},
		{"read /etc/shadow", "EACCES"},
		{"read /etc/passwd", "ok"},
		{"write /dev/null", "ok"},
		{"run /usr/bin/true", "ok"},
		{"read /proc/self/status", "ok"},
		{fmt.Sprintf("read /proc/%d/environ", os.Getpid()), "EACCES"}, // weir's own, with what it was told in confidence
		{fmt.Sprintf("signal %d", os.Getpid()), "EPERM"},
	} {
		list, want = append(list, c[0]), append(want, c[0]+": "+c[1])
	}
	got, p := tries(t, box, list...)
	if d := cmp.Diff(strings.Join(want, "\n")+"\n", got); d != "" {
		t.Errorf("(-want +got)\n%s%s", d, p.Stderr())
	}
	// The same from a grandchild in a session of its own.
	script := `setsid cat "$1" "$2"; echo ready; cat >/dev/null`
	spec := Spec{Command: "sh", Args: []string{"-c", script, "sh", dir + "/away/c", dir + "/in/a"}, Sandbox: box}
	setsidTool(t)
	g := run(t, New(Options{}), spec)
	g.ready(t)
	if out := g.out.String(); out != "xready\n" {
		t.Errorf("a grandchild read %q: %s", out, g.Stderr())
	}
}

// Ports are bounded, and no other protocol leads around that.
func TestT17_SandboxBindsThePorts(t *testing.T) {
	needLandlock(t)
	listen := func() string {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return port
	}
	open, shut := listen(), listen()
	port, _ := strconv.Atoi(open)
	for name, c := range map[string]struct {
		box  Sandbox
		want []string
	}{
		"some": {Sandbox{Connect: []int{port}, Listen: []int{}}, []string{
			"connect " + open + ": ok", "connect " + shut + ": EACCES", "multipath " + open + ": EPROTONOSUPPORT", "udp 53: ok", "listen 0: EACCES",
			"raw: EACCES", "vsock: EACCES", "uring: ENOSYS",
		}},
		"none": {Sandbox{Connect: []int{}}, []string{
			"connect " + open + ": EACCES", "multipath " + open + ": EPROTONOSUPPORT", "udp 53: EACCES", "listen 0: ok", "raw: EACCES",
		}},
		"unbounded": {Sandbox{OpenFiles: 100}, []string{"connect " + open + ": ok", "multipath " + open + ": ok", "udp 53: ok", "listen 0: ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			var list []string
			for _, w := range c.want {
				what, _, _ := strings.Cut(w, ": ")
				list = append(list, what)
			}
			got, p := tries(t, c.box, list...)
			if d := cmp.Diff(strings.Join(c.want, "\n")+"\n", got); d != "" {
				t.Errorf("(-want +got)\n%s%s", d, p.Stderr())
			}
		})
	}
}

// The limits stand in /proc as configured, and bite.
func TestT17_SandboxLimits(t *testing.T) {
	box := Sandbox{Memory: 1 << 30, OpenFiles: 64, Processes: 5000, CPU: 1500 * time.Millisecond, FileSize: 4096}
	p := run(t, New(Options{}), Spec{Command: "sh", Args: []string{"-c", "echo ready; cat >/dev/null"}, Sandbox: box})
	p.ready(t)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if len(line) > 46 {
			got[strings.TrimSpace(line[:26])] = strings.Join(strings.Fields(line[26:68]), " ")
		}
	}
	for name, want := range map[string]string{
		"Max address space": "1073741824 1073741824", "Max open files": "64 64", "Max processes": "5000 5000", "Max cpu time": "2 3",
		"Max file size": "4096 4096", "Max core file size": "0 0",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	file := filepath.Join(t.TempDir(), "f")
	out, _ := tries(t, Sandbox{OpenFiles: 40, FileSize: 4096}, "open 30", "open 60", "grow "+file)
	if want := "open 30: ok\nopen 60: EMFILE\ngrow " + file + ": EFBIG\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
	if _, p := tries(t, Sandbox{CPU: time.Second}, "burn"); p.exit.Signal == "" {
		t.Errorf("two seconds of processor time: %+v", p.exit)
	}
	big := run(t, New(Options{}), Spec{Command: "dd", Args: []string{"if=/dev/zero", "of=/dev/null", "bs=300M", "count=1"}, Sandbox: Sandbox{Memory: 200 << 20}})
	<-big.Done()
	if exit, _ := big.Exit(); exit.Code == 0 || !strings.Contains(strings.Join(exit.Stderr, "\n"), "memory exhausted") {
		t.Errorf("300 MB within 200: %+v", exit)
	}
}

// A child has nothing of weir's own environment, nothing of its descriptors, and no word of how it was started.
func TestT16_ChildrenInheritNothing(t *testing.T) {
	t.Setenv("WEIR_TEST_SECRET", "do-not-tell")
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	// What weir itself was left by whoever started it is not for its children either.
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	for name, box := range map[string]Sandbox{"plain": {}, "sandbox": {OpenFiles: 100}} {
		t.Run(name, func(t *testing.T) {
			spec := Spec{Command: "sh", Args: []string{"-c", "echo ready; ls /proc/self/fd | wc -l; cat >/dev/null", "two words"}, Sandbox: box}
			p := run(t, New(Options{}), spec)
			waitFor(t, "its words", func() bool { return strings.Count(p.out.String(), "\n") == 2 })
			environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID()))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for kv := range bytes.SplitSeq(bytes.TrimSuffix(environ, []byte{0}), []byte{0}) {
				name, _, _ := strings.Cut(string(kv), "=")
				names = append(names, name)
			}
			for _, name := range names {
				if !inherited(name) && name != childVar {
					t.Errorf("the child has %s", name)
				}
			}
			if !slices.Contains(names, "PATH") {
				t.Errorf("no PATH in %s", names)
			}
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID()))
			if want := "sh\x00-c\x00" + spec.Args[1] + "\x00two words\x00"; !strings.HasSuffix(string(line), want) {
				t.Errorf("%q", line)
			}
			if n := strings.Fields(p.out.String())[1]; n != "4" { // standard ones, and the folder that ls reads
				t.Errorf("%s descriptors", n)
			}
			if status, ok := readStatus(strconv.Itoa(p.PID()), make([]byte, 1024)); !ok || status.session != p.PID() {
				t.Errorf("%+v", status)
			}
		})
	}
}

// A sandboxed child dies with weir, guard or not: the launcher keeps what the kernel was told.
func TestSandboxedChildrenDieWithWeir(t *testing.T) {
	mark := fmt.Sprint("sandbox.", os.Getpid())
	cmd, _, stdout := startWeir(t, mark, `trap "" TERM HUP; echo ready; while :; do sleep 0.1; done`, true, "WEIR_TEST_BOX=100")
	if said, err := io.ReadAll(io.LimitReader(stdout, 3)); err != nil || string(said) != "up\n" {
		t.Fatalf("%q, %v", said, err)
	}
	for _, g := range guardsOf(cmd.Process.Pid) {
		_ = syscall.Kill(g, syscall.SIGKILL)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	waitFor(t, "the end of all of it", func() bool { return len(marked(mark)) == 0 && len(guardsOf(cmd.Process.Pid)) == 0 })
}

// What is wrong with a sandbox is said before anything is started, or in the child's last words.
func TestSandboxRefusals(t *testing.T) {
	needLandlock(t)
	s := New(Options{})
	defer func() { _ = s.Close(t.Context()) }()
	_, err := s.Start(Spec{Name: "files", Command: "true", Env: Environ(os.Environ(), nil), Sandbox: Sandbox{Read: []string{"/no/such"}}})
	own, ok := errors.AsType[*catalog.Error](err)
	if want := `files: sandbox.read: "/no/such": no such file or directory`; !ok || own.Code != catalog.Config || own.Msg != want {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!"+dir+"/interpreter\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr/bin/env", filepath.Join(dir, "env")); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/usr/bin/env")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "interpreter"), self, 0o700); err != nil {
		t.Fatal(err)
	}
	p := run(t, New(Options{}), Spec{Command: program, Sandbox: Sandbox{Read: []string{}}})
	<-p.Done()
	exit, _ := p.Exit()
	if want := "cannot start " + program + " in its sandbox: permission denied; sandbox.read must hold it and what runs it"; exit.Code != 126 || !slices.Contains(exit.Stderr, want) {
		t.Errorf("%+v", exit)
	}
}

// oldKernel makes the test binary see a kernel without Landlock, and try what a Supervisor does then.
func oldKernel() {
	if os.Getenv(roleVar) != "old kernel" {
		return
	}
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_LANDLOCK_CREATE_RULESET, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
	})
	if err != nil {
		panic(err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, no := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); no != 0 {
		panic(no)
	}
	var said []string
	for _, box := range []Sandbox{{Read: []string{}}, {Connect: []int{}, OpenFiles: 50}, {Read: []string{}, OpenFiles: 50, Optional: true}, {OpenFiles: 50}} {
		s := New(Options{})
		p, err := s.Start(Spec{Name: "files", Command: "sh", Args: []string{"-c", "ulimit -n"}, Env: Environ(os.Environ(), nil), Sandbox: box})
		if err != nil {
			said = append(said, err.Error())
			continue
		}
		out, _ := io.ReadAll(p.Stdout)
		said = append(said, strings.TrimSpace(string(out)))
		_ = s.Close(context.Background())
	}
	_ = json.NewEncoder(os.Stdout).Encode(said)
	os.Exit(0)
}

// Where the kernel has no Landlock, a server is not started without the bounds it was to have, unless they are optional.
func TestT17_SandboxFailsClosed(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVar+"=old kernel", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got []string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const refused = "files: sandbox: this kernel has no Landlock, or it is switched off (see the kernel's lsm parameter)"
	if d := cmp.Diff([]string{refused, refused, "50", "50"}, got); d != "" {
		t.Error(d)
	}
}
