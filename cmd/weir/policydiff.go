package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"weir/catalog"
	"weir/cmd/weir/internal/term"
	"weir/policy"
)

// changeRow is what a caller gains or loses, in weir policy diff --json.
type changeRow struct {
	Who    string `json:"who"`
	Change string `json:"change"` // gains or loses
	Action string `json:"action"`
	Ref    string `json:"ref"`
	Was    string `json:"was"` // allow, depends (on the request) or deny
	WasBy  string `json:"wasBy"`
	Is     string `json:"is"`
	IsBy   string `json:"isBy"`
}

// comparison is what weir policy diff is asked.
type comparison struct {
	asking
	as   []string
	log  string
	wait time.Duration
}

// policyDiff is weir policy diff OLD NEW.
func (c *cli) policyDiff() *cobra.Command {
	var q comparison
	cmd := &cobra.Command{
		Use: "diff OLD NEW", Short: "who gains or loses what between two policies",
		Long: "Compare the policies of two files over what the upstreams of the configuration offer, for everyone that either of them names, or for\n" +
			"--as WHO. With --log FILE decide the calls of an audit log by both (JSON lines; - is standard input) and list those that would be\n" +
			"decided otherwise; no upstream is started then.",
		Example: "  weir policy diff old.yaml weir.yaml\n  weir policy diff old.yaml weir.yaml --as group:eng\n" +
			"  weir policy diff old.yaml weir.yaml --log audit.jsonl",
		Args: between(2, 2, "two files"), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error { return c.diff(cmd.Context(), args[0], args[1], &q) },
	}
	q.callerFlags(cmd)
	cmd.Flags().StringArrayVar(&q.as, "as", nil, "compare for `WHO` only, such as group:eng; may be repeated")
	cmd.Flags().StringVar(&q.log, "log", "", "decide the recorded calls of `FILE` by both")
	must(cmd.RegisterFlagCompletionFunc("as", c.completeSubjects))
	waitFlag(cmd, &q.wait)
	return cmd
}

func (c *cli) diff(ctx context.Context, older, newer string, q *comparison) error {
	var both [2]*policy.Policy
	for i, path := range []string{older, newer} {
		c.config = "" // the files are named
		rules, err := c.untested([]string{path})
		if err != nil {
			return err
		}
		both[i] = rules.Policy
	}
	if q.log != "" {
		calls, err := c.recorded(both[1], q.log)
		if err != nil {
			return err
		}
		changes := policy.Replay(both[0], both[1], nil, calls)
		return c.printChanges(changes, policy.Principal.String, fmt.Sprintf("%d of %s would be decided otherwise", len(changes), count(len(calls), "recorded call")))
	}
	who, names, err := q.callers(both)
	if err != nil {
		return err
	}
	file, err := c.read([]string{newer})
	if err != nil {
		return err
	}
	return c.snapshotOf(ctx, file, q.wait, func(s *catalog.Snapshot) error {
		if len(s.Entries()) == 0 {
			return catalog.Errorf(catalog.Unavailable, "%s: no upstream offers anything to compare the policies by", file.Name)
		}
		changes := policy.Diff(both[0], both[1], s, who)
		name := func(p policy.Principal) string { return names[slices.Index(who, p)] }
		return c.printChanges(changes, name, fmt.Sprintf("%s for %s", count(len(changes), "change"), count(len(who), "caller")))
	})
}

// callers are those to compare for, and what they are called.
func (q *comparison) callers(both [2]*policy.Policy) (who []policy.Principal, names []string, err error) {
	names = q.as
	if len(names) == 0 {
		names = slices.Concat(both[0].Subjects(), both[1].Subjects(), []string{policy.LocalUser().String()})
		slices.Sort(names)
		names = slices.Compact(names)
	}
	for _, name := range names {
		p, err := q.principal(both[1], name)
		if err != nil {
			return nil, nil, err
		}
		who = append(who, p)
	}
	return who, names, nil
}

// maxRecord bounds a line of an audit log, in bytes.
const maxRecord = 16 << 20

// recorded reads the calls of an audit log.
func (c *cli) recorded(p *policy.Policy, path string) ([]policy.Recorded, error) {
	r, done, err := c.openInput(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var calls []policy.Recorded
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRecord)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		call, ok, err := p.ReadRecorded(slices.Clone(lines.Bytes()), nil)
		if err != nil {
			return nil, catalog.Errorf(catalog.Invalid, "%s:%d: not a record: %v", path, n, err)
		}
		if ok {
			calls = append(calls, call)
		}
	}
	return calls, lines.Err()
}

// printChanges lists changes; name says what a caller is called.
func (c *cli) printChanges(changes []policy.Change, name func(policy.Principal) string, summary string) error {
	rows := make([]changeRow, 0, len(changes))
	for _, x := range changes {
		change := "gains"
		if x.Is < x.Was {
			change = "loses"
		}
		rows = append(rows, changeRow{name(x.Who), change, x.Action.String(), x.Ref.String(), x.Was.String(), ruleOf(x.WasBy), x.Is.String(), ruleOf(x.IsBy)})
	}
	if c.JSON {
		return c.PrintJSON(rows)
	}
	t := &term.Table{}
	t.Head("WHO", "CHANGE", "ACTION", "REF", "WAS", "BY", "IS", "BY")
	for _, r := range rows {
		style := term.Green
		if r.Change == "loses" {
			style = term.Red
		}
		t.Row(term.Cell{Text: r.Who}, term.Cell{Text: r.Change, Style: style}, term.Cell{Text: r.Action}, term.Cell{Text: r.Ref},
			term.Cell{Text: r.Was}, term.Cell{Text: r.WasBy}, term.Cell{Text: r.Is}, term.Cell{Text: r.IsBy})
	}
	if len(rows) > 0 {
		c.Printf("%s", t.String(c.ColorOut))
	}
	c.Note("%s", summary)
	return nil
}

// ruleOf names the rule of a decision and where it stands.
func ruleOf(d policy.Decision) string {
	if at := d.Place.String(); at != "" {
		return d.Rule + " (" + at + ")"
	}
	return d.Rule
}
