package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"weir/upstream/upstreamtest"
)

// family is a metric as it was scraped: what a graph reads are the names of its series.
type family struct {
	kind   dto.MetricType
	series []map[string]string // labels
}

// scrape gets the metrics of a gateway that serves, by the names of their series.
func scrape(t *testing.T, address string) map[string]family {
	t.Helper()
	var families map[string]*dto.MetricFamily
	for deadline := time.Now().Add(within); len(families) == 0; {
		if r, err := http.Get("http://" + address + "/metrics"); err == nil {
			p := expfmt.NewTextParser(model.UTF8Validation)
			families, err = p.TextToMetricFamilies(r.Body)
			_ = r.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("/metrics does not answer")
		}
	}
	all := make(map[string]family)
	for name, f := range families {
		for _, m := range f.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			add := func(name string, labels map[string]string) {
				all[name] = family{f.GetType(), append(all[name].series, labels)}
			}
			if f.GetType() != dto.MetricType_HISTOGRAM {
				add(name, labels)
				continue
			}
			add(name+"_count", labels)
			add(name+"_sum", labels)
			for _, bucket := range m.Histogram.Bucket {
				with := maps.Clone(labels)
				with["le"] = fmt.Sprint(bucket.GetUpperBound())
				add(name+"_bucket", with)
			}
		}
	}
	return all
}

// TestR24_Dashboard: after real calls the real endpoint has what every query of the example's dashboard picks, by labels that are there, and in a form that is
// of use: counters by rate, quantiles of buckets.
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
	if o, err := a.Call(t.Context(), "notes__nothing", []byte(`{}`)); err == nil {
		t.Fatalf("a tool that is not there answered %s", o.Result)
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
	queries := parser.NewParser(parser.Options{})
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			expr, err := queries.ParseExpr(target.Expr)
			if err != nil {
				t.Errorf("%s: %v", p.Title, err)
				continue
			}
			for _, fault := range faults(expr, series) {
				t.Errorf("%s: %s", p.Title, fault)
			}
		}
	}
}

// TestFaultsOfQueries: the check finds what a graph would silently show nothing for.
func TestFaultsOfQueries(t *testing.T) {
	series := map[string]family{
		"calls_count":  {dto.MetricType_HISTOGRAM, []map[string]string{{"tool": "a", "error": "x"}, {"tool": "b"}}},
		"calls_bucket": {dto.MetricType_HISTOGRAM, []map[string]string{{"tool": "a", "le": "1"}}},
		"open":         {dto.MetricType_GAUGE, []map[string]string{{"tool": "a"}}},
	}
	queries := parser.NewParser(parser.Options{})
	for query, want := range map[string]string{
		`sum by (tool) (rate(calls_count{error!=""}[5m]))`:                    "",
		`histogram_quantile(0.9, sum by (le, tool) (rate(calls_bucket[5m])))`: "",
		`sum(open)`:                                                       "",
		`sum(rate(calls_total[5m]))`:                                      "there is no series calls_total",
		`sum(rate(calls_count{tol="a"}[5m]))`:                             "calls_count has no label tol",
		`sum(rate(calls_count{tool="c"}[5m]))`:                            `calls_count has no series with {tool="c"}`,
		`sum by (tol) (rate(calls_count[5m]))`:                            "calls_count has no label tol",
		`sum(rate(open[5m]))`:                                             "rate of open, which is a GAUGE",
		`sum(calls_count)`:                                                "calls_count counts, and is read without rate or increase",
		`histogram_quantile(0.9, sum by (le) (rate(calls_count[5m])))`:    "histogram_quantile of calls_count, which are no buckets|calls_count has no label le",
		`histogram_quantile(0.9, sum by (tool) (rate(calls_bucket[5m])))`: "histogram_quantile of what is not by le",
		`1 + 1`: "asks for no series of weir",
	} {
		expr, err := queries.ParseExpr(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(faults(expr, series), "|"); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// faults says why an expression would show nothing, or nothing that means anything, though the series of weir are there.
func faults(expr parser.Expr, series map[string]family) (all []string) {
	found := false
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		found = true
		f, ok := series[selector.Name]
		if !ok {
			all = append(all, "there is no series "+selector.Name)
			return nil
		}
		all = append(all, f.matched(selector)...)
		all = append(all, f.used(selector.Name, path)...)
		return nil
	})
	if !found {
		return []string{"asks for no series of weir"}
	}
	return all
}

// has reports whether any series has a label.
func (f family) has(label string) bool {
	return slices.ContainsFunc(f.series, func(s map[string]string) bool { return s[label] != "" })
}

// matched looks for what a selector picks.
func (f family) matched(s *parser.VectorSelector) (all []string) {
	for _, m := range s.LabelMatchers {
		if m.Name != model.MetricNameLabel && !f.has(m.Name) {
			return []string{s.Name + " has no label " + m.Name}
		}
	}
	picked := slices.ContainsFunc(f.series, func(labels map[string]string) bool {
		return !slices.ContainsFunc(s.LabelMatchers, func(m *promlabels.Matcher) bool { return m.Name != model.MetricNameLabel && !m.Matches(labels[m.Name]) })
	})
	if !picked {
		return []string{fmt.Sprintf("%s has no series with %s", s.Name, strings.TrimPrefix(s.String(), s.Name))}
	}
	return nil
}

// used looks at what is done with a series: path leads to it from the whole expression.
func (f family) used(name string, path []parser.Node) (all []string) {
	counted, quantile, byLE := false, false, false
	for _, node := range path {
		switch n := node.(type) {
		case *parser.Call:
			switch n.Func.Name {
			case "rate", "increase", "irate":
				counted = true
				if f.kind == dto.MetricType_GAUGE {
					all = append(all, fmt.Sprintf("%s of %s, which is a %s", n.Func.Name, name, f.kind))
				}
			case "histogram_quantile":
				quantile = true
				if !strings.HasSuffix(name, "_bucket") {
					all = append(all, "histogram_quantile of "+name+", which are no buckets")
				}
			}
		case *parser.AggregateExpr:
			byLE = byLE || slices.Contains(n.Grouping, "le") != n.Without
			for _, label := range n.Grouping {
				if !f.has(label) {
					all = append(all, name+" has no label "+label)
				}
			}
		}
	}
	if !counted && f.kind != dto.MetricType_GAUGE {
		all = append(all, name+" counts, and is read without rate or increase")
	}
	if quantile && !byLE {
		all = append(all, "histogram_quantile of what is not by le")
	}
	return all
}
