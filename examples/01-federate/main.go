// Command 01-federate runs the example with one command: it builds weir and the two servers, starts the clock, and runs
// weir serve (or what its arguments say) with the example's configuration. Run it in the root of the repository.
package main

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

const (
	example    = "./examples/01-federate"
	configFile = "examples/01-federate/weir.yaml"
)

// clockAddr is where the clock listens: the host and port of CLOCK_URL, which weir.yaml reads too.
func clockAddr() string {
	if u, err := url.Parse(os.Getenv("CLOCK_URL")); err == nil && u.Host != "" {
		return u.Host
	}
	return "127.0.0.1:7801"
}

func main() {
	// Ctrl-C reaches weir by itself; this program only has to outlive it. SIGTERM is passed on.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "01-federate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	bin, err := os.MkdirTemp("", "weir-example-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	fmt.Fprintln(os.Stderr, "01-federate: building weir, notes and clock")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin+string(filepath.Separator), "./cmd/weir", example+"/clock", example+"/notes")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build (is this the root of the repository?): %w", err)
	}
	stopClock, err := startClock(ctx, filepath.Join(bin, "clock"))
	if err != nil {
		return err
	}
	defer stopClock()
	if len(args) == 0 {
		args = []string{"serve"}
	}
	return command(ctx, filepath.Join(bin, "weir"), append(args, "--config", configFile)...).Run()
}

// startClock starts the clock, unless it runs already, and waits until it listens.
func startClock(ctx context.Context, program string) (stop func(), err error) {
	if reachable(ctx, 0) == nil {
		return func() {}, nil
	}
	clock := exec.CommandContext(ctx, program, "-listen", clockAddr())
	clock.Stderr = os.Stderr
	if err := clock.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = clock.Process.Kill() // it keeps nothing
		_ = clock.Wait()
	}
	if err := reachable(ctx, 10*time.Second); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// command is a program that is asked to end with ctx, and has the time to do so.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}

// reachable waits until the clock listens, at most so long.
func reachable(ctx context.Context, most time.Duration) error {
	deadline := time.Now().Add(most)
	d := net.Dialer{Timeout: time.Second}
	for {
		conn, err := d.DialContext(ctx, "tcp", clockAddr())
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
