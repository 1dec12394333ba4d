package process

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
)

// killWait is how long after SIGKILL something may still be there before it is called unkillable (a process in a broken file system).
const killWait = 5 * time.Second

// drainWait is how long after a child's end its last words on stderr are waited for, should a grandchild hold the pipe.
const drainWait = 250 * time.Millisecond

// Process is a running child.
type Process struct {
	// Stdin and Stdout are weir's ends of the child's pipes; both take deadlines. Stop closes Stdin. Whoever reads Stdout closes it.
	Stdin, Stdout *os.File

	name    string
	owner   *Supervisor
	cmd     *exec.Cmd
	tree    tree
	began   time.Time
	secrets *strings.Replacer
	stderr  tail
	errPipe *os.File

	stop, hurry         sync.Once
	stopping, hurrying  chan struct{}
	done, drained, gone chan struct{}
	exit                Exit // set before done is closed
	left                bool // set before gone is closed: something could not be killed
}

func newProcess(s *Supervisor, spec Spec, cmd *exec.Cmd, f files) *Process {
	return &Process{
		Stdin: f.stdin, Stdout: f.stdout, errPipe: f.stderr,
		name: spec.Name, owner: s, cmd: cmd, secrets: hide(spec.Secrets), stderr: tail{limit: s.o.StderrLines},
		stopping: make(chan struct{}), hurrying: make(chan struct{}),
		done: make(chan struct{}), drained: make(chan struct{}), gone: make(chan struct{}),
	}
}

// run starts what accompanies the child.
func (p *Process) run() {
	go func() {
		defer close(p.drained)
		_ = fault.Catch(p.owner.o.Log, func() error { // the child goes on without anybody who listens
			p.readStderr(p.errPipe, p.owner.o.Log)
			return nil
		}, "upstream", p.name)
		_ = p.errPipe.Close()
	}()
	go p.wait()
	go p.live()
}

// wait reaps the child and gathers the facts.
func (p *Process) wait() {
	_ = p.cmd.Wait() // what it says is in ProcessState
	ran := time.Since(p.began)
	within(p.drained, drainWait)
	stopped := false
	select {
	case <-p.stopping:
		stopped = true
	default:
	}
	p.exit = Exit{Code: p.cmd.ProcessState.ExitCode(), Signal: signalName(p.cmd.ProcessState), Ran: ran, Stopped: stopped, Stderr: p.stderr.last()}
	close(p.done)
}

// live carries the child from its start to the end of everything it started.
func (p *Process) live() {
	select {
	case <-p.done:
	case <-p.stopping:
		_ = p.Stdin.Close()
		t := time.NewTimer(p.owner.o.StdinGrace)
		select {
		case <-p.done:
		case <-p.hurrying:
		case <-t.C:
		}
		t.Stop()
	}
	clean := p.tree.end(p.owner.o.TermGrace, p.hurrying)
	p.left = !within(p.done, killWait) || !clean
	_ = p.Stdin.Close()
	_ = p.errPipe.SetReadDeadline(time.Now()) // its reader must end, whoever still holds the other end
	<-p.drained
	p.tree.release()
	p.owner.gone(p)
	close(p.gone)
}

// Name is the upstream's name.
func (p *Process) Name() string { return p.name }

// PID is the child's process number, which is its process group's and session's too.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and Exit is known. What it started is then being ended as well; Stop waits for that.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the child ended; false while it runs.
func (p *Process) Exit() (Exit, bool) {
	select {
	case <-p.done:
		return p.exit, true
	default:
		return Exit{}, false
	}
}

// Stderr returns the last lines the child wrote to stderr, oldest first, fit to be shown.
func (p *Process) Stderr() []string { return p.stderr.last() }

// Stop ends the child and everything it started, and waits for that: stdin is closed; after StdinGrace, SIGTERM to the process group;
// after TermGrace, SIGKILL. When ctx ends before, the SIGKILL comes at once. The error says that something could not be ended. Stop
// may be called more than once, and for a child that has ended by itself.
func (p *Process) Stop(ctx context.Context) error {
	p.stop.Do(func() { close(p.stopping) })
	select {
	case <-p.gone:
	case <-ctx.Done():
		p.hurry.Do(func() { close(p.hurrying) })
		<-p.gone // bounded by killWait
	}
	if p.left {
		return &catalog.Error{Code: catalog.Internal, Msg: p.name + ": could not be ended: something survives SIGKILL"}
	}
	return nil
}

// within waits for c at most d and reports whether it was closed.
func within(c <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return false
	}
}

// files are weir's ends of a child's pipes.
type files struct{ stdin, stdout, stderr *os.File }

func (f files) close() {
	_ = f.stdin.Close()
	_ = f.stdout.Close()
	_ = f.stderr.Close()
}

// pipes makes a child's three pipes. theirs are the child's ends, to be closed after its start.
func pipes(cmd *exec.Cmd) (ours files, theirs []*os.File, err error) {
	var all []*os.File
	var ends [3][2]*os.File // read, write
	for i := range ends {
		r, w, err := os.Pipe()
		if err != nil {
			for _, f := range all {
				_ = f.Close()
			}
			return files{}, nil, err
		}
		ends[i] = [2]*os.File{r, w}
		all = append(all, r, w)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = ends[0][0], ends[1][1], ends[2][1]
	return files{stdin: ends[0][1], stdout: ends[1][0], stderr: ends[2][0]}, []*os.File{ends[0][0], ends[1][1], ends[2][1]}, nil
}
