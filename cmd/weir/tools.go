package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/term"
	"weir/upstream"
)

// toolRow is one tool in weir tools --json.
type toolRow struct {
	Ref         string          `json:"ref"`  // upstream/name, for people and policy
	Name        string          `json:"name"` // public, as models see it
	Upstream    string          `json:"upstream"`
	Description string          `json:"description"`
	Tokens      int             `json:"tokens"` // estimated
	InputSchema json.RawMessage `json:"inputSchema"`
}

// withheldRow is one item that is left out.
type withheldRow struct {
	Upstream string `json:"upstream"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Reason   string `json:"reason"`
	Fix      string `json:"fix,omitempty"`
}

// toolList is the form of weir tools --json.
type toolList struct {
	Tools    []toolRow     `json:"tools"`
	Withheld []withheldRow `json:"withheld"`
	Missing  []string      `json:"missing"` // why upstreams are not there
	Hidden   int           `json:"hidden"`  // tools that the policy keeps from the caller
	Tokens   int           `json:"tokens"`  // of all tools listed
}

// tools is weir tools [PATTERN].
func (c *cli) tools() *cobra.Command {
	var q toolsErrand
	var caller asking
	var verbose, standalone bool
	cmd := &cobra.Command{
		Use: "tools [PATTERN]", Short: "what there is to call, what it costs in tokens, and what is withheld",
		Long: "List the tools. PATTERN is a glob on Ref or public name (github/*), or a text to find in names and descriptions.\n" +
			"TOKENS is what a model pays to see the tool, estimated as its bytes divided by four. They are those of the weir serve that runs with the\n" +
			"same file and variables for the same user, if there is one.",
		Example: "  weir tools\n  weir tools 'github/*'\n  weir tools -v create_issue\n  weir tools --as group:eng",
		Args:    between(0, 1, ""), ValidArgsFunction: c.completeRefs,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := c.read(nil)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				q.Pattern = args[0]
			}
			if q.As == "" && cmd.Flags().Changed("with") {
				return usagef("weir tools --as WHO --with "+caller.with[0], "weir tools: --with goes with --as")
			}
			q.Asked = cmd.Flags().Changed("wait")
			q.With, q.Tenant, q.Attributes = caller.with, caller.tenant, caller.attributes
			y, err := c.errandTo(cmd.Context(), file, standalone, &errand{Tools: &q})
			if err != nil {
				return err
			}
			return c.showTools(y.Tools, &q, verbose)
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "whole descriptions and input schemas")
	cmd.Flags().StringVar(&q.As, "as", "", "list what `WHO` may use, such as group:eng, in place of the local user")
	must(cmd.RegisterFlagCompletionFunc("as", c.completeSubjects))
	caller.callerFlags(cmd)
	waitFlag(cmd, &q.Wait)
	standaloneFlag(cmd, &standalone)
	return cmd
}

// toolsErrand is what weir tools asks.
type toolsErrand struct {
	Pattern    string   `json:"pattern,omitempty"`
	As         string   `json:"as,omitempty"`
	With       []string `json:"with,omitempty"`
	Tenant     string   `json:"tenant,omitempty"`
	Attributes string   `json:"attributes,omitempty"`
	patient
}

// view is what a caller may see.
func (q *toolsErrand) view(a *app.App) (*catalog.View, error) {
	if q.As == "" {
		return a.View(), nil
	}
	caller := asking{with: q.With, tenant: q.Tenant, attributes: q.Attributes}
	who, err := caller.principal(a.Policy(), q.As)
	if err != nil {
		return nil, err
	}
	return a.Policy().ProfileOf(who, a.View().Snapshot()).View, nil
}

func (q *toolsErrand) run(a *app.App, wait waiting) (*yield, error) {
	if err := wait(q.patient, a.Settled); err != nil {
		return nil, err
	}
	view, err := q.view(a)
	if err != nil {
		return nil, err
	}
	list := toolsOf(view, q.Pattern)
	for _, s := range a.Status() {
		switch {
		case s.State == upstream.Idle:
		case s.Reason != "":
			list.Missing = append(list.Missing, s.Reason)
		case s.State == upstream.Starting:
			list.Missing = append(list.Missing, s.Name+": starting")
		}
	}
	return &yield{Tools: &list}, nil
}

// showTools prints what weir tools was asked.
func (c *cli) showTools(list *toolList, q *toolsErrand, verbose bool) error {
	switch {
	case c.JSON:
		return c.PrintJSON(list)
	case verbose:
		c.printTools(list.Tools)
	default:
		c.Printf("%s", c.toolTable(list.Tools))
	}
	for _, w := range list.Withheld {
		c.Note("%s", term.Line("withheld: "+w.Reason))
		if w.Fix != "" {
			c.Note("  fix  %s", term.Line(w.Fix))
		}
	}
	for _, why := range list.Missing {
		c.Note("not there: %s", term.Line(why))
	}
	c.Note("%s, about %d tokens", count(len(list.Tools), "tool"), list.Tokens)
	if q.Pattern == "" {
		if list.Hidden > 0 {
			c.Note("%s kept back by the policy; why: weir policy explain WHO REF", count(list.Hidden, "tool"))
		}
		c.warnMany(len(list.Tools))
	}
	return nil
}

// isTool reports whether e is a tool that the caller can call by its name.
func isTool(view *catalog.View, e *catalog.Entry) bool {
	return e.Kind == catalog.Tool && !e.Hidden && view.Visible(e)
}

// toolsOf lists the visible tools that match pattern, and what is withheld.
func toolsOf(view *catalog.View, pattern string) toolList {
	list := toolList{Tools: []toolRow{}, Withheld: []withheldRow{}, Missing: []string{}}
	for _, e := range view.Snapshot().Entries() {
		if e.Kind == catalog.Tool && !view.Visible(e) {
			list.Hidden++
		}
		if !isTool(view, e) {
			continue
		}
		raw := e.Raw(catalog.Modern)
		row := toolRow{
			Ref: e.Ref.String(), Name: e.Name, Upstream: e.Ref.Upstream, Tokens: tokens(e),
			Description: gjson.GetBytes(raw, "description").String(),
			InputSchema: json.RawMessage(gjson.GetBytes(raw, "inputSchema").Raw),
		}
		if matches(pattern, row.Ref, row.Name, row.Description) {
			list.Tools = append(list.Tools, row)
			list.Tokens += row.Tokens
		}
	}
	for _, p := range view.Snapshot().Problems() {
		if p.Withheld && matches(pattern, p.Upstream+"/"+p.Name, p.Name, "") {
			list.Withheld = append(list.Withheld, withheldRow{Upstream: p.Upstream, Kind: p.Kind.String(), Name: p.Name, Reason: p.Reason, Fix: p.Fix})
		}
	}
	return list
}

// tokens estimates what a model pays to see a tool.
func tokens(e *catalog.Entry) int { return (len(e.Raw(catalog.Modern)) + 3) / 4 }

// matches reports whether an entry is what pattern is about.
func matches(pattern, ref, name, description string) bool {
	if pattern == "" {
		return true
	}
	if strings.ContainsAny(pattern, "*?") {
		g := catalog.Glob(pattern)
		return g.Match(ref) || g.Match(name)
	}
	p := strings.ToLower(pattern)
	for _, s := range []string{ref, name, description} {
		if strings.Contains(strings.ToLower(s), p) {
			return true
		}
	}
	return false
}

// maxDescription bounds the description in the table, in characters.
const maxDescription = 60

func (c *cli) toolTable(rows []toolRow) string {
	t := &term.Table{}
	t.Head("REF", "NAME", "TOKENS", "DESCRIPTION")
	for _, r := range rows {
		first, _, _ := strings.Cut(strings.TrimSpace(r.Description), "\n")
		if short := []rune(first); len(short) > maxDescription {
			first = strings.TrimSpace(string(short[:maxDescription-3])) + "..."
		}
		t.Row(term.Cell{Text: r.Ref, Style: term.Bold}, term.Cell{Text: r.Name}, term.Cell{Text: strconv.Itoa(r.Tokens), Right: true}, term.Cell{Text: first})
	}
	return t.String(c.ColorOut)
}

// printTools prints tools in full.
func (c *cli) printTools(rows []toolRow) {
	for i, r := range rows {
		if i > 0 {
			c.Printf("\n")
		}
		c.Printf("%s\n  name    %s\n  tokens  %d\n", term.Paint(term.Line(r.Ref), term.Bold, c.ColorOut), term.Line(r.Name), r.Tokens)
		for line := range strings.Lines(term.Text(strings.TrimSpace(r.Description))) {
			c.Printf("  %s\n", strings.TrimRight(line, "\n"))
		}
		var schema bytes.Buffer
		if err := json.Indent(&schema, r.InputSchema, "  ", "  "); err == nil {
			c.Printf("  %s\n", term.Text(schema.String()))
		}
	}
}

// warnMany tells when a list is longer than what clients and models cope with.
func (c *cli) warnMany(n int) {
	limit := 0
	for _, l := range []int{40, 80, 128} {
		if n > l {
			limit = l
		}
	}
	if limit > 0 {
		c.Note("%s", term.Paint(fmt.Sprintf("more than %d tools: some clients take no more, and models choose worse; narrow them with include", limit), term.Yellow, c.ColorErr))
	}
}
