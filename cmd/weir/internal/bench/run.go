package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Options say how a run is made.
type Options struct {
	Cases  []Case
	Weir   string        // path of the weir binary; "" leaves weir out
	MCPGo  string        // path of the mcp-go server's binary, for cases that have it upstream
	Stock  bool          // measure [Stock] too
	Rounds int           // turns that each target gets
	Slice  time.Duration // length of a turn
	Warm   time.Duration // of each target before the first round
	// Progress is told what is measured next. It may be nil.
	Progress func(string)
}

// Cell is what was measured of one case at one target.
type Cell struct {
	Case
	Target string `json:"target"`
	// CPU is the CPU time of the target's process for one call, user and system, in microseconds: the median over rounds.
	CPU float64 `json:"cpu_us"`
	// Ratio is CPU in terms of the proxy's, in a case of kind Cross of weir's: the median over rounds of the ratio within a round. 0 when that is
	// not measured.
	Ratio      float64 `json:"ratio"`
	P50        float64 `json:"p50_us"` // of all rounds together, microseconds on the clock at the client
	P99        float64 `json:"p99_us"`
	Throughput float64 `json:"calls_per_second"` // median over rounds
	Calls      int     `json:"calls"`
	Errors     int     `json:"errors"`
	Truncated  int     `json:"truncated"`
	FirstError string  `json:"first_error,omitempty"`
}

// Report is a whole run.
type Report struct {
	Go    string  `json:"go"`
	Cores int     `json:"cores"`
	Busy  float64 `json:"busy"` // share of the cores that others used just before the run, 0 to 1
	Cells []Cell  `json:"cells"`
	// WeirMemory is the largest resident set of weir, in bytes, in any of its processes; WeirIdle the smallest just after its start.
	WeirMemory int64 `json:"weir_peak_rss,omitempty"`
	WeirIdle   int64 `json:"weir_idle_rss,omitempty"`
}

// Run measures all cases. A call that goes wrong is counted and does not end the run; a part that does not start does.
func Run(ctx context.Context, o Options) (*Report, error) {
	rep := &Report{Go: runtime.Version(), Cores: runtime.NumCPU()}
	var err error
	if rep.Busy, err = busy(time.Second); err != nil {
		return nil, err
	}
	cases := slices.Clone(o.Cases)
	slices.SortStableFunc(cases, func(a, b Case) int { // one site after the other, in the order of their first case
		return cmp.Compare(slices.IndexFunc(o.Cases, sameSite(a)), slices.IndexFunc(o.Cases, sameSite(b)))
	})
	for len(cases) > 0 {
		n := slices.IndexFunc(cases, func(c Case) bool { return c.site() != cases[0].site() })
		if n < 0 {
			n = len(cases)
		}
		if err := o.runSite(ctx, rep, cases[:n]); err != nil {
			return nil, err
		}
		cases = cases[n:]
	}
	return rep, nil
}

func sameSite(c Case) func(Case) bool {
	return func(other Case) bool { return other.site() == c.site() }
}

