// Package launch runs an example with one command: it builds weir and the example's own programs, starts what the example needs, and runs weir serve, or
// what the arguments say, with the example's configuration.
package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Example is one of the folders beside this one.
type Example struct {
	Name string
	// Programs are built besides weir: folders of the example.
	Programs []string
	// Start starts what the example needs; bin holds what was built. stop may be nil.
	Start func(ctx context.Context, bin string) (stop func(), err error)
}

// Main runs the example in the root of the repository. Its exit code is that of weir.
func Main(e Example) {
	// Ctrl-C reaches weir by itself; this program only has to outlive it. SIGTERM is passed on.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := e.run(ctx, os.Args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintf(os.Stderr, "%s: %v\n", e.Name, err)
		os.Exit(1)
	}
}

func (e Example) run(ctx context.Context, args []string) error {
	bin, err := os.MkdirTemp("", "weir-example-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	fmt.Fprintf(os.Stderr, "%s: building weir\n", e.Name)
	what := []string{"build", "-o", bin + string(filepath.Separator), "./cmd/weir"}
	for _, p := range e.Programs {
		what = append(what, "./examples/"+e.Name+"/"+p)
	}
	build := exec.CommandContext(ctx, "go", what...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build (is this the root of the repository?): %w", err)
	}
	stop, err := e.Start(ctx, bin)
	if err != nil {
		return err
	}
	if stop != nil {
		defer stop()
	}
	if len(args) == 0 {
		args = []string{"serve"}
	}
	weir := exec.CommandContext(ctx, filepath.Join(bin, "weir"), append(args, "--config", "examples/"+e.Name+"/weir.yaml")...)
	weir.Stdin, weir.Stdout, weir.Stderr = os.Stdin, os.Stdout, os.Stderr
	weir.Cancel = func() error { return weir.Process.Signal(syscall.SIGTERM) }
	weir.WaitDelay = time.Minute
	return weir.Run()
}

// Address is the host and port of the URL in a variable that weir.yaml reads too, or fallback.
func Address(variable, fallback string) string {
	if u, err := url.Parse(os.Getenv(variable)); err == nil && u.Host != "" {
		return u.Host
	}
	return fallback
}

// Serve serves on an address until the program ends, unless another copy of the example does already.
func Serve(ctx context.Context, address string, serve func(net.Listener) error) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	if err != nil {
		return err
	}
	go func() { _ = serve(ln) }()
	return nil
}
