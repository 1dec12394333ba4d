package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/join"
	"weir/cmd/weir/internal/term"
	"weir/server/record"
	"weir/upstream"
	"weir/upstream/process"
)

// upstreamRow is one upstream in weir ls --json.
type upstreamRow struct {
	Name      string        `json:"name"`
	Transport string        `json:"transport"`
	Era       string        `json:"era,omitempty"` // not known before the first handshake
	State     string        `json:"state"`
	Since     time.Time     `json:"since"` // of the state
	Version   string        `json:"version,omitempty"`
	Server    string        `json:"server,omitempty"` // name and version as the server gives them
	Tools     int           `json:"tools"`
	Prompts   int           `json:"prompts"`
	Resources int           `json:"resources"`
	Templates int           `json:"templates"`
	Tokens    int           `json:"tokens"` // estimated, of its visible tools
	Calls     uint64        `json:"calls"`  // for it since weir was started, but for those that were held back
	Errors    uint64        `json:"errors"` // those to which no answer came
	Restarts  int           `json:"restarts"`
	Stale     bool          `json:"stale"`
	Required  bool          `json:"required"`
	Reason    string        `json:"reason,omitempty"`
	Hint      string        `json:"hint,omitempty"`
	NextTry   time.Time     `json:"nextTry,omitzero"` // when one that failed is tried again
	Stderr    []string      `json:"stderr,omitempty"` // last lines, of one that is not ready
	Facts     process.Facts `json:"facts,omitempty"`  // what else is known about why
	Junk      uint64        `json:"junk,omitempty"`   // lines on standard output that were no messages
	Warnings  []string      `json:"warnings"`
	Endpoints []endpointRow `json:"endpoints,omitempty"` // of one that has several, in the order of the file
	Source    string        `json:"source"`              // gateway: as the one sees it that runs; look: as it was found
}

// endpointRow is one of the endpoints of an upstream.
type endpointRow struct {
	Address string    `json:"address"` // without the path
	Era     string    `json:"era,omitempty"`
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Tools   int       `json:"tools"`
	Reason  string    `json:"reason,omitempty"`
}

// ls is weir ls [FILE].
func (c *cli) ls() *cobra.Command {
	var q listErrand
	var standalone bool
	cmd := &cobra.Command{
		Use: "ls [FILE]", Short: "the upstreams: transport, era, state, since when, tools, and why not",
		Long: "List the upstreams. When weir serve runs with the same FILE for the same user, they are listed as it sees them, with what they were\n" +
			"called and how often they were lost (RESTARTS), and nothing is started; otherwise a gateway is started to look, and stopped again.\n" +
			"The last line on standard error, and source of --json, say which it was.",
		Example: "  weir ls\n  weir ls .mcp.json\n  weir ls --json",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := c.find(args)
			if err != nil {
				return err
			}
			q.Asked = cmd.Flags().Changed("wait")
			return c.list(cmd.Context(), path, standalone, &q)
		},
	}
	waitFlag(cmd, &q.Wait)
	standaloneFlag(cmd, &standalone)
	return cmd
}

// waitFlag adds --wait.
func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", defaultWait, "wait at most `SO LONG` for upstreams that are starting; 0 waits for all")
	must(cmd.RegisterFlagCompletionFunc("wait", cobra.NoFileCompletions))
}

// listErrand asks for the upstreams.
type listErrand struct{ patient }

func (q *listErrand) run(a *app.App, wait waiting) (*yield, error) {
	if err := wait(q.patient, a.Settled); err != nil {
		return nil, err
	}
	return &yield{Upstreams: rowsOf(a), Faults: a.Faults()}, nil
}