// runSite starts the parts that cases share, and measures them.
func (o Options) runSite(ctx context.Context, rep *Report, cases []Case) error {
	s := cases[0].site()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp("", "weirbench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	parts := map[string]*process{}
	defer func() {
		for _, p := range parts {
			p.stop()
		}
	}()
	if err := o.startParts(ctx, s, dir, parts); err != nil {
		return err
	}
	if w := parts[Weir]; w != nil {
		if now, _, err := memory(w.cmd.Process.Pid); err == nil && (rep.WeirIdle == 0 || now < rep.WeirIdle) {
			rep.WeirIdle = now
		}
	}
	for _, c := range cases {
		cells, err := o.runCase(ctx, c, parts)
		if err != nil {
			err = fmt.Errorf("%s: %w", c, err)
			for target, p := range parts {
				p.stop()
				if p.stderr.Len() > 0 {
					err = fmt.Errorf("%w\n%s said:\n%s", err, target, &p.stderr)
				}
			}
			clear(parts)
			return err
		}
		rep.Cells = append(rep.Cells, cells...)
	}
	if w := parts[Weir]; w != nil {
		if _, peak, err := memory(w.cmd.Process.Pid); err == nil {
			rep.WeirMemory = max(rep.WeirMemory, peak)
		}
	}
	return nil
}

// startParts starts what a site needs, each by the name of its target. What was started stands in parts even after an error.
func (o Options) startParts(ctx context.Context, s site, dir string, parts map[string]*process) error {
	up, err := o.startUpstream(ctx, s)
	if err != nil {
		return err
	}
	parts[Direct] = up
	proxy, err := startRole(ctx, Proxy, "-upstream", up.url)
	if err != nil {
		return err
	}
	parts[Proxy] = proxy
	if o.Stock {
		if parts[Stock], err = startRole(ctx, Stock, "-upstream", up.url); err != nil {
			delete(parts, Stock)
			return err
		}
	}
	if o.Weir == "" {
		return nil
	}
	spec := map[string]any{"url": up.url}
	if s.upstream == Stdio {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		spec = map[string]any{
			"command": exe, "args": []string{roleArg, Stdio, "-tools", fmt.Sprint(s.tools)},
			"env": map[string]string{"GOMAXPROCS": fmt.Sprint(runtime.NumCPU())},
		}
	}
	for _, target := range []string{Weir, s.other} {
		if target == "" {
			continue
		}
		spec["era"] = s.era
		config, token := map[string]any{}, ""
		switch target {
		case Crossed:
			spec["era"] = otherEra(s.era)
		case Guarded:
			if token, err = guard(config, dir); err != nil {
				return err
			}
		case Recorded, RecordedReads:
			recordEverything(config, filepath.Join(dir, target))
			if target == RecordedReads {
				config["policy"] = map[string]any{"annotations": map[string]any{"readOnly": []string{"up/*"}}, "grants": map[string]any{"user:local": []string{"*/*"}}}
			}
		}
		config["mcpServers"] = map[string]any{"up": spec}
		weir, err := startWeir(ctx, o.Weir, filepath.Join(dir, target+".json"), config, token, max(1, s.tools))
		if err != nil {
			return err
		}
		parts[target] = weir
	}
	return nil
}

// startUpstream starts the server over HTTP; for stdio that is what the proxy stands before.
func (o Options) startUpstream(ctx context.Context, s site) (*process, error) {
	if s.upstream == MCPGo {
		return startServer(ctx, o.MCPGo)
	}
	return startRole(ctx, Lean, "-tools", fmt.Sprint(s.tools))
}

// lane is one target of a case while it is measured.
type lane struct {
	Cell
	load       *load
	pid        int
	cpus, rate []float64
	ratios     []float64
	latency    []time.Duration
}

// runCase gives each target its turns.
func (o Options) runCase(ctx context.Context, c Case, parts map[string]*process) ([]Cell, error) {
	if o.Progress != nil {
		o.Progress(c.String())
	}
	lanes, err := o.open(ctx, c, parts)
	defer func() {
		for _, l := range lanes {
			l.load.close()
		}
	}()
	if err != nil {
		return nil, err
	}
	for round := range o.Rounds {
		perCall := map[string]float64{}
		for i := range lanes {
			l := lanes[(i+round)%len(lanes)] // who comes first changes from round to round
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			us, err := l.turn(o.Slice)
			if err != nil {
				return nil, err
			}
			perCall[l.Target] = us
		}
		for _, l := range lanes {
			if base := perCall[c.measure()]; base > 0 && perCall[l.Target] > 0 {
				l.ratios = append(l.ratios, perCall[l.Target]/base)
			}
		}
	}
	cells := make([]Cell, len(lanes))
	for i, l := range lanes {
		cells[i] = l.sum()
	}
	return cells, nil
}

// open connects to each target of c and warms it. The lanes it returns are to be closed even after an error.
func (o Options) open(ctx context.Context, c Case, parts map[string]*process) (lanes []*lane, err error) {
	for _, target := range c.targets() {
		p := parts[target]
		if p == nil {
			continue
		}
		var session string
		if c.Era == Legacy {
			if session, err = openSession(ctx, p.url); err != nil {
				return lanes, fmt.Errorf("%s: %w", target, err)
			}
		}
		ld, err := newLoad(c, p.url, c.tool(target), session, p.token)
		if err != nil {
			return lanes, fmt.Errorf("%s: %w", target, err)
		}
		l := &lane{Cell: Cell{Case: c, Target: target}, load: ld, pid: p.cmd.Process.Pid}
		lanes = append(lanes, l)
		if t := ld.run(o.Warm, 0); t.calls == 0 {
			return lanes, fmt.Errorf("%s: no call succeeds: %w", target, t.firstErr)
		}
	}
	return lanes, nil
}

// turn loads the target for one slice and returns the CPU time per call, in microseconds.
func (l *lane) turn(d time.Duration) (float64, error) {
	before, err := cpu(l.pid)
	if err != nil {
		return 0, err
	}
	t := l.load.run(d, 0)
	after, err := cpu(l.pid)
	if err != nil {
		return 0, err
	}
	l.Calls += t.calls
	l.Errors += t.errors
	l.Truncated += t.truncated
	if t.firstErr != nil && l.FirstError == "" {
		l.FirstError = t.firstErr.Error()
	}
	if t.calls == 0 {
		return 0, nil
	}
	us := float64(after-before) / 1e3 / float64(t.calls)
	l.cpus = append(l.cpus, us)
	l.rate = append(l.rate, float64(t.calls)/t.wall.Seconds())
	l.latency = append(l.latency, t.latency...)
	return us, nil
}

func (l *lane) sum() Cell {
	slices.Sort(l.latency)
	l.CPU, l.Ratio, l.Throughput = median(l.cpus), median(l.ratios), median(l.rate)
	l.P50, l.P99 = float64(percentile(l.latency, 0.50))/1e3, float64(percentile(l.latency, 0.99))/1e3
	return l.Cell
}
