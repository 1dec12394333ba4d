package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

var soak = flag.Duration("soak", 16*time.Second, "how long TestSoak runs; its figures are judged from 5m on")

const (
	soakClients = 200
	// soakRounds is how often quiet and storm take turns.
	soakRounds = 4
	// soakPace is how long a client waits between two calls to upstreams that are well, and as long between two to the others.
	soakPace = time.Second
	// soakJudged is from which length on the figures count: a shorter run on a busy machine says little of them.
	soakJudged = 5 * time.Minute
)

// climate is the weather of the soak: when each round of it began and ended. Calls that begin in none of them are counted nowhere.
type climate struct{ quiet, storm [][2]time.Time }

func during(rounds [][2]time.Time, at time.Time) bool {
	return slices.ContainsFunc(rounds, func(r [2]time.Time) bool { return at.After(r[0]) && at.Before(r[1]) })
}

// strike does one thing at random to an upstream: it crashes, hangs, flaps, or tells of changes without end. It returns when the upstream is well
// again.
func (s struck) strike(t *testing.T) {
	t.Helper()
	const blow = 4
	switch n := rand.IntN(blow); {
	case n == 0:
		s.restart(t)
	case n == 1 && s.URL == "":
		pids := s.pids(t)
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
		}
		time.Sleep(rand.N(2 * time.Second))
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	case n == 1:
		s.Script(upstreamtest.Act{On: "echo", Fault: upstreamtest.Hang})
		time.Sleep(rand.N(2 * time.Second))
		s.Script()
	case n == 2 && s.URL != "":
		for range 5 {
			s.Refuse()
			time.Sleep(rand.N(100 * time.Millisecond))
			s.Accept()
			time.Sleep(rand.N(100 * time.Millisecond))
		}
	case n == 3 && s.URL != "":
		for range 100 {
			s.Notify(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		}
	default:
		s.restart(t)
	}
}

// visits calls one of the lanes after the other until stop is closed, at the same pace whatever becomes of the calls.
func visits(t *testing.T, who int, all []*lanes, stop <-chan struct{}) {
	for n := rand.IntN(len(all)); ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(soakPace/2 + rand.N(soakPace)):
		}
		if err := all[n%len(all)].once(fmt.Sprintf("%d %d", who, n)); err != nil {
			t.Error(err)
			return
		}
	}
}

