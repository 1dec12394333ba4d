package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
	"weir/server/record/requestlog"
	"weir/upstream/process"
)

// lookAgain is how often weir log -f looks for new requests.
const lookAgain = 300 * time.Millisecond

// log is weir log.
func (c *cli) log() *cobra.Command {
	var o struct {
		follow bool
		since  time.Duration
		tool   string
		limit  int
		filter requestlog.Filter
	}
	cmd := &cobra.Command{
		Use: "log [ID]", Short: "what was called, by whom, how long it took, what came of it",
		Long: "Show the requests in the request log (requestLog.database of the configuration), the oldest first. Of the request ID everything is\n" +
			"shown, and where the audit log has it.",
		Example: "  weir log\n  weir log -f --failed\n  weir log --tool github/create_issue --since 24h --json\n  weir log hod8pcsp5p-xqc6dr-3",
		Args:    between(0, 1, ""), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.since > 0 {
				o.filter.Since = time.Now().Add(-o.since)
			}
			if o.tool != "" {
				var ok bool
				if o.filter.Upstream, o.filter.Name, ok = strings.Cut(o.tool, "/"); !ok {
					return &term.UsageError{Msg: "--tool: want upstream/name, got " + o.tool, Hint: "weir tools"}
				}
			}
			if len(args) > 0 {
				o.filter.ID = args[0]
			}
			return c.showLog(cmd.Context(), o.filter, o.limit, o.follow)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "go on showing requests as they end")
	f.DurationVar(&o.since, "since", 0, "show requests of the last `TIME`, such as 24h")
	f.StringVar(&o.tool, "tool", "", "show requests of one tool, prompt or resource, `upstream/name`")
	f.StringVar(&o.filter.Upstream, "upstream", "", "show requests of one `UPSTREAM`")
	f.StringVar(&o.filter.Who, "who", "", "show requests of one caller, such as `user:NAME`")
	f.StringVar(&o.filter.Trace, "trace", "", "show the requests of one trace `ID`")
	f.BoolVar(&o.filter.Failed, "failed", false, "show requests that failed")
	f.BoolVar(&o.filter.Denied, "denied", false, "show requests that were refused")
	f.IntVarP(&o.limit, "limit", "n", 50, "show at most so `MANY`, the newest; up to 1000")
	for _, name := range []string{"since", "tool", "upstream", "who", "trace", "limit"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return cmd
}

func (c *cli) showLog(ctx context.Context, f requestlog.Filter, limit int, follow bool) (err error) {
	file, err := c.read(nil)
	if err != nil {
		return err
	}
	if file.RequestLog.Database == "" {
		return &term.UsageError{Msg: file.Name + ": keeps no request log", Hint: "add   requestLog: { database: requests.db }   and restart the gateway"}
	}
	l, err := openLog(ctx, file)
	if err != nil {
		return err
	}
	defer func() {
		if e := l.Close(); err == nil {
			err = e
		}
	}()
	rows, _, err := l.List(ctx, f, "", limit)
	if err != nil {
		return err
	}
	slices.Reverse(rows)
	switch {
	case f.ID != "" && len(rows) == 0:
		return &catalog.Error{Code: catalog.NotFound, Msg: file.Name + ": the log has no request " + f.ID, Hint: "weir log"}
	case f.ID != "" && !c.JSON:
		return c.printWhole(file, &rows[0])
	case len(rows) == 0 && !follow && !c.JSON:
		c.Note("%s: no such request in the log", file.Name)
	}
	if !c.JSON && (len(rows) > 0 || follow) {
		c.Printf(logLine, "TIME", "ID", "WHO", "WHAT", "TOOK", "OUTCOME")
	}
	if err := c.printRequests(rows); err != nil || !follow {
		return err
	}
	return c.followLog(ctx, l, f, rows)
}

// openLog opens the request log to look at it, which makes none.
func openLog(ctx context.Context, file *config.File) (*requestlog.Log, error) {
	name := file.RequestLog.Database
	if !strings.Contains(name, "://") {
		path, err := file.Expander.Expand(name)
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file.Path), path)
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, &catalog.Error{Code: catalog.NotFound, Msg: name + ": there is no request log yet", Hint: "weir serve"}
		}
	}
	return app.LookAtRequests(ctx, file)
}

