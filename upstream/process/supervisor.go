package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/catalog"
)

// childVar is set in a child's environment to <nonce of the supervisor>.<number of the child>, and inherited by all it starts.
const childVar = "WEIR_CHILD"

// Options of a [Supervisor]. The zero value is fine.
type Options struct {
	Log *slog.Logger // stderr lines at debug; nil discards
	// StdinGrace is how long a child may take to end after its stdin was closed; 0 means 1 s. Most servers need milliseconds.
	StdinGrace time.Duration
	// TermGrace is how long its process group may take after SIGTERM before SIGKILL; 0 means 1.5 s. The guard uses it too.
	TermGrace time.Duration
	// StderrLines is how many lines of stderr are kept per child; 0 means 100.
	StderrLines int
}

// Supervisor owns child processes: none outlives it. Safe for concurrent use.
type Supervisor struct {
	o     Options
	nonce string
	guard *guard

	starting sync.RWMutex  // held for reading while a start is handed over; guards threads and closed
	threads  chan func()   // to the thread that makes children; nil before the first
	parked   chan struct{} // closed when that thread is given back
	closed   bool

	mu       sync.Mutex
	count    int
	children map[*Process]struct{}
}

// New returns a Supervisor. It starts nothing before the first child.
func New(o Options) *Supervisor {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.StdinGrace == 0 {
		o.StdinGrace = time.Second
	}
	if o.TermGrace == 0 {
		o.TermGrace = 1500 * time.Millisecond
	}
	if o.StderrLines == 0 {
		o.StderrLines = 100
	}
	nonce := rand.Text()
	return &Supervisor{o: o, nonce: nonce, guard: newGuard(o.Log, nonce, o.TermGrace), children: map[*Process]struct{}{}}
}

// Spec says what to start.
type Spec struct {
	Name    string   // the upstream's, for logs and errors
	Command string   // see Lookup
	Args    []string // without the command itself
	// Env is the complete environment (see Environ). WEIR_CHILD is added, and when Command is a path its directory is appended to
	// PATH: npx, found by its full path, is a script that wants the node that lies beside it.
	Env     []string
	Dir     string   // working directory, weir's own when empty
	Secrets []string // values that must not show in what is kept of the child's stderr
	Sandbox Sandbox
}

// Start starts a child. It does not wait until the child is ready for anything. Errors are *catalog.Error, not executed.
func (s *Supervisor) Start(spec Spec) (*Process, error) {
	if os.Getenv(guardVar) != "" || os.Getenv(sandboxVar) != "" {
		return nil, &catalog.Error{Code: catalog.Internal, Msg: "weir: main does not call process.MaybeGuard first", Execution: catalog.NotExecuted}
	}
	dir, err := directory(spec)
	if err != nil {
		return nil, err
	}
	file, err := Lookup(spec.Name, spec.Command, dir, spec.Env)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.count++
	mark := s.nonce + "." + strconv.Itoa(s.count)
	s.mu.Unlock()

	cmd := exec.CommandContext(context.Background(), file, spec.Args...) // Stop ends it
	cmd.Dir = dir
	cmd.Env = setEnv(childEnv(spec, file), childVar, mark)
	attributes(cmd)
	if err := confine(cmd, spec); err != nil {
		return nil, err
	}
	ours, theirs, err := pipes(cmd)
	if err != nil {
		return nil, unavailable(spec.Name, "cannot start: no pipes", "", err)
	}
	p := newProcess(s, spec, cmd, ours)
	err = s.onThread(func() error { return s.launch(p, mark) })
	for _, f := range theirs {
		_ = f.Close()
	}
	if err != nil {
		ours.close()
		if _, ok := errors.AsType[*catalog.Error](err); ok {
			return nil, err
		}
		return nil, unavailable(spec.Name, "cannot start: "+reason(err), "", err)
	}
	p.run()
	return p, nil
}

// launch runs on the thread that makes children.
func (s *Supervisor) launch(p *Process, mark string) error {
	s.guard.ensure()
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	tree, err := plant(p.cmd, mark)
	if err != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		return err
	}
	p.tree = tree
	s.guard.add(tree)
	s.mu.Lock()
	s.children[p] = struct{}{}
	s.mu.Unlock()
	return nil
}

// gone is called when nothing is left of p.
func (s *Supervisor) gone(p *Process) {
	s.guard.remove(p.tree)
	s.mu.Lock()
	delete(s.children, p)
	s.mu.Unlock()
}

// onThread runs f on the one locked thread that makes children.
func (s *Supervisor) onThread(f func() error) error {
	s.starting.RLock()
	if s.threads == nil && !s.closed {
		s.starting.RUnlock()
		s.openThread()
		s.starting.RLock()
	}
	defer s.starting.RUnlock()
	if s.closed {
		return &catalog.Error{Code: catalog.Unavailable, Msg: "weir: is shutting down", Execution: catalog.NotExecuted}
	}
	result := make(chan error, 1)
	s.threads <- func() { result <- f() }
	return <-result
}

func (s *Supervisor) openThread() {
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.threads != nil || s.closed {
		return
	}
	keepDescriptors()
	s.threads, s.parked = make(chan func()), make(chan struct{})
	go func() {
		defer close(s.parked)
		runtime.LockOSThread()
		// Given back, not ended: should a child be left that could not be killed, the end of the thread would be its parent's death.
		defer runtime.UnlockOSThread()
		for f := range s.threads {
			f()
		}
	}()
}

// Close stops all children at once, as Process.Stop does, then the guard. When something could not be ended within ctx, the guard is
// left to it. Later calls of Start fail.
func (s *Supervisor) Close(ctx context.Context) error {
	s.starting.Lock()
	if s.closed {
		s.starting.Unlock()
		return nil
	}
	s.closed = true
	if s.threads != nil {
		close(s.threads)
	}
	parked := s.parked
	s.starting.Unlock()

	s.mu.Lock()
	var left []*Process
	for p := range s.children {
		left = append(left, p)
	}
	s.mu.Unlock()
	errs := make(chan error, len(left))
	for _, p := range left {
		go func() { errs <- p.Stop(ctx) }()
	}
	var all []error
	for range left {
		all = append(all, <-errs)
	}
	s.guard.close()
	if parked != nil {
		<-parked
	}
	return errors.Join(all...)
}

func directory(spec Spec) (string, error) {
	dir := spec.Dir
	if rest, ok := strings.CutPrefix(dir, "~/"); ok {
		dir = filepath.Join(homeOf(spec.Env), rest)
	}
	if dir == "" {
		return "", nil
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return "", unavailable(spec.Name, fmt.Sprintf("cannot start: %q is not a directory", spec.Dir), "create it, or change cwd under mcpServers."+spec.Name, err)
	}
	return dir, nil
}

func childEnv(spec Spec, file string) []string {
	own := filepath.Dir(file)
	path := lookupEnv(spec.Env, "PATH")
	if slices.Contains(filepath.SplitList(path), own) {
		return spec.Env
	}
	if path != "" {
		path += string(os.PathListSeparator)
	}
	return setEnv(spec.Env, "PATH", path+own)
}

// reason is what the system said, without the path and the name of the system call.
func reason(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
