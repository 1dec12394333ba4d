package e2e

import (
	"encoding/json"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/upstream/upstreamtest"
)

// goSight is what a client in Go saw of [twoFakes].
type goSight struct {
	Version    string
	Tools      []string
	Prompts    []string
	Resources  []string
	Near, Far  string // echoed through the HTTP and the stdio upstream
	Prompt     string
	Resource   string
	Completion []string
	Progress   []float64
}

// twoFakes is a configuration with one scripted server over HTTP and one over stdio, and what there is to see.
func twoFakes(t *testing.T) (config object, want goSight) {
	t.Helper()
	near := upstreamtest.New(t, upstreamtest.Config{
		Tools:     []upstreamtest.Raw{`{"name":"echo","inputSchema":{"type":"object"}}`},
		Prompts:   []upstreamtest.Raw{`{"name":"ask","arguments":[{"name":"topic"}]}`},
		Resources: []upstreamtest.Raw{`{"uri":"near://one","name":"one"}`},
	})
	far := upstreamtest.Stdio(t, upstreamtest.Config{
		Script: []upstreamtest.Act{{On: "echo", Progress: 4}},
	})
	t.Cleanup(func() {
		for _, s := range []*upstreamtest.Server{near, far} {
			for _, breach := range s.Ledger().Breaches() {
				t.Errorf("weir towards an upstream: %s", breach)
			}
		}
	})
	config = object{"mcpServers": object{
		"near": object{"url": near.URL},
		"far":  object{"command": far.Command, "args": far.Args},
	}}
	return config, goSight{
		Tools: []string{"far__echo", "near__echo"}, Prompts: []string{"near__ask"}, Resources: []string{"near://one"},
		Near: `{"via":"http"}`, Far: `{"via":"stdio"}`, Prompt: `{"topic":"weirs"}`, Resource: "read",
		Completion: []string{"we-completed"}, Progress: []float64{1, 2, 3, 4},
	}
}

// clients in Go, over HTTP and stdio, in both eras.
func TestGoClients(t *testing.T) {
	config, want := twoFakes(t)
	g := serve(t, config)
	g.offers(t, len(want.Tools))
	dials := map[string]func(*testing.T, string, *exec.Cmd, era) goClient{"go-sdk": dialGoSDK, "mcp-go": dialMCPGo}
	for name, dial := range dials {
		for _, e := range []era{legacy, modern} {
			want.Version = e.version()
			check := func(t *testing.T, c goClient) {
				t.Helper()
				if diff := cmp.Diff(want, drive(c, len(want.Tools))); diff != "" {
					t.Errorf("want (-) and seen (+):\n%s", diff)
				}
			}
			t.Run(name+" "+string(e)+" over http", func(t *testing.T) { check(t, dial(t, g.url, nil, e)) })
			t.Run(name+" "+string(e)+" over stdio", func(t *testing.T) {
				check(t, dial(t, "", exec.Command(weirBinary, "stdio", configFile(t, config)), e))
			})
		}
	}
}

// goClient is one library's client, connected. Its methods end the test on an error.
type goClient interface {
	version() string
	tools() []string
	prompts() []string
	resources() []string
	// call echoes {"via": via} and returns the structured content; a token asks for progress.
	call(tool, via string, token any) string
	prompt(name, topic string) string
	read(uri string) string
	complete(prompt, value string) []string
	// progress waits until n progress notifications came, five seconds at most, and returns them.
	progress(n int) []float64
}

// drive goes through everything there is to see, once at least n tools are listed.
func drive(c goClient, n int) goSight {
	got := goSight{Version: c.version()}
	for deadline := time.Now().Add(20 * time.Second); len(got.Tools) < n && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		got.Tools = slices.Sorted(slices.Values(c.tools()))
	}
	got.Prompts, got.Resources = c.prompts(), c.resources()
	got.Near = c.call("near__echo", "http", nil)
	got.Far = c.call("far__echo", "stdio", "steps")
	got.Progress = c.progress(4)
	got.Prompt, got.Resource = c.prompt("near__ask", "weirs"), c.read("near://one")
	got.Completion = c.complete("near__ask", "we")
	return got
}

// progressLog collects progress; clients hand it over on goroutines of their own.
type progressLog struct {
	mu   sync.Mutex
	seen []float64
}

func (l *progressLog) add(v float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, v)
}

func (l *progressLog) progress(n int) []float64 {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		seen := slices.Clone(l.seen)
		l.mu.Unlock()
		if len(seen) >= n || time.Now().After(deadline) {
			return seen
		}
	}
}

// compact is v as JSON without white space.
func compact(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}
