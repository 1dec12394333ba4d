package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// markVar is in the environment of everything that one round starts behind weir.
const markVar = "WEIR_E2E_MARK"

// marked lists the living processes of a round: "pid command line".
func marked(t *testing.T, mark string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	var found []string
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !bytes.Contains(env, []byte(markVar+"="+mark+"\x00")) {
			continue // gone, or of another round
		}
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(line), "\x00", " "))
	}
	return found
}

// wrapped is the configuration of a server behind a shell that stays its parent, as npx does.
func wrapped(s *upstreamtest.Server, mark string) object {
	args := append([]string{"-c", `"$@"; exit $?`, "sh", s.Command}, s.Args...)
	return object{"command": "sh", "args": args, "env": object{markVar: mark}}
}

// A way to end weir: a signal, or the end of its standard input.
type ending struct {
	name   string
	signal os.Signal // nil closes standard input
}

// A hundred rounds of start, call and end: whatever ends weir, nothing of what it started is left: not the server, nor its wrapper, nor what the server started.
func TestNoOrphans(t *testing.T) {
	servers := []struct {
		name     string
		cfg      upstreamtest.Config
		overHTTP bool // weir serve, where the ending allows it, and not weir stdio
		rounds   int  // those that do not go by themselves take seconds
	}{
		{name: "polite", rounds: 8},
		{name: "polite, over HTTP", overHTTP: true, rounds: 7},
		{name: "with a grandchild", cfg: upstreamtest.Config{Grandchild: true}, rounds: 6},
		{name: "ignores EOF", cfg: upstreamtest.Config{IgnoreEOF: true}, rounds: 3},
		{name: "ignores EOF and TERM", cfg: upstreamtest.Config{IgnoreEOF: true, IgnoreTERM: true, Grandchild: true}, rounds: 1},
	}
	endings := []ending{{"SIGTERM", syscall.SIGTERM}, {"SIGINT", syscall.SIGINT}, {"SIGKILL", syscall.SIGKILL}, {"closed stdin", nil}}
	for _, end := range endings {
		for _, s := range servers {
			t.Run(s.name+", "+end.name, func(t *testing.T) {
				t.Parallel()
				for round := range s.rounds {
					t.Run(strconv.Itoa(round), func(t *testing.T) { orphanRound(t, end, s.cfg, s.overHTTP) })
				}
			})
		}
	}
}

// orphanRound starts weir in front of a wrapped server, calls it, ends weir and waits until nothing is left.
func orphanRound(t *testing.T, end ending, cfg upstreamtest.Config, overHTTP bool) {
	t.Helper()
	mark := fmt.Sprintf("%d-%s", os.Getpid(), t.Name())
	config := object{"mcpServers": object{"up": wrapped(upstreamtest.Stdio(t, cfg), mark)}}
	var weir *child
	var pipe *stdioPeer
	if overHTTP && end.signal != nil {
		g := serve(t, config)
		g.offers(t, 1)
		must(t, echo(dialHTTP(t, g.url, modern), "up__echo", "hello"))
		weir = g.child
	} else {
		pipe = dialStdio(t, config, legacy)
		upstreamtest.Eventually(t, func() bool { return echo(pipe, "up__echo", "hello") == nil }, "no call is answered")
		weir = pipe.child
	}
	if n := len(marked(t, mark)); n < 2 {
		t.Fatalf("%d processes behind weir: there is no wrapper", n)
	}
	if end.signal != nil {
		must(t, weir.cmd.Process.Signal(end.signal))
	} else {
		must(t, pipe.stdin.Close())
	}
	if !weir.waitEnd(20 * time.Second) {
		t.Fatal("weir still runs after 20 s")
	}
	deadline := time.Now().Add(20 * time.Second)
	for left := marked(t, mark); len(left) > 0; left = marked(t, mark) {
		if time.Now().After(deadline) {
			t.Fatalf("left behind:\n%s", strings.Join(left, "\n"))
		}
		time.Sleep(10 * time.Millisecond)
	}
}
