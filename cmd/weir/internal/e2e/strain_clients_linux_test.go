package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

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
