package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"
	abi "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"weir/catalog"
)

// sandboxVar makes weir's own program the launcher of a child: a confinement as JSON. The child itself does not get it.
const sandboxVar = "WEIR_SANDBOX"

const (
	// filesNeed and portsNeed are the versions of Landlock that know what is promised: truncation is a way to write, and came with 3 (Linux 6.2); TCP
	// ports came with 4 (Linux 6.7).
	filesNeed = 3
	portsNeed = 4
)

// confinement is what the launcher is told.
type confinement struct {
	File    string // the program
	Parent  int    // weir, or 0 when it is not to be looked for
	Sandbox Sandbox
}

// Lacks says which bound this machine cannot set, "" when it can set all.
func (b Sandbox) Lacks() string {
	var need int
	switch {
	case b.network():
		need = portsNeed
	case b.files():
		need = filesNeed
	default:
		return "" // every Linux has resource limits
	}
	has, err := abi.LandlockGetABIVersion()
	switch {
	case err != nil || has == 0:
		return "this kernel has no Landlock, or it is switched off (see the kernel's lsm parameter)"
	case has < need:
		return fmt.Sprintf("this kernel has version %d of Landlock; these bounds need %d (Linux %s)", has, need, map[int]string{filesNeed: "6.2", portsNeed: "6.7"}[need])
	case b.network() && auditArch() == 0:
		return "ports cannot be bounded on " + runtime.GOARCH
	}
	return ""
}

// confine makes cmd start weir's own program, which binds itself and then becomes the command: bounds cannot be set between fork and exec of a Go
// program, and must not be weir's own.
func confine(cmd *exec.Cmd, spec Spec) error {
	if !spec.Sandbox.On() {
		return nil
	}
	if lack := spec.Sandbox.Lacks(); lack != "" && !spec.Sandbox.Optional {
		return &catalog.Error{Code: catalog.Config, Msg: spec.Name + ": sandbox: " + lack, Hint: optionalHint(spec.Name), Execution: catalog.NotExecuted}
	}
	box, err := spec.Sandbox.resolved(spec)
	if err != nil {
		return err
	}
	order, err := json.Marshal(confinement{File: cmd.Path, Parent: os.Getpid(), Sandbox: box})
	if err != nil {
		return err
	}
	cmd.Env = setEnv(cmd.Env, sandboxVar, string(order))
	for _, file := range ownProgram() {
		if _, err := os.Stat(file); err == nil {
			cmd.Path = file
			return nil
		}
	}
	return unavailable(spec.Name, "cannot start: weir's own program is gone, and /proc is not there", "", nil)
}

// enterSandbox turns this process into a child in its sandbox when a Supervisor started it for that. It does not return then.
func enterSandbox() {
	order := os.Getenv(sandboxVar)
	if order == "" {
		return
	}
	runtime.LockOSThread() // exec makes the thread that calls it the whole process: what is set on this one holds
	var c confinement
	err := json.Unmarshal([]byte(order), &c)
	if err == nil {
		err = c.enter()
	}
	_, _ = fmt.Fprintf(os.Stderr, "cannot start %s in its sandbox: %v\n", c.File, err)
	syscall.Exit(126)
}

// enter binds the thread and becomes the program. It returns only when that fails.
func (c *confinement) enter() error {
	// The kernel forgets this signal for new threads, and this may be one.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if os.Getppid() != c.Parent {
		return errors.New("weir is gone")
	}
	if lack := c.Sandbox.Lacks(); lack != "" && !c.Sandbox.Optional {
		return errors.New(lack)
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, sandboxVar+"=") })
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if err := c.landlock(); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if c.Sandbox.network() && auditArch() != 0 {
		if err := filterSockets(c.Sandbox.Connect == nil || len(c.Sandbox.Connect) > 0); err != nil && !c.Sandbox.Optional {
			return fmt.Errorf("seccomp: %w", err)
		}
	}
	if err := c.Sandbox.limit(); err != nil { // last: they hold for the launcher too
		return err
	}
	err := syscall.Exec(c.File, os.Args, env) //nolint:gosec // what weir was configured to run
	if errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%w; sandbox.read must hold it and what runs it", err)
	}
	return err
}

// dropCapabilities takes what root may do beside its files from this thread, for good: no_new_privs is set. With CAP_PERFMON, for one, the memory of
// other processes could be read in spite of everything else.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

