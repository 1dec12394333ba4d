package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/term"
	"weir/server/record/requestlog"
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
		Use: "log", Short: "what was called, by whom, how long it took, what came of it",
		Long:    "Show the requests in the request log (requestLog.database of the configuration), the oldest first.",
		Example: "  weir log\n  weir log -f --failed\n  weir log --tool github/create_issue --since 24h --json",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.since > 0 {
				o.filter.Since = time.Now().Add(-o.since)
			}
			if o.tool != "" {
				var ok bool
				if o.filter.Upstream, o.filter.Name, ok = strings.Cut(o.tool, "/"); !ok {
					return &term.UsageError{Msg: "--tool: want upstream/name, got " + o.tool, Hint: "weir tools"}
				}
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
	file.RequestLog.Keep = 0 // whoever looks removes nothing
	l, err := app.OpenRequests(file, slog.New(slog.DiscardHandler))
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
	if err := c.printRequests(rows); err != nil || !follow {
		return err
	}
	return c.followLog(ctx, l, f, rows)
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
		what := r.Method
		if r.Upstream != "" {
			what += " " + r.Upstream + "/" + r.Name
		}
		c.Printf("%s  %-24s  %-40s  %8s  %s\n", r.At.Local().Format("2006-01-02 15:04:05"), term.Line(r.Who), term.Line(what), fmt.Sprintf("%.1fms", r.Millis), outcomeText(r))
	}
	return nil
}

// outcomeText is how a request ended, with the reason where there is one.
func outcomeText(r requestlog.Row) string {
	text := r.Outcome
	if r.Reason != "" {
		text += "  " + r.Reason
	}
	if r.Execution != "" {
		text += " (" + r.Execution + ")"
	}
	return term.Line(text)
}

// printLine writes a value as one line of JSON.
func (c *cli) printLine(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		c.Printf("%s\n", b)
	}
	return err
}
