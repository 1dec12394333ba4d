package bench

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Write prints the report as a table.
func (r *Report) Write(out io.Writer) error {
	var b bytes.Buffer // its writes do not fail
	_, _ = fmt.Fprintf(&b, "%s, %d cores, %.0f %% of them busy with other things before the run\n\n", r.Go, r.Cores, 100*r.Busy)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "case\ttarget\tCPU µs/call\t× proxy\tp50 µs\tp99 µs\tcalls/s\tcalls\terrors\ttruncated\t")
	var last Case
	for _, c := range r.Cells {
		name := ""
		if c.Case != last {
			name, last = c.String(), c.Case
		}
		ratio := "–"
		if c.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", c.Ratio)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%.1f\t%s\t%.0f\t%.0f\t%.0f\t%d\t%d\t%d\t\n",
			name, c.Target, c.CPU, ratio, c.P50, c.P99, c.Throughput, c.Calls, c.Errors, c.Truncated)
	}
	_ = w.Flush()
	for _, c := range r.Cells {
		if c.FirstError != "" {
			_, _ = fmt.Fprintf(&b, "\n%s %s: %s", c.Case, c.Target, c.FirstError)
		}
	}
	if r.WeirMemory > 0 {
		_, _ = fmt.Fprintf(&b, "\nweir: %.1f MiB resident after start, %.1f MiB at most\n", float64(r.WeirIdle)/(1<<20), float64(r.WeirMemory)/(1<<20))
	}
	if slices.ContainsFunc(r.Cells, func(c Cell) bool { return c.measure() == Weir }) {
		_, _ = fmt.Fprintln(&b, "\nIn cross, rules and record × is in terms of weir, before an upstream of the client's era, with no rules and no records.")
	}
	_, _ = fmt.Fprintln(&b, "\nCPU is that of the target's process, user and system; of direct, the upstream's own. Medians over rounds.")
	_, err := out.Write(b.Bytes())
	return err
}

// Failed is the number of calls, at any target but the proxies, that did not end well.
func (r *Report) Failed() int {
	n := 0
	for _, c := range r.Cells {
		if c.Target != Proxy && c.Target != Stock {
			n += c.Errors
		}
	}
	return n
}