// list lists the upstreams as the gateway that runs for a file sees them, whatever is in the file by now, or else as they are found.
func (c *cli) list(ctx context.Context, path string, standalone bool, q *listErrand) error {
	source := "a gateway was started for this look alone"
	if !standalone {
		place, err := join.PlaceOf(path, c.env)
		var gateway *join.Conn
		if err == nil {
			gateway, err = join.Find(ctx, place)
		}
		if err == nil {
			return c.listRunning(ctx, path, gateway, q)
		}
		if errors.Is(err, join.ErrNone) {
			err = errors.New("no weir serve of yours runs for this file")
		}
		source = err.Error() + "; " + source
	}
	file, err := config.Read(path, c.env)
	if err != nil {
		return err
	}
	quiet := *file // who looks writes nothing down
	quiet.Audit.Dir, quiet.RequestLog.Database, quiet.Idempotency.Database, quiet.Export, quiet.Telemetry = "", "", "", nil, record.Telemetry{}
	y, err := c.alone(ctx, &quiet, &errand{List: q})
	if err != nil {
		return err
	}
	if !c.JSON {
		c.warn(file)
	}
	return c.showUpstreams(y, file.Name+": "+source)
}

// listRunning lists the upstreams of a gateway that runs, and says when it does not run with what is in the file now.
func (c *cli) listRunning(ctx context.Context, path string, gateway *join.Conn, q *listErrand) error {
	y, err := c.ask(ctx, gateway, &errand{List: q})
	if err != nil {
		return err
	}
	name := config.Show(path, c.env)
	source := name + ": as the gateway sees it that runs"
	if y.Gateway != nil {
		source += " " + y.Gateway.String()
	}
	switch file, err := config.Read(path, c.env); {
	case err != nil:
		source += "\n" + name + ": is not what it runs with, and cannot be taken: weir check"
	case !gateway.Runs(file.Expander):
		source += "\n" + name + ": it, or what the variables in it are here, is not what the gateway runs with"
	}
	return c.showUpstreams(y, source)
}

// showUpstreams prints rows; source says where they come from.
func (c *cli) showUpstreams(y *yield, source string) error {
	rows := y.Upstreams
	for i := range rows {
		if rows[i].Source = "look"; y.Gateway != nil {
			rows[i].Source = "gateway"
		}
	}
	if c.JSON {
		return c.PrintJSON(append([]upstreamRow{}, rows...))
	}
	c.Printf("%s", tableOf(rows, time.Now(), y.Gateway != nil).String(c.ColorOut))
	c.facts(rows)
	for _, f := range y.Faults {
		c.Note("%s", term.Paint(term.Line(f), term.Red, c.ColorErr))
	}
	c.Note("%s", source)
	return nil
}

