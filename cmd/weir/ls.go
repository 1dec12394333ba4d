package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
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
	Stale     bool          `json:"stale"`
	Required  bool          `json:"required"`
	Reason    string        `json:"reason,omitempty"`
	Hint      string        `json:"hint,omitempty"`
	Stderr    []string      `json:"stderr,omitempty"` // last lines, of one that is not ready
	Facts     process.Facts `json:"facts,omitempty"`  // what else is known about why
	Junk      uint64        `json:"junk,omitempty"`   // lines on standard output that were no messages
	Warnings  []string      `json:"warnings"`
	Endpoints []endpointRow `json:"endpoints,omitempty"` // of one that has several, in the order of the file
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
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "ls [FILE]", Short: "the upstreams: transport, era, state, since when, tools, and why not",
		Example: "  weir ls\n  weir ls .mcp.json\n  weir ls --json",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := c.read(args)
			if err != nil {
				return err
			}
			return c.list(cmd.Context(), file, wait)
		},
	}
	waitFlag(cmd, &wait)
	return cmd
}

// waitFlag adds --wait.
func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", defaultWait, "wait at most `SO LONG` for upstreams that are starting; 0 waits for all")
	must(cmd.RegisterFlagCompletionFunc("wait", cobra.NoFileCompletions))
}

func (c *cli) list(ctx context.Context, file *config.File, wait time.Duration) error {
	return c.with(ctx, file, wait, func(a *app.App) error {
		rows := rowsOf(a)
		if c.JSON {
			return c.PrintJSON(rows)
		}
		c.warn(file)
		c.Printf("%s", tableOf(rows, time.Now()).String(c.ColorOut))
		c.facts(rows)
		return nil
	})
}

// rowsOf describes the upstreams of a.
func rowsOf(a *app.App) []upstreamRow {
	rows := []upstreamRow{}
	snapshot := a.View().Snapshot()
	for _, s := range a.Status() {
		r := upstreamRow{
			Name: s.Name, Transport: s.Transport, Era: s.Era, State: stateWord(s.State), Since: s.Since.UTC(), Version: s.Version,
			Server: strings.TrimSpace(s.ServerName + " " + s.ServerVer), Tools: s.Tools, Prompts: s.Prompts, Resources: s.Resources,
			Templates: s.Templates, Stale: s.Stale, Required: s.Required, Reason: s.Reason, Hint: s.Hint, Junk: s.Junk, Warnings: []string{},
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
		for _, p := range snapshot.Problems() {
			if p.Upstream == s.Name {
				r.Warnings = append(r.Warnings, p.Reason)
			}
		}
		for _, e := range snapshot.Entries() {
			if e.Ref.Upstream == s.Name && e.Kind == catalog.Tool && !e.Hidden {
				r.Tokens += tokens(e)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// stateWord is a state as people read it.
func stateWord(s upstream.State) string { return strings.ReplaceAll(string(s), "_", "-") }

// tableOf lays the upstreams out, those of several endpoints with a line for each below.
func tableOf(rows []upstreamRow, now time.Time) *term.Table {
	t := &term.Table{}
	t.Head("NAME", "TRANSPORT", "ERA", "STATE", "SINCE", "TOOLS", "WHY NOT")
	line := func(name term.Cell, transport, era, state string, since time.Time, tools int, reason string) {
		style := term.Green
		switch upstream.State(state) {
		case upstream.Ready:
		case upstream.Idle, upstream.Disabled, upstream.Stopped:
			style = term.Dim
		default:
			style = term.Red
		}
		t.Row(name, term.Cell{Text: transport}, term.Cell{Text: orDash(era)}, term.Cell{Text: state, Style: style}, term.Cell{Text: ago(now.Sub(since))},
			term.Cell{Text: strconv.Itoa(tools), Right: true}, term.Cell{Text: reason})
	}
	for _, r := range rows {
		line(term.Cell{Text: r.Name, Style: term.Bold}, r.Transport, r.Era, r.State, r.Since, r.Tools, strings.TrimPrefix(r.Reason, r.Name+": "))
		for _, e := range r.Endpoints {
			line(term.Cell{Text: "  " + e.Address}, "", e.Era, e.State, e.Since, e.Tools, strings.TrimPrefix(e.Reason, r.Name+": "))
		}
	}
	return t
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
