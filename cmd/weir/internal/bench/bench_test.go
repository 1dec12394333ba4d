package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
)

func TestMain(m *testing.M) {
	played, err := Role(os.Args[1:], os.Stdin, os.Stdout)
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
		if c.Upstream == MCPGo || c.Upstream == Stdio || c.Kind == Cross {
			continue
		}
		b.Run(strings.TrimPrefix(c.String(), "call/lean/"), func(b *testing.B) {
			up, err := startRole(b.Context(), Lean, "-tools", fmt.Sprint(c.site().tools))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(up.stop)
			b.Run(Proxy, func(b *testing.B) {
				h, err := newProxy(up.url, true)
				if err != nil {
					b.Fatal(err)
				}
				s := httptest.NewServer(h)
				defer s.Close()
				measure(b, c, Proxy, s.URL+"/mcp")
			})
			b.Run(Weir, func(b *testing.B) { measure(b, c, Weir, serveWeir(b, up.url, c.site())) })
		})
	}
}

// serveWeir runs the gateway in this process, wired as weir serve does it, and returns its endpoint.
func serveWeir(b *testing.B, upstream string, s site) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "weir.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\npageSize: %d\nmcpServers: {up: {url: %s, era: %s}}\n", max(1000, s.tools), upstream, s.era)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	env := config.Env{Lookup: os.LookupEnv, Dir: b.TempDir(), Home: b.TempDir()}
	file, err := config.Read(path, env)
	if err != nil {
		b.Fatal(err)
	}
	a, err := app.New(file, app.Env{Config: env, Log: slog.New(slog.DiscardHandler), Version: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := a.Listen(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, ln) }()
	b.Cleanup(func() {
		stop()
		if err := errors.Join(<-served, a.Close()); err != nil {
			b.Error(err)
		}
	})
	if err := a.Settled(b.Context()); err != nil {
		b.Fatal(err)
	}
	return "http://" + ln.Addr().String() + "/mcp"
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