// followLog shows what is new. Rows are written when requests end, so a row may come that began before one that was shown.
func (c *cli) followLog(ctx context.Context, l *requestlog.Log, f requestlog.Filter, shown []requestlog.Row) error {
	const late = time.Minute
	seen := make(map[string]time.Time)
	for _, r := range shown {
		seen[r.ID] = r.At
	}
	began := time.Now()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if f.Since = time.Now().Add(-late); f.Since.Before(began) {
			f.Since = began
		}
		rows, _, err := l.List(ctx, f, "", requestlog.MaxRows)
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(r requestlog.Row) bool { _, ok := seen[r.ID]; return ok })
		slices.Reverse(rows)
		for _, r := range rows {
			seen[r.ID] = r.At
		}
		for id, at := range seen {
			if time.Since(at) > 2*late {
				delete(seen, id)
			}
		}
		if err := c.printRequests(rows); err != nil {
			return err
		}
	}
}

// printRequests writes one line for each request; with --json one JSON object on each.
func (c *cli) printRequests(rows []requestlog.Row) error {
	for _, r := range rows {
		if c.JSON {
			if err := c.printLine(r); err != nil {
				return err
			}
			continue
		}
		c.Printf(logLine, r.At.Local().Format(time.DateTime), r.ID, term.Line(r.Who), term.Line(whatOf(&r)), fmt.Sprintf("%.1fms", r.Millis), outcomeText(&r))
	}
	return nil
}

// logLine is the form of a line: time, id, who, what, how long, outcome.
const logLine = "%-19s  %-21s  %-24s  %-40s  %8s  %s\n"

// whatOf is what a request asked for.
func whatOf(r *requestlog.Row) string {
	if r.Upstream == "" {
		return r.Method
	}
	return r.Method + " " + r.Upstream + "/" + r.Name
}

// outcomeText is how a request ended: which rule refused it, whether it was executed, and the reason.
func outcomeText(r *requestlog.Row) string {
	text := r.Outcome
	if refused(r) && r.Rule != "" {
		text += " by " + r.Rule
	}
	if e := executed(r); e != "" {
		text += ", " + e
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return term.Line(text)
}

// refused reports whether the policy kept the caller from it, perhaps without saying that there is such a thing.
func refused(r *requestlog.Row) bool {
	return r.Outcome == string(catalog.Denied) || r.Outcome == string(catalog.NotFound)
}

// executed is what is known of that, "" where it goes without saying.
func executed(r *requestlog.Row) string {
	if r.Execution == "" && (refused(r) || r.Outcome == string(catalog.Invalid) || r.Outcome == string(catalog.Unauthenticated)) && r.Upstreams == 0 {
		return catalog.NotExecuted.String()
	}
	return r.Execution
}

// printWhole shows everything about one request.
func (c *cli) printWhole(file *config.File, r *requestlog.Row) error {
	what := whatOf(r)
	if r.Kind != "" {
		what += fmt.Sprintf(" (%s, %s)", r.Kind, r.Era)
	}
	decision := "none was needed"
	switch {
	case r.Rule != "" && refused(r):
		decision = "denied: " + r.Rule
	case r.Rule != "":
		decision = "allowed: " + r.Rule
	}
	outcome := r.Outcome
	if e := executed(r); e != "" {
		outcome += ", " + e
	}
	kept := "none is kept (audit.dir)"
	if file.Audit.Dir != "" {
		dir, err := app.AuditDir(file)
		if err != nil {
			return err
		}
		kept = "grep -rh " + r.ID + " " + dir
	}
	c.Printf("%s\n", r.ID)
	for _, x := range []process.Fact{
		{Name: "at", Text: r.At.Format(time.RFC3339Nano)},
		{Name: "took", Text: fmt.Sprintf("%.1fms, of it %.1fms waiting for a turn and %.1fms with the upstream", r.Millis, r.Queue, r.Upstreams)},
		{Name: "who", Text: r.Who},
		{Name: "from", Text: r.Address},
		{Name: "what", Text: what},
		{Name: "arguments", Text: r.Arguments},
		{Name: "result", Text: r.Result},
		{Name: "decision", Text: decision},
		{Name: "outcome", Text: outcome},
		{Name: "reason", Text: r.Reason},
		{Name: "size", Text: fmt.Sprintf("%d bytes in, %d out", r.In, r.Out)},
		{Name: "trace", Text: r.Trace},
		{Name: "audit", Text: kept},
	} {
		if x.Text != "" {
			c.Printf("  %-11s %s\n", x.Name, term.Line(x.Text))
		}
	}
	return nil
}

// printLine writes a value as one line of JSON.
func (c *cli) printLine(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		c.Printf("%s\n", b)
	}
	return err
}
