// Command 01-federate runs the example with one command: it builds weir and the two servers, starts the clock, and runs
// weir serve (or what its arguments say) with the example's configuration. Run it in the root of the repository.
package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"weir/examples/internal/launch"
)

func main() {
	launch.Main(launch.Example{Name: "01-federate", Programs: []string{"clock", "notes"}, Start: startClock})
}

// startClock starts the clock, unless it runs already, and waits until it listens.
func startClock(ctx context.Context, bin string) (stop func(), err error) {
	addr := launch.Address("CLOCK_URL", "127.0.0.1:7801")
	if reachable(ctx, addr, 0) == nil {
		return nil, nil
	}
	clock := exec.CommandContext(ctx, filepath.Join(bin, "clock"), "-listen", addr)
	clock.Stderr = os.Stderr
	if err := clock.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = clock.Process.Kill() // it keeps nothing
		_ = clock.Wait()
	}
	if err := reachable(ctx, addr, 10*time.Second); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// reachable waits until the clock listens, at most so long.
func reachable(ctx context.Context, addr string, most time.Duration) error {
	deadline := time.Now().Add(most)
	d := net.Dialer{Timeout: time.Second}
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