// landlock binds files and ports, and in any case signals and abstract sockets where the kernel can: a child in a Landlock domain cannot look into
// processes outside of it either, weir's environment for one. What the kernel must be able to do, Lacks has checked.
func (c *confinement) landlock() error {
	newest := landlock.V11.BestEffort()
	if err := newest.RestrictScoped(); err != nil {
		return err
	}
	box := &c.Sandbox
	if box.files() {
		if err := newest.RestrictPaths(c.paths()...); err != nil {
			return err
		}
	}
	if !box.network() {
		return nil
	}
	var handled landlock.AccessNetSet
	var rules []landlock.Rule
	if box.Connect != nil {
		handled |= abi.AccessNetConnectTCP
	}
	if box.Listen != nil {
		handled |= abi.AccessNetBindTCP
	}
	for _, port := range box.Connect {
		rules = append(rules, landlock.ConnectTCP(uint16(port)))
	}
	for _, port := range box.Listen {
		rules = append(rules, landlock.BindTCP(uint16(port)))
	}
	ports, err := landlock.NewConfig(handled)
	if err != nil {
		return err
	}
	return ports.BestEffort().RestrictNet(rules...)
}

// paths are the rules for files.
func (c *confinement) paths() []landlock.Rule {
	rules := []landlock.Rule{
		landlock.ROFiles(c.File),
		landlock.RWFiles(devices()...).IgnoreIfMissing(),
	}
	for _, path := range everyone() {
		rules = append(rules, beneath(path, landlock.RODirs, landlock.ROFiles).IgnoreIfMissing())
	}
	for _, path := range c.Sandbox.Read {
		rules = append(rules, beneath(path, landlock.RODirs, landlock.ROFiles))
	}
	for _, path := range c.Sandbox.Write {
		rules = append(rules, beneath(path, func(p ...string) landlock.FSRule { return landlock.RWDirs(p...).WithRefer() }, landlock.RWFiles).WithResolveUnix())
	}
	return rules
}

// beneath is the rule for a path: a file has fewer rights than a folder.
func beneath(path string, folder, file func(...string) landlock.FSRule) landlock.FSRule {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return file(path)
	}
	return folder(path)
}

// everyone is what programs need to run at all: programs and libraries, what names, certificates, users and time zones are looked up in, and what they
// learn about the machine. Nothing of it is anybody's secret; what the kernel shows of other processes it shows by its own rules.
func everyone() []string {
	return []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
		"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/ca-certificates.conf",
		"/etc/resolv.conf", "/run/systemd/resolve", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols",
		"/etc/passwd", "/etc/group", "/etc/localtime", "/etc/timezone", "/etc/locale.alias", "/etc/mime.types", "/etc/os-release", "/etc/debian_version",
		"/proc", "/sys/fs/cgroup", "/sys/devices/system", "/sys/kernel/mm/transparent_hugepage",
	}
}

func devices() []string {
	return []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
}

// limit sets the resource limits. One that is stricter already stays.
func (b *Sandbox) limit() error {
	limits := []struct {
		name     string
		resource int
		most     uint64
	}{
		{"memory", unix.RLIMIT_AS, uint64(b.Memory)},
		{"openFiles", unix.RLIMIT_NOFILE, uint64(b.OpenFiles)},
		{"processes", unix.RLIMIT_NPROC, uint64(b.Processes)},
		{"cpu", unix.RLIMIT_CPU, uint64((b.CPU + time.Second - 1) / time.Second)},
		{"fileSize", unix.RLIMIT_FSIZE, uint64(b.FileSize)},
	}
	set := func(name string, resource int, most uint64) error {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		limit := unix.Rlimit{Cur: min(most, now.Max), Max: min(most, now.Max)}
		if resource == unix.RLIMIT_CPU { // a second between the signal that can be caught and the end
			limit.Max = min(most+1, now.Max)
		}
		if err := unix.Setrlimit(resource, &limit); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	if err := set("core", unix.RLIMIT_CORE, 0); err != nil { // an image of the memory holds its secrets
		return err
	}
	for _, l := range slices.Backward(limits) { // memory last: setting the others may need some
		if l.most == 0 {
			continue
		}
		if err := set(l.name, l.resource, l.most); err != nil {
			return err
		}
	}
	return nil
}
