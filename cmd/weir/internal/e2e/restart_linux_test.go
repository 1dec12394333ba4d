package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

var restarts = flag.Duration("restarts", 10*time.Second, "how long TestRestartsUnderLoad ends and restarts upstreams")

const (
	// recovery is how long an upstream that is there again may fail calls, and lull the longest it is left alone then. Other work on the machine may
	// make single recoveries several times slower, so one and one in ten may be.
	recovery = 2 * time.Second
	lull     = 400 * time.Millisecond
	// forsaken is when nobody waits for a recovery any more.
	forsaken = 10 * time.Second
	// restartLanes is how many callers each client has for each upstream.
	restartLanes = 2
)

// struck is an upstream that is ended and started again, over and over. Parent is who starts its children, 0 where several processes do.
type struck struct {
	name string
	*upstreamtest.Server
	parent int
}

// fakeChild is a server over stdio that starts as quickly as a fake can: others start beside calls that are timed.
func fakeChild(t *testing.T, cfg upstreamtest.Config) *upstreamtest.Server {
	t.Helper()
	s := upstreamtest.Stdio(t, cfg)
	s.Command, s.Args = fakeBinary, s.Args[1:]
	return s
}

// pids are the processes of a fakeChild. Each has the path of its own ledger among its arguments.
func (s struck) pids(t *testing.T) []int {
	t.Helper()
	var among []int
	if s.parent != 0 {
		among = children(t, s.parent)
	} else {
		among = descendants(t, os.Getpid())
	}
	return slices.DeleteFunc(among, func(pid int) bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err != nil || !bytes.Contains(line, []byte("\x00"+s.Args[1]+"\x00")) // it has ended, or is another
	})
}

// restart ends the upstream at once, in the middle of what it does, and returns when it is there again, or when whoever keeps the child can start it.
// Over HTTP it has forgotten its sessions then.
func (s struck) restart(t *testing.T) {
	t.Helper()
	if s.URL == "" {
		for _, pid := range s.pids(t) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
		return
	}
	s.Refuse()
	time.Sleep(rand.N(lull)) // how long a server is away
	s.ForgetSessions()
	s.Accept()
}

// outcome is what a client was told about one call.
type outcome struct {
	canary    string
	execution string // "" when it succeeded, else what weir says of it
	began     time.Time
	took      time.Duration
}

// lanes are the callers of one client for one upstream.
type lanes struct {
	client string
	peer   peer
	of     struck

	mu       sync.Mutex
	outcomes []outcome
	well     time.Time // begin of the last call that succeeded
}

// run calls until stop is closed.
func (l *lanes) run(t *testing.T, lane int, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(rand.N(4 * time.Millisecond)):
		}
		if err := l.once(fmt.Sprintf("%d %d", lane, n)); err != nil {
			t.Error(err)
			return
		}
	}
}

