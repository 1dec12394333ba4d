//go:build unix

package process

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// guardVar makes weir's own program the guard: <nonce>,<start time of weir>,<grace after SIGTERM>.
	guardVar = "WEIR_GUARD"
	// guardName is the guard's name in process lists.
	guardName = "mcp-guard"
	// guardReady is what the guard says first: a program that does not call MaybeGuard says something else or nothing.
	guardReady = "ready\n"
	// guardPatience bounds how long the guard may take to say it.
	guardPatience = 15 * time.Second
	// guardRest is how long a new guard must live before another is started at once.
	guardRest = time.Second
)

// guard is weir's side of the guard process: the trees it must know, and the pipe whose end tells it that weir is gone.
type guard struct {
	log   *slog.Logger
	nonce string
	grace time.Duration

	mu      sync.Mutex
	trees   map[int]tree // by leader
	pipe    *os.File     // nil when none runs
	began   time.Time
	unfit   bool // this program cannot be its own guard
	closing chan struct{}
	watch   sync.WaitGroup
}

func newGuard(log *slog.Logger, nonce string, grace time.Duration) *guard {
	return &guard{log: log, nonce: nonce, grace: grace, trees: map[int]tree{}, closing: make(chan struct{})}
}

// ensure starts the guard if none runs. What is written to its pipe before it reads is not lost, so nobody waits for it.
func (g *guard) ensure() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pipe == nil && !g.unfit {
		g.start()
	}
}

func (g *guard) add(t tree) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trees[t.leader] = t
	g.tell("+", t)
}

func (g *guard) remove(t tree) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.trees, t.leader)
	g.tell("-", t)
}

// tell writes one line. A guard that does not read is as good as none: its watcher replaces it.
func (g *guard) tell(verb string, t tree) {
	if g.pipe == nil {
		return
	}
	_ = g.pipe.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(g.pipe, "%s %d %d\n", verb, t.leader, t.start); err != nil {
		_ = g.pipe.Close()
	}
}

// start runs with the lock held. Without a guard children are started all the same; PR_SET_PDEATHSIG is left then.
func (g *guard) start() {
	cmd, pipe, ready, err := g.spawn()
	if err != nil {
		g.log.Error("no guard for child processes", slog.Any("error", err))
		return
	}
	g.pipe, g.began = pipe, time.Now()
	for _, t := range g.trees {
		g.tell("+", t)
	}
	g.watch.Go(func() { g.attend(cmd, pipe, ready) })
}

func (g *guard) spawn() (cmd *exec.Cmd, pipe, ready *os.File, err error) {
	in, pipe, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { _ = in.Close() }()
	ready, out, err := os.Pipe()
	if err != nil {
		_ = pipe.Close()
		return nil, nil, nil, err
	}
	defer func() { _ = out.Close() }()
	for _, file := range ownProgram() {
		cmd = exec.CommandContext(context.Background(), file) // it outlives weir
		// The pid is there for people and their scripts. The environment holds nothing else: no secrets, no settings for the runtime.
		cmd.Args = []string{guardName, strconv.Itoa(os.Getpid())}
		cmd.Env = []string{fmt.Sprintf("%s=%s,%d,%s", guardVar, g.nonce, startTime(os.Getpid()), g.grace), "GOMAXPROCS=1", "GOGC=25"}
		cmd.Dir = "/"
		cmd.Stdin, cmd.Stdout = in, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err = cmd.Start(); err == nil {
			return cmd, pipe, ready, nil
		}
	}
	_ = pipe.Close()
	_ = ready.Close()
	return nil, nil, nil, err
}

// attend sees one guard process to its end and starts the next when it was not meant to end.
func (g *guard) attend(cmd *exec.Cmd, pipe, ready *os.File) {
	_ = ready.SetReadDeadline(time.Now().Add(guardPatience))
	said := make([]byte, len(guardReady))
	_, err := io.ReadFull(ready, said)
	_ = ready.Close()
	unfit := err == nil && string(said) != guardReady
	if err != nil || unfit {
		_ = cmd.Process.Kill()
	}
	_ = cmd.Wait()

	g.mu.Lock()
	defer g.mu.Unlock()
	_ = pipe.Close()
	g.pipe = nil
	select {
	case <-g.closing:
		return
	default:
	}
	if unfit {
		g.unfit = true
		g.log.Error("no guard for child processes: main does not call process.MaybeGuard first")
		return
	}
	g.log.Warn("the guard of child processes ended; starting another", slog.String("state", cmd.ProcessState.String()))
	if time.Since(g.began) < guardRest {
		g.watch.Go(g.startLater)
		return
	}
	g.start()
}

func (g *guard) startLater() {
	select {
	case <-time.After(guardRest):
		g.ensure()
	case <-g.closing:
	}
}

// close lets the guard go and waits for its end.
func (g *guard) close() {
	g.mu.Lock()
	close(g.closing)
	if g.pipe != nil {
		_ = g.pipe.Close()
	}
	g.mu.Unlock()
	g.watch.Wait()
}

// MaybeGuard turns this process into the guard of child processes, or into a child in its sandbox, when a Supervisor of the same program started it
// for that, and does not return then. It must be the first thing that main does, and TestMain of packages that start children.
func MaybeGuard() {
	enterSandbox()
	order := os.Getenv(guardVar)
	if order == "" {
		return
	}
	// The guard ends itself when weir is gone and nothing is left of its children, not when somebody ends what runs in a terminal or a service.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTSTP)
	rename(guardName)
	f := strings.Split(order, ",")
	if len(f) != 3 {
		syscall.Exit(2)
	}
	since, _ := strconv.ParseUint(f[1], 10, 64)
	grace, _ := time.ParseDuration(f[2])
	_, _ = os.Stdout.WriteString(guardReady) //nolint:forbidigo // a pipe to weir, which may be gone already: all the more to do
	_ = os.Stdout.Close()                    //nolint:forbidigo // as above
	debug.FreeOSMemory()
	stand(os.Stdin, survey{leaders: map[int]uint64{}, mark: childVar + "=" + f[0] + ".", since: since}, grace)
	syscall.Exit(0) // at once: hooks that run at a program's exit are weir's, not the guard's
}

// The guard looks again after there was nothing left.
const (
	finalLooks   = 3
	betweenLooks = 20 * time.Millisecond
)

// stand reads what weir says until weir is gone, and then ends what is left of its children.
func stand(r io.Reader, s survey, grace time.Duration) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var verb string
		var leader int
		var start uint64
		if _, err := fmt.Sscan(lines.Text(), &verb, &leader, &start); err != nil || leader <= 1 {
			continue
		}
		if verb == "+" {
			s.leaders[leader] = start
		} else {
			delete(s.leaders, leader)
		}
	}
	// One look can miss a process that is just being made: between fork and exec it may be in no list and carry no mark.
	for range finalLooks {
		s.end(grace, nil)
		time.Sleep(betweenLooks)
	}
}