// wellAgain returns how long after since the first call of any client was made that succeeded.
func wellAgain(clients []*lanes, since time.Time) time.Duration {
	for time.Since(since) < forsaken {
		for _, l := range clients {
			l.mu.Lock()
			well := l.well
			l.mu.Unlock()
			if well.After(since) {
				return well.Sub(since)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(since)
}

// Five upstreams crash, hang and flap at random for a long time, while 200 clients of both eras call them, and two that are well. No call of those fails,
// and they answer as fast as when all is quiet; no call is executed twice or said to be what it is not; memory does not grow; and nothing is left
// behind: no goroutine, process or descriptor. The audit log is whole.
//
//	go test -run TestSoak -timeout 40m -v ./cmd/weir/internal/e2e -soak 20m
func TestSoak(t *testing.T) {
	dir := t.TempDir()
	servers, steady, unwell := soakUpstreams(t)
	g := serve(t, object{
		"mcpServers": servers, "audit": object{"dir": filepath.Join(dir, "audit")},
		"requestLog": object{"database": filepath.Join(dir, "requests.db")},
		"telemetry":  object{"metrics": object{"prometheus": freeAddr(t)}},
	})
	g.offers(t, len(servers))
	for i := range unwell {
		unwell[i].parent = g.cmd.Process.Pid
	}
	before := use(t, g.cmd.Process.Pid)
	before.callers = connectionsTo(t, g.url)

	var toSteady, toUnwell []*lanes
	var peers []*httpPeer
	var callers sync.WaitGroup
	stop := make(chan struct{})
	for n := range soakClients {
		p := dialHTTP(t, g.url, []era{legacy, modern}[n%2])
		peers = append(peers, p)
		well, ill := lanesTo(p, steady), lanesTo(p, unwell)
		toSteady, toUnwell = append(toSteady, well...), append(toUnwell, ill...)
		callers.Go(func() { visits(t, n, well, stop) })
		callers.Go(func() { visits(t, n, ill, stop) })
	}
	times := map[string][]time.Duration{}
	var sky climate
	var grown []int
	for range soakRounds {
		begin := time.Now()
		time.Sleep(*soak / soakRounds / 4)
		sky.quiet = append(sky.quiet, [2]time.Time{begin, time.Now()})
		begin = time.Now()
		storm(t, unwell, toUnwell, *soak/soakRounds*3/4, times)
		sky.storm = append(sky.storm, [2]time.Time{begin, time.Now()})
		grown = append(grown, use(t, g.cmd.Process.Pid).memory)
	}
	close(stop)
	callers.Wait()
	for _, s := range unwell {
		s.judge(t, toUnwell, times[s.name])
	}
	for _, s := range steady {
		s.unharmed(t, toSteady)
	}
	sky.judge(t, toSteady)
	flat(t, grown)
	for _, p := range peers {
		p.client.CloseIdleConnections()
	}
	g.leftNothing(t, before)
	out, err := exec.Command(weirBinary, "audit", "verify", filepath.Join(dir, "audit")).CombinedOutput()
	if err != nil {
		t.Errorf("audit verify: %v", err)
	}
	t.Logf("audit verify: %s", bytes.TrimSpace(out))
}

// soakUpstreams starts two upstreams that stay well and five that do not, and returns their configuration too.
func soakUpstreams(t *testing.T) (servers object, steady, unwell []struck) {
	t.Helper()
	servers = object{}
	add := func(name string, s *upstreamtest.Server) struck {
		spec := object{"url": s.URL, "required": true}
		if s.URL == "" {
			spec = object{"command": s.Command, "args": s.Args, "required": true}
		}
		if !strings.HasPrefix(name, "steady") {
			spec["timeout"] = "500ms"
		}
		servers[name] = spec
		return struck{name, s, 0}
	}
	for _, e := range []era{legacy, modern} {
		cfg := upstreamtest.Config{Era: upstreamtest.Era(e)}
		unwell = append(unwell, add(string(e)+"http", upstreamtest.New(t, cfg)), add(string(e)+"stdio", fakeChild(t, cfg)))
	}
	unwell = append(unwell, add("bothhttp", upstreamtest.New(t, upstreamtest.Config{})))
	steady = append(steady, add("steadyhttp", upstreamtest.New(t, upstreamtest.Config{})), add("steadystdio", fakeChild(t, upstreamtest.Config{})))
	return servers, steady, unwell
}

func lanesTo(p *httpPeer, all []struck) []*lanes {
	var own []*lanes
	for _, s := range all {
		own = append(own, &lanes{client: string(p.era), peer: p, of: s})
	}
	return own
}

// storm strikes all upstreams for so long, and adds to times how long it took until calls succeeded again.
func storm(t *testing.T, all []struck, clients []*lanes, long time.Duration, times map[string][]time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var strikers sync.WaitGroup
	begin := time.Now()
	for _, s := range all {
		own := slices.DeleteFunc(slices.Clone(clients), func(l *lanes) bool { return l.of.name != s.name })
		strikers.Go(func() {
			for time.Since(begin) < long && !t.Failed() {
				time.Sleep(rand.N(2 * time.Second))
				s.strike(t)
				took := wellAgain(own, time.Now())
				if took >= forsaken {
					t.Errorf("%s: no call succeeds after %s", s.name, forsaken)
				}
				mu.Lock()
				times[s.name] = append(times[s.name], took)
				mu.Unlock()
			}
		})
	}
	strikers.Wait()
}

// judge compares how long calls took while all was quiet with how long they took in the storms.
func (c climate) judge(t *testing.T, clients []*lanes) {
	t.Helper()
	var quiet, storm []time.Duration
	for _, l := range clients {
		for _, o := range l.outcomes {
			if during(c.quiet, o.began) {
				quiet = append(quiet, o.took)
			} else if during(c.storm, o.began) {
				storm = append(storm, o.took)
			}
		}
	}
	if len(quiet) < 100 || len(storm) < 100 {
		t.Fatalf("%d calls while it was quiet, %d in storms", len(quiet), len(storm))
	}
	at := func(took []time.Duration, percent int) time.Duration {
		slices.Sort(took)
		return took[len(took)*percent/100].Round(time.Microsecond)
	}
	t.Logf("upstreams that are well: %d quiet calls, median %s, 99th percentile %s; %d calls in storms, %s, %s",
		len(quiet), at(quiet, 50), at(quiet, 99), len(storm), at(storm, 50), at(storm, 99))
	if ratio := float64(at(storm, 99)) / float64(at(quiet, 99)); *soak >= soakJudged && ratio > 1.1 {
		t.Errorf("in storms the 99th percentile is %.2f of that in quiet", ratio)
	}
}

// flat wants that memory does not grow once the storms have reached their height.
func flat(t *testing.T, kib []int) {
	t.Helper()
	t.Logf("resident memory after each storm, KiB: %v", kib)
	if height, last := kib[len(kib)/2], kib[len(kib)-1]; *soak >= soakJudged && last > height+height/8 {
		t.Errorf("memory grew from %d to %d KiB", height, last)
	}
}

// usage is what a process holds.
type usage struct{ memory, descriptors, children, callers int }

func use(t *testing.T, pid int) usage {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	must(t, err)
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	must(t, err)
	_, line, _ := strings.Cut(string(status), "VmRSS:")
	memory, err := strconv.Atoi(strings.Fields(line)[0])
	must(t, err)
	return usage{memory: memory, descriptors: len(open), children: len(descendants(t, pid))}
}

// descendants are the processes that a process started, and those that they started.
func descendants(t *testing.T, pid int) (all []int) {
	t.Helper()
	for _, child := range children(t, pid) {
		all = append(append(all, child), descendants(t, child)...)
	}
	return all
}

// children are the processes that a process started.
func children(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	var pids []int
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for field := range strings.FieldsSeq(string(b)) {
			child, err := strconv.Atoi(field)
			must(t, err)
			pids = append(pids, child)
		}
	}
	return pids
}

// leftNothing wants that the gateway, whose clients are gone, holds what it held before they came. It ends the gateway, to see its goroutines.
func (g *gateway) leftNothing(t *testing.T, before usage) {
	t.Helper()
	const resting = 150 // goroutines of a gateway with seven upstreams that does nothing
	pooled, patience := soakClients, 15*time.Second
	if *soak >= soakJudged {
		// Connections to upstreams are kept for 90 s, and looked through as often.
		pooled, patience = 8, 4*time.Minute
	}
	var now usage
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		now = use(t, g.cmd.Process.Pid)
		callers := connectionsTo(t, g.url)
		if now.descriptors <= before.descriptors+pooled && now.children == before.children && callers <= before.callers {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("before the clients came there were %d descriptors and %d children, now there are %d and %d, and %d connections of clients",
				before.descriptors, before.children, now.descriptors, now.children, callers)
			break
		}
	}
	must(t, g.cmd.Process.Signal(syscall.SIGQUIT))
	if !g.waitEnd(15 * time.Second) {
		t.Fatal("SIGQUIT does not end the gateway")
	}
	goroutines := strings.Count(g.stderr.String(), "\ngoroutine ")
	t.Logf("descriptors %d before, %d after; children %d, %d; %d goroutines", before.descriptors, now.descriptors, before.children, now.children, goroutines)
	if goroutines == 0 || goroutines > resting {
		t.Errorf("%d goroutines are left", goroutines)
	}
}

// connectionsTo counts the connections that a server on this machine has not closed yet, its client may have.
func connectionsTo(t *testing.T, address string) (n int) {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	port, err := strconv.Atoi(u.Port())
	must(t, err)
	const established, closeWait = "01", "08"
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if os.IsNotExist(err) {
			continue // a machine without IPv6
		}
		must(t, err)
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line) // number, local address, remote address, state
			if len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && (f[3] == established || f[3] == closeWait) {
				n++
			}
		}
	}
	return n
}