// once makes the call that canary names among those of the lanes, and keeps what came of it.
func (l *lanes) once(canary string) error {
	canary = fmt.Sprintf("%s %s %s", l.client, l.of.name, canary)
	began := time.Now()
	execution, err := l.call(canary)
	if err != nil {
		return fmt.Errorf("%s: %w", canary, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes = append(l.outcomes, outcome{canary, execution, began, time.Since(began)})
	if execution == "" && began.After(l.well) {
		l.well = began
	}
	return nil
}

// call makes one call; an error is what no restart of an upstream may bring about.
func (l *lanes) call(canary string) (execution string, err error) {
	events, err := l.peer.call("tools/call", object{"name": l.of.name + "__echo", "arguments": object{"canary": canary}})
	if err != nil {
		return "", err
	}
	answer := events[len(events)-1]
	var result struct {
		IsError           bool
		StructuredContent struct{ Canary string }
		Meta              struct {
			Failure struct{ Execution string } `json:"weir/error"`
		} `json:"_meta"`
	}
	if err := json.Unmarshal(answer.Result, &result); err != nil {
		return "", fmt.Errorf("%w: %s", err, answer.Error)
	}
	switch said := result.Meta.Failure.Execution; {
	case !result.IsError && result.StructuredContent.Canary == canary:
		return "", nil
	case result.IsError && (said == "not executed" || said == "outcome unknown"):
		return said, nil
	}
	return "", fmt.Errorf("neither the answer nor a failure that says whether it was executed: %s", answer.Result)
}

// recovered returns how long after since the first call was made that succeeded.
func (l *lanes) recovered(since time.Time) time.Duration {
	for time.Since(since) < forsaken {
		l.mu.Lock()
		well := l.well
		l.mu.Unlock()
		if well.After(since) {
			return well.Sub(since)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(since)
}

// Upstreams are ended and started again at random while clients of both eras call them. No client has to connect again, calls succeed again
// within [recovery], none is executed twice, and each that fails says whether it may have been executed. Of an upstream beside them, and beside one that
// never answers, no call fails.
func TestRestartsUnderLoad(t *testing.T) {
	var all []struck
	servers := object{}
	for _, e := range []era{legacy, modern} {
		cfg := upstreamtest.Config{Era: upstreamtest.Era(e), Script: []upstreamtest.Act{{On: "echo", Delay: upstreamtest.Duration(5 * time.Millisecond)}}}
		web, pipe := upstreamtest.New(t, cfg), fakeChild(t, cfg)
		all = append(all, struck{string(e) + "http", web, 0}, struck{string(e) + "stdio", pipe, 0})
		servers[string(e)+"http"] = object{"url": web.URL, "required": true}
		servers[string(e)+"stdio"] = object{"command": pipe.Command, "args": pipe.Args, "required": true}
	}
	steady := struck{"steady", upstreamtest.New(t, upstreamtest.Config{}), 0}
	hanging := struck{"hanging", upstreamtest.New(t, upstreamtest.Config{Script: []upstreamtest.Act{{On: "echo", Fault: upstreamtest.Hang}}}), 0}
	servers["steady"] = object{"url": steady.URL, "required": true}
	servers["hanging"] = object{"url": hanging.URL, "required": true, "timeout": "200ms"}
	config := object{"mcpServers": servers}
	g := serve(t, config)
	peers := map[string]peer{
		"legacy http": dialHTTP(t, g.url, legacy), "modern http": dialHTTP(t, g.url, modern), "legacy stdio": dialStdio(t, config, legacy),
	}
	var clients []*lanes
	var callers, strikers sync.WaitGroup
	stop := make(chan struct{})
	for name, p := range peers {
		for _, s := range append([]struck{steady, hanging}, all...) {
			l := &lanes{client: name, peer: p, of: s}
			clients = append(clients, l)
			for lane := range restartLanes {
				callers.Go(func() { l.run(t, lane, stop) })
			}
		}
	}
	var mu sync.Mutex
	times := map[string][]time.Duration{}
	end := time.Now().Add(*restarts)
	for _, s := range all {
		strikers.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				time.Sleep(rand.N(lull))
				s.restart(t)
				back := time.Now()
				for _, l := range clients {
					if l.of != s {
						continue
					}
					took := l.recovered(back)
					if took >= forsaken {
						t.Errorf("%s: no call of the %s client succeeds after %s", s.name, l.client, forsaken)
					}
					mu.Lock()
					times[s.name] = append(times[s.name], took)
					mu.Unlock()
				}
			}
		})
	}
	strikers.Wait()
	close(stop)
	callers.Wait()
	for _, s := range all {
		s.judge(t, clients, times[s.name])
	}
	steady.unharmed(t, clients)
}

// unharmed wants that no call of an upstream failed.
func (s struck) unharmed(t *testing.T, clients []*lanes) {
	t.Helper()
	calls, took := 0, []time.Duration(nil)
	for _, l := range clients {
		if l.of != s {
			continue
		}
		for _, o := range l.outcomes {
			if calls++; o.execution != "" {
				t.Errorf("%s: call %s failed: %s", s.name, o.canary, o.execution)
			}
			took = append(took, o.took)
		}
	}
	if n := s.Ledger().Count("tools/call"); n != calls || n == 0 {
		t.Fatalf("%s: %d requests for %d calls", s.name, n, calls)
	}
	slices.Sort(took)
	t.Logf("%s: %d calls, none failed, median %s, 99th percentile %s", s.name, calls, took[calls/2].Round(time.Microsecond), took[calls*99/100].Round(time.Microsecond))
}

// judge compares what clients were told with what the upstream executed.
func (s struck) judge(t *testing.T, clients []*lanes, times []time.Duration) {
	t.Helper()
	executed := map[string]int{}
	for _, e := range s.Ledger().Calls("tools/call") {
		var params struct{ Arguments struct{ Canary string } }
		if e.Outcome != "refused" && json.Unmarshal([]byte(e.Params), &params) == nil {
			executed[params.Arguments.Canary]++
		}
	}
	counts := map[string]int{}
	for _, l := range clients {
		if l.of != s {
			continue
		}
		for _, o := range l.outcomes {
			counts[o.execution]++
			switch n := executed[o.canary]; {
			case n > 1:
				t.Errorf("call %s was executed %d times", o.canary, n)
			case o.execution == "" && n != 1:
				t.Errorf("call %s succeeded and was executed %d times", o.canary, n)
			case o.execution == "not executed" && n != 0:
				t.Errorf("call %s is said not to be executed, and was", o.canary)
			}
		}
	}
	if len(times) == 0 {
		t.Errorf("%s: was not restarted", s.name)
		return
	}
	slices.Sort(times)
	within, _ := slices.BinarySearch(times, recovery)
	slow := len(times) - within
	if slow > 1+len(times)/10 {
		t.Errorf("%s: %d of %d recoveries took longer than %s", s.name, slow, len(times), recovery)
	}
	t.Logf("%s: %d recoveries, median %s, longest %s; %d calls succeeded, %d not executed, %d unknown", s.name, len(times),
		times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond), counts[""], counts["not executed"], counts["outcome unknown"])
	if counts[""] == 0 || strings.Contains(s.name, "stdio") && counts["outcome unknown"]+counts["not executed"] == 0 {
		t.Errorf("%s: nothing happened", s.name)
	}
}
