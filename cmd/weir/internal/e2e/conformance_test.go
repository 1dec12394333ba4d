package e2e

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var record = flag.Bool("record", false, "write what the fixture answers without weir into testdata/conformance")

// The revisions whose required scenarios the suite runs, each at its own wire.
const (
	wire2025 = "2025-11-25"
	wire2026 = "2026-07-28"
)

// suite runs the official conformance suite against url and returns the outcomes. The suite's exit code is not looked at: it fails over
// scenarios that no public fixture passes.
func suite(t *testing.T, n node, url, revision string, more ...string) checks {
	t.Helper()
	dir := t.TempDir()
	args := append([]string{"server", "--url", url, "--timeout", "20000", "-o", dir}, more...)
	if revision != "" {
		args = append(args, "--requirements", revision)
	}
	cmd := n.command(t, n.module("conformance", "dist", "index.js"), args...)
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	got, err := readChecks(dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(string(out), 4<<10))
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the suite:\n%s", tail(string(out), 16<<10))
		}
	})
	return got
}

// fixture starts the go-sdk's everything-server over HTTP, with sessions or without, and returns its endpoint.
func fixture(t *testing.T, e era) string {
	t.Helper()
	addr := freeAddr(t)
	args := []string{"-http=" + addr}
	if e == legacy {
		args = append(args, "-stateless=false")
	}
	start(t, exec.Command(everythingServer, args...)).listening(t, addr)
	return "http://" + addr + "/"
}

// baseline is what the fixture answers to a revision without weir.
func baseline(t *testing.T, revision string) checks {
	t.Helper()
	b, err := os.ReadFile(baselineFile(revision))
	must(t, err)
	all, err := parseChecks(string(b))
	must(t, err)
	return all
}

func baselineFile(revision string) string {
	return filepath.Join(conformanceDir, "direct-"+revision+".txt")
}

// The recorded baselines are what the fixture answers today; otherwise a fixture that broke would ask nothing of weir.
func TestConformanceDirect(t *testing.T) {
	n := needNode(t)
	for revision, e := range map[string]era{wire2025: legacy, wire2026: modern} {
		t.Run(revision, func(t *testing.T) {
			got := suite(t, n, fixture(t, e), revision)
			if *record {
				must(t, os.WriteFile(baselineFile(revision), []byte(got.String()), 0o600))
			}
			if diff := cmp.Diff(baseline(t, revision), got); diff != "" {
				t.Errorf("recorded (-) and seen (+); record anew with -record:\n%s", diff)
			}
		})
	}
}

// cell is one way through weir: the revision the suite speaks, and the upstream.
type cell struct {
	revision string
	behind   string // legacy http, modern http, legacy stdio or modern stdio
}

func (c cell) String() string { return c.revision + " wire, " + c.behind + " upstream" }

// upstream starts the fixture, or says how weir starts it. A server that speaks the client's own era is found out by weir itself; where
// the eras are to cross, the configuration says which one weir must use.
func (c cell) upstream(t *testing.T) object {
	t.Helper()
	speaks := map[string]era{wire2025: legacy, wire2026: modern}[c.revision]
	name, over, _ := strings.Cut(c.behind, " ")
	kind := era(name)
	up := object{"command": everythingServer}
	if over == "http" {
		up = object{"url": fixture(t, kind)}
	}
	if kind != speaks {
		up["era"] = string(kind)
	}
	return up
}

// Every check goes through weir as it goes without, but for those in exceptions.yml, in the cells that stand there.
func TestConformance(t *testing.T) {
	n := needNode(t)
	allowed, met, ran := exceptions(t), map[string]bool{}, map[string]bool{}
	for _, revision := range []string{wire2025, wire2026} {
		for _, behind := range []string{"legacy http", "modern http", "legacy stdio", "modern stdio"} {
			c := cell{revision, behind}
			t.Run(c.String(), func(t *testing.T) {
				g := serve(t, object{"naming": "bare", "mcpServers": object{"fixture": c.upstream(t)}})
				g.offers(t, 20)
				ran[c.String()] = true
				for _, line := range unexpected(c.String(), lost(baseline(t, revision), suite(t, n, g.url, revision)), allowed, met) {
					t.Error(line)
				}
			})
		}
	}
	if len(ran) < 8 { // -run took some
		return
	}
	for key, e := range allowed {
		if !met[key] {
			t.Errorf("exceptions.yml: %s goes as direct in every cell", key)
		}
		for _, name := range e.Cells {
			if !ran[name] {
				t.Errorf("exceptions.yml: %s: there is no cell %q", key, name)
			}
		}
	}
}

// Ten runs of the scenarios in which notifications come just before the result: where a gateway loses or reorders, it does so sometimes.
func TestConformanceNotificationsTenTimes(t *testing.T) {
	n := needNode(t)
	tests := []struct {
		cell     cell
		scenario string
	}{
		{cell{wire2025, "legacy http"}, "tools-call-with-progress"},
		{cell{wire2025, "legacy http"}, "tools-call-with-logging"},
		{cell{wire2025, "legacy stdio"}, "tools-call-with-progress"},
		{cell{wire2025, "legacy stdio"}, "tools-call-with-logging"},
		{cell{wire2026, "modern http"}, "tools-call-with-progress"},
		{cell{wire2026, "modern stdio"}, "tools-call-with-progress"},
	}
	for _, tt := range tests {
		t.Run(tt.cell.String()+", "+tt.scenario, func(t *testing.T) {
			t.Parallel()
			g := serve(t, object{"naming": "bare", "mcpServers": object{"fixture": tt.cell.upstream(t)}})
			g.offers(t, 20)
			for run := range 10 {
				got := suite(t, n, g.url, "", "--scenario", tt.scenario, "--spec-version", tt.cell.revision)
				for key, status := range got {
					if status != "SUCCESS" {
						t.Errorf("run %d: %s: %s", run+1, key, status)
					}
				}
			}
		})
	}
}
