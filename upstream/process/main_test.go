//go:build unix

package process

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleVar makes the test binary another program: "weir", which starts children and waits to be ended.
const roleVar = "WEIR_TEST_ROLE"

// markVar is inherited by all processes of one round.
const markVar = "WEIR_TEST_MARK"

func TestMain(m *testing.M) {
	MaybeGuard()
	runTries()
	oldKernel()
	if os.Getenv(roleVar) == "weir" {
		os.Exit(weir())
	}
	goleak.VerifyTestMain(m)
}

// weir is the main of the program that is ended in every way. Its arguments are the environment: see startWeir.
func weir() int {
	s := New(Options{StdinGrace: 50 * time.Millisecond, TermGrace: 100 * time.Millisecond})
	signals := make(chan os.Signal, 1)
	if os.Getenv("WEIR_TEST_POLITE") != "" {
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	}
	env := Environ(os.Environ(), map[string]string{markVar: os.Getenv(markVar)})
	var up sync.WaitGroup
	for range 2 {
		box, _ := strconv.Atoi(os.Getenv("WEIR_TEST_BOX"))
		p, err := s.Start(Spec{Name: "server", Command: "sh", Args: []string{"-c", os.Getenv("WEIR_TEST_SCRIPT")}, Env: env, Sandbox: Sandbox{OpenFiles: box}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		up.Go(func() { _, _ = bufio.NewReader(p.Stdout).ReadString('\n') })
	}
	up.Wait()
	fmt.Println("up")
	eof := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(eof)
	}()
	select {
	case <-signals:
	case <-eof:
	}
	if err := s.Close(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