// rowsOf describes the upstreams of a.
func rowsOf(a *app.App) []upstreamRow {
	rows := []upstreamRow{}
	view := a.View()
	snapshot := view.Snapshot()
	for _, s := range a.Status() {
		r := upstreamRowOf(s)
		for _, p := range snapshot.Problems() {
			if p.Upstream == s.Name {
				r.Warnings = append(r.Warnings, p.Reason)
			}
		}
		for _, e := range snapshot.Entries() {
			if e.Ref.Upstream == s.Name && isTool(view, e) {
				r.Tokens += tokens(e)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// upstreamRowOf describes one upstream.
func upstreamRowOf(s upstream.Status) upstreamRow {
	r := upstreamRow{
		Name: s.Name, Transport: s.Transport, Era: s.Era, State: stateWord(s.State), Since: s.Since.UTC(), Version: s.Version,
		Server: strings.TrimSpace(s.ServerName + " " + s.ServerVer), Tools: s.Tools, Prompts: s.Prompts, Resources: s.Resources,
		Templates: s.Templates, Calls: s.Calls, Errors: s.Errors, Restarts: s.Restarts, Stale: s.Stale, Required: s.Required,
		Reason: s.Reason, Hint: s.Hint, NextTry: s.NextTry.UTC(), Junk: s.Junk, Warnings: []string{},
	}
	if s.State != upstream.Ready && s.State != upstream.Idle {
		r.Stderr, r.Facts = s.Stderr, s.Facts
	}
	for _, e := range s.Endpoints {
		r.Endpoints = append(r.Endpoints, endpointRow{Address: e.Address, Era: e.Era, State: stateWord(e.State), Since: e.Since.UTC(), Tools: e.Tools, Reason: e.Reason})
		for _, p := range e.Problems {
			r.Warnings = append(r.Warnings, e.Address+": "+p.Reason)
		}
	}
	for _, p := range s.Problems {
		r.Warnings = append(r.Warnings, p.Reason)
	}
	return r
}

// stateWord is a state as people read it.
func stateWord(s upstream.State) string { return strings.ReplaceAll(string(s), "_", "-") }

// tableOf lays the upstreams out, those of several endpoints with a line for each below. What was counted is shown of a gateway that runs.
func tableOf(rows []upstreamRow, now time.Time, counted bool) *term.Table {
	t := &term.Table{}
	head := []string{"NAME", "TRANSPORT", "ERA", "STATE", "SINCE", "TOOLS"}
	if counted {
		head = append(head, "CALLS", "ERRORS", "RESTARTS")
	}
	t.Head(append(head, "WHY NOT")...)
	number := func(n uint64) term.Cell { return term.Cell{Text: strconv.FormatUint(n, 10), Right: true} }
	for _, r := range rows {
		cells := []term.Cell{{Text: r.Name, Style: term.Bold}, {Text: r.Transport}, {Text: orDash(r.Era)}, stateCell(r.State), {Text: ago(now.Sub(r.Since))}, number(uint64(r.Tools))}
		if counted {
			cells = append(cells, number(r.Calls), number(r.Errors), number(uint64(r.Restarts)))
		}
		why := strings.TrimPrefix(r.Reason, r.Name+": ")
		if left := r.NextTry.Sub(now); counted && left > 0 {
			why += "; next try in " + ago(left)
		}
		t.Row(append(cells, term.Cell{Text: why})...)
		for _, e := range r.Endpoints {
			cells := []term.Cell{{Text: "  " + e.Address}, {}, {Text: orDash(e.Era)}, stateCell(e.State), {Text: ago(now.Sub(e.Since))}, number(uint64(e.Tools))}
			if counted {
				cells = append(cells, term.Cell{}, term.Cell{}, term.Cell{})
			}
			t.Row(append(cells, term.Cell{Text: strings.TrimPrefix(e.Reason, r.Name+": ")})...)
		}
	}
	return t
}

// stateCell is a state in its colour.
func stateCell(state string) term.Cell {
	style := term.Red
	switch upstream.State(state) {
	case upstream.Ready:
		style = term.Green
	case upstream.Idle, upstream.Disabled, upstream.Stopped:
		style = term.Dim
	default:
	}
	return term.Cell{Text: state, Style: style}
}

// facts writes what else there is to know to standard error: warnings, and what could be done.
func (c *cli) facts(rows []upstreamRow) {
	for _, r := range rows {
		for _, w := range r.Warnings {
			c.Note("%s", term.Paint(term.Line(w), term.Yellow, c.ColorErr))
		}
		if r.Reason == "" {
			continue
		}
		if len(r.Facts) > 0 {
			c.Note("%s", term.Line(r.Name+":"))
		}
		for _, x := range r.Facts {
			c.Note("%s", strings.TrimRight(fmt.Sprintf("  %-11s %s", x.Name, term.Line(x.Text)), " "))
		}
		if len(r.Facts) > 0 {
			r.Stderr = nil // the facts hold what of it matters
		}
		for i, line := range r.Stderr[max(0, len(r.Stderr)-3):] {
			if i == 0 {
				c.Note("%s", term.Line(r.Name+": stderr"))
			}
			c.Note("  %s", term.Line(line))
		}
		if r.Hint != "" {
			c.Note("%s", term.Line(r.Name+": fix  "+r.Hint))
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ago is a duration in its one or two largest units.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
