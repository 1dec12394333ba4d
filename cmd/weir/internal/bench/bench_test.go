package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	played, err := Role(os.Args[1:], os.Stdin, os.Stdout) //nolint:forbidigo // a role talks over it
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if !played {
		m.Run()
	}
}

// BenchmarkCall makes calls through a gateway in this process; upstream and load are processes of their own, so a CPU profile shows
// the gateway and nothing else. The CPU time of one call is reported as cpu-µs/op.
func BenchmarkCall(b *testing.B) {
	for _, c := range Cases(false) {
		if c.Upstream == MCPGo || c.Upstream == Stdio {
			continue
		}
		b.Run(strings.TrimPrefix(c.String(), "call/lean/"), func(b *testing.B) {
			up, err := startRole(b.Context(), Lean, "-tools", fmt.Sprint(c.site().tools))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(up.stop)
			b.Run(Proxy, func(b *testing.B) {
				h, err := newProxy(up.url)
				if err != nil {
					b.Fatal(err)
				}
				s := httptest.NewServer(h)
				defer s.Close()
				measure(b, c, Proxy, s.URL+"/mcp")
			})
		})
	}
}

// measure makes b.N calls of c from another process.
func measure(b *testing.B, c Case, target, url string) {
	b.Helper()
	o := loadOrder{Case: c, URL: url, Tool: c.tool(target)}
	var err error
	if c.Era == Legacy {
		if o.Session, err = openSession(b.Context(), url); err != nil {
			b.Fatal(err)
		}
	}
	calls, stop := startLoad(b, o)
	defer stop()
	calls(c.Concurrency) // every connection is open and warm
	before, err := cpu(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	calls(b.N)
	b.StopTimer()
	after, err := cpu(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(after-before)/1e3/float64(b.N), "cpu-µs/op")
}

// startLoad starts the process that makes calls.
func startLoad(b *testing.B, o loadOrder) (calls func(int), stop func()) {
	b.Helper()
	order, err := json.Marshal(o)
	if err != nil {
		b.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), exe, roleArg, loadRole, "-load", string(order))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReader(out)
	calls = func(n int) {
		b.Helper()
		if _, err := fmt.Fprintln(in, n); err != nil {
			b.Fatal(err)
		}
		if answer, err := r.ReadString('\n'); err != nil || answer != "ok\n" {
			b.Fatalf("%s%v", answer, err)
		}
	}
	return calls, func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, r)
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	}
}
