package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// Ten thousand clients that listen and hear nothing take at most 50 KiB each, and nothing more when lists change for all of them again and again.
func TestR21_IdleStreams(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{`{"name":"echo","inputSchema":{"type":"object"}}`}})
	g := strained(t, object{"mcpServers": object{"up": object{"url": up.URL}}}, `exec "$@"`)
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	n := min(10_000, int(limit.Cur/4*3)-500)
	body, err := modern.request(1, "subscriptions/listen", object{"notifications": object{"toolsListChanged": true}}, object{})
	must(t, err)
	request := "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Protocol-Version: 2026-07-28\r\n" +
		"Mcp-Method: subscriptions/listen\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body)
	before := g.memory(t, "VmRSS")
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	hear := func(c net.Conn, what string) { // reads until it was said
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
		text, b := "", make([]byte, 4<<10)
		for !strings.Contains(text, what) {
			k, err := c.Read(b)
			if text += string(b[:k]); err != nil {
				t.Fatalf("%v after %q", err, text)
			}
		}
	}
	for range n {
		c, err := net.Dial("tcp", g.addr())
		must(t, err)
		conns = append(conns, c)
		_, err = io.WriteString(c, request)
		must(t, err)
		hear(c, "acknowledged")
	}
	each := func() int64 { return (g.memory(t, "VmRSS") - before) / int64(n) }
	idle := each()
	for round := range 5 {
		up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{upstreamtest.Raw(fmt.Sprintf(`{"name":"echo","description":"%d","inputSchema":{"type":"object"}}`, round))}})
		for _, c := range conns {
			hear(c, "tools/list_changed")
		}
	}
	told := each()
	t.Logf("%d streams, %d KiB each at rest, %d KiB each after five changes that all of them were told of", n, idle>>10, told>>10)
	if max(idle, told) > 50<<10 && !raceEnabled {
		t.Errorf("%d, then %d bytes for each stream", idle, told)
	}
	if n < 5000 {
		t.Errorf("only %d streams: too few files may be open here", n)
	}
}

// slowhttptest's three attacks, each with twice as many connections as may be open, keep nobody out: every call of a client that makes a connection for each is answered,
// and no more connections than allowed are open at any time.
func TestR24_Slowhttptest(t *testing.T) {
	program, err := exec.LookPath("slowhttptest")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("slowhttptest is not installed; .ci/install does that")
		}
		t.Skip("slowhttptest is not installed")
	}
	const most, attackers = 150, 300
	up := upstreamtest.New(t, upstreamtest.Config{})
	g := strained(t, object{"mcpServers": object{"up": object{"url": up.URL}}, "maxConnections": most}, `exec "$@"`)
	atRest := g.files(t)
	for name, attack := range map[string][]string{
		"slow headers": {"-H", "-i", "1"},
		"slow body":    {"-B", "-i", "1", "-s", "8192", "-t", "POST", "-f", "application/json"},
		"slow reading": {"-X", "-k", "3", "-n", "1", "-w", "10", "-y", "20", "-z", "8"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(program, append(attack, "-c", strconv.Itoa(attackers), "-r", "150", "-l", "6", // it says how it is every five seconds
				"-u", g.url)...)
			cmd.Dir = t.TempDir()
			var out output
			cmd.Stdout, cmd.Stderr = &out, &out
			must(t, cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			calls, files := 0, 0
			var took []time.Duration
			for over := false; !over; {
				select {
				case err := <-ended:
					over = true
					if err != nil {
						t.Errorf("%v\n%s", err, tail(out.String(), 2000))
					}
				default:
				}
				began := time.Now()
				if s, err := g.plainCall(t.Context(), fresh(), "up__echo", `{}`); !good(s, err) {
					t.Errorf("call %d: %+v %v", calls, s, err)
				}
				took = append(took, time.Since(began))
				calls++
				files = max(files, g.files(t))
			}
			slices.Sort(took)
			connections, gone := attacked(out.String())
			t.Logf("%d slow connections; %d calls beside them, all answered, p99 %v; at most %d files were open, %d at rest", connections, calls, took[len(took)*99/100], files, atRest)
			if connections < attackers || gone {
				t.Errorf("%d slow connections; service gone: %t\n%s", connections, gone, tail(out.String(), 2000))
			}
			if files > atRest+most+20 {
				t.Errorf("%d files, of which %d connections are allowed", files, most)
			}
		})
	}
}

// attacked reads what slowhttptest says of itself: how many connections it had made and lost at most, and whether it found the service gone at any time.
func attacked(out string) (connections int, gone bool) {
	plain := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(out, "")
	for status := range strings.SplitSeq(plain, "slow HTTP test status") {
		sum := 0
		for _, m := range regexp.MustCompile(`(?m)^(connected|closed|error): +(\d+)`).FindAllStringSubmatch(status, -1) {
			n, _ := strconv.Atoi(m[2]) // digits
			sum += n
		}
		connections = max(connections, sum)
	}
	return connections, regexp.MustCompile(`service available: +NO`).MatchString(plain)
}
