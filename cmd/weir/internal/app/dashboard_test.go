package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// scrape gets the metrics of a gateway that serves: for each name, the labels of its series.
func scrape(t *testing.T, address string) map[string]map[string]bool {
	t.Helper()
	var text string
	for deadline := time.Now().Add(within); text == ""; {
		if r, err := http.Get("http://" + address + "/metrics"); err == nil {
			b, _ := io.ReadAll(r.Body)
			_ = r.Body.Close()
			text = string(b)
		}
		if time.Now().After(deadline) {
			t.Fatal("/metrics does not answer")
		}
	}
	series := make(map[string]map[string]bool)
	for line := range strings.Lines(text) {
		m := regexp.MustCompile(`^(\w+)(?:\{(.*)\})? `).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if series[m[1]] == nil {
			series[m[1]] = make(map[string]bool)
		}
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			series[m[1]][label[1]] = true
		}
	}
	return series
}

// TestR24_Dashboard: after real calls the real endpoint has every series and every label that the example's dashboard asks for.
func TestR24_Dashboard(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo"), tool("broken")}, Script: []upstreamtest.Act{{On: "tools/call broken", Result: upstreamtest.Raw(`{"content":[],"isError":true}`)}}})
	a := newPlace(t, object{
		"listen": "127.0.0.1:0", "mcpServers": object{"notes": object{"url": up.URL}, "gone": object{"url": "http://127.0.0.1:1"}},
		"telemetry": object{"metrics": object{"prometheus": address}},
	}).start(t)
	settled(t, a)
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, front) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	if _, err := a.Call(t.Context(), "notes__echo", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if o, err := a.Call(t.Context(), "notes__broken", []byte(`{}`)); err != nil || !strings.Contains(string(o.Result), "isError") {
		t.Fatalf("a call that must fail: %s", o.Result)
	}
	series := scrape(t, address)
	b, err := os.ReadFile("../../../../examples/07-telemetry/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &dashboard); err != nil || len(dashboard.Panels) == 0 {
		t.Fatal("no panels:", err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			names := regexp.MustCompile(`mcp_\w+_seconds\w*`).FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: asks for no series of weir: %s", p.Title, target.Expr)
			}
			for _, name := range names {
				if series[name] == nil {
					t.Errorf("%s: there is no series %s", p.Title, name)
				}
				for _, label := range labelsIn(target.Expr) {
					if !series[name][label] {
						t.Errorf("%s: %s has no label %s", p.Title, name, label)
					}
				}
			}
		}
	}
}

// labelsIn are the labels that an expression of PromQL filters or groups by.
func labelsIn(expr string) (labels []string) {
	for _, m := range regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`).FindAllStringSubmatch(expr, -1) {
		labels = append(labels, m[1])
	}
	for _, m := range regexp.MustCompile(`\bby \(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1], ",") {
			labels = append(labels, strings.TrimSpace(label))
		}
	}
	return labels
}
