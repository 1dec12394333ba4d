package process

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// gone is how long after a stop nothing may be left.
const gone = 3 * time.Second

// alive is what of a ledger (pid → start time) is still there. Zombies count unless they were handed to the system's init, which waits for them when it
// comes to it.
func alive(ledger map[int]uint64) []status {
	var left []status
	for pid, start := range ledger {
		s, ok := readStatus(strconv.Itoa(pid), make([]byte, 1024))
		_, ours := ledger[s.parent]
		if ok && s.start == start && (!s.dead() || ours || s.parent == os.Getpid()) {
			left = append(left, s)
		}
	}
	return left
}

// TestR9_NothingIsLeft stops servers that behave badly, a hundred of each kind, and looks for every process that was ever seen of them.
func TestR9_NothingIsLeft(t *testing.T) {
	setsidTool(t)
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	modes := []struct {
		name, script string
		processes    int // to be seen of each before it is stopped
		atATime      int
	}{
		{"forks", `(sleep 300 & sleep 300) & sleep 300 & setsid sleep 300 & setsid sh -c 'sleep 300 & exit 0'; echo ready; wait`, 6, 10},
		// They are seen first, and have ended long before the server is told to: it hears a second before it is killed.
		{"zombie", `sh -c 'exec sleep 0.2' & sh -c 'exec sleep 0.2' & echo ready; exec sleep 300`, 2, 10},
		{"ignores TERM", `trap "" TERM INT HUP; (while :; do sleep 1; done) & echo ready; while :; do sleep 1; done`, 3, 10},
		{"stderr flood", `trap "" TERM; yes "a line that nobody asked for" >&2 & echo ready; wait`, 2, 8},
		{"forks while it is stopped", `trap "" TERM; echo ready; while :; do (setsid sleep 0.2) & sleep 0.05; done`, 2, 10},
	}
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			s := New(Options{})
			defer func() {
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			var (
				places  = make(chan struct{}, mode.atATime)
				crew    sync.WaitGroup
				mu      sync.Mutex
				slowest time.Duration
				seen    int
			)
			for round := range rounds {
				places <- struct{}{}
				crew.Go(func() {
					defer func() { <-places }()
					n, took := stopOne(t, s, fmt.Sprintf("%d.%s.%d", os.Getpid(), mode.name, round), mode.script, mode.processes)
					mu.Lock()
					defer mu.Unlock()
					seen, slowest = seen+n, max(slowest, took)
				})
			}
			crew.Wait()
			t.Logf("%d stops of %d processes, the slowest took %s", rounds, seen, slowest.Round(time.Millisecond))
		})
	}
}

// stopOne starts a server, stops it, and returns how many processes it had been and how long it took until nothing of them was left.
func stopOne(t *testing.T, s *Supervisor, mark, script string, processes int) (int, time.Duration) {
	spec := shell(script)
	spec.Name, spec.Env = "server", Environ(os.Environ(), map[string]string{markVar: mark})
	p, err := s.Start(spec)
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	defer func() { _ = p.Stdout.Close() }()
	ledger := map[int]uint64{}
	for deadline := time.Now().Add(patience); len(ledger) < processes && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		note(ledger, p.PID(), mark)
	}
	if len(ledger) < processes {
		t.Errorf("%s: %d processes, want %d", mark, len(ledger), processes)
	}
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- p.Stop(context.Background()) }()
	for over := false; !over; {
		select {
		case err := <-stopped:
			if err != nil {
				t.Error(err)
			}
			over = true
		case <-time.After(20 * time.Millisecond):
			note(ledger, p.PID(), mark) // what it starts even now
		}
	}
	for len(alive(ledger)) > 0 && time.Since(began) < gone {
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(began)
	if left := alive(ledger); len(left) > 0 || len(marked(mark)) > 0 {
		t.Errorf("%s: left after %s: %+v %v", mark, took, left, marked(mark))
	}
	return len(ledger), took
}

// note puts into a ledger what runs with a mark, and what has it as its session or parent, which is all that can be known of a zombie.
func note(ledger map[int]uint64, leader int, mark string) {
	for _, pid := range marked(mark) {
		if start := startTime(pid); start != 0 {
			ledger[pid] = start
		}
	}
	for _, s := range processes() {
		if s.session == leader || s.parent == leader {
			ledger[s.pid] = s.start
		}
	}
}
