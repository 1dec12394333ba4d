package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/term"
	"weir/policy"
)

// explanation is the form of weir policy explain --json.
type explanation struct {
	Who     string    `json:"who"`
	Tenant  string    `json:"tenant,omitempty"`
	Holds   []string  `json:"holds"`
	Action  string    `json:"action"`
	Ref     string    `json:"ref"`
	Allowed bool      `json:"allowed"`
	Depends bool      `json:"depends"` // on arguments, time or address, none of which were given
	Rule    string    `json:"rule"`
	Place   string    `json:"place,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Instead string    `json:"instead,omitempty"`
	Matched []ruleRow `json:"matched"`
	Nearest []missRow `json:"nearest"`
}

// missRow is a rule that nearly applied.
type missRow struct {
	ruleRow
	Field string `json:"field"`
	Want  string `json:"want"`
	Got   string `json:"got"`
}

// question is what weir policy explain is asked.
type question struct {
	asking
	who, ref  string
	action    policy.Action
	arguments []byte
}

// policyExplain is weir policy explain WHO [ACTION] REF [key=value…].
func (c *cli) policyExplain() *cobra.Command {
	var q question
	var dial bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "explain WHO [ACTION] REF [key=value...]", Short: "why somebody may or may not use something",
		Long: "Say who may do what by which rule, in which line, and which rules nearly decided otherwise. WHO is user:NAME, group:NAME, role:NAME,\n" +
			"client:NAME or scope:NAME; REF is upstream/name. ACTION is list, call, get, read, complete or subscribe; without it call, and for a\n" +
			"URI read. Arguments of the call are key=value. What an upstream says of its tools is known with --dial only.",
		Example: "  weir policy explain group:eng github/delete_repo\n  weir policy explain user:ana call bank/transfer amount=7000 --with group:finance\n" +
			"  weir policy explain user:ana read files/file:///docs/plan.md",
		Args: between(2, -1, "a caller and what it wants"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return c.completeSubjects(cmd, args, typed)
			}
			return c.completeRefs(cmd, nil, typed)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := q.parse(args); err != nil {
				return err
			}
			if dial {
				file, err := c.read(nil)
				if err != nil {
					return err
				}
				return c.with(cmd.Context(), file, wait, func(a *app.App) error { return c.explain(a.Policy(), a.View().Snapshot(), &q) })
			}
			rules, err := c.untested(nil)
			if err != nil {
				return err
			}
			return c.explain(rules.Policy, nil, &q)
		},
	}
	q.callerFlags(cmd)
	q.requestFlags(cmd)
	cmd.Flags().BoolVar(&dial, "dial", false, "connect to the upstreams, for what they say of their tools")
	waitFlag(cmd, &wait)
	return cmd
}

// parse reads the words of the command line.
func (q *question) parse(args []string) error {
	q.who, args = args[0], args[1:]
	action, ok := policy.ParseAction(args[0])
	if ok {
		args = args[1:]
		if len(args) == 0 {
			return usagef("weir policy explain --help", "weir policy explain: needs a Ref, such as github/create_issue")
		}
	}
	q.ref = args[0]
	_, name, found := strings.Cut(q.ref, "/")
	if !found {
		return usagef("weir policy explain --help", "weir policy explain: %q is no action and no Ref; write upstream/name", q.ref)
	}
	switch {
	case ok:
		q.action = action
	case strings.Contains(name, "://"):
		q.action = policy.Read
	default:
		q.action = policy.Call
	}
	if pairs := args[1:]; len(pairs) > 0 {
		var err error
		if q.arguments, err = parseArguments(gjson.Result{}, pairs); err != nil {
			return usagef("weir policy explain --help", "weir policy explain: %v", err)
		}
	}
	return nil
}

func (c *cli) explain(p *policy.Policy, s *catalog.Snapshot, q *question) error {
	who, err := q.principal(p, q.who)
	if err != nil {
		return err
	}
	entry, err := policy.Find(s, q.action, q.ref)
	if err != nil {
		return usagef("", "weir policy explain: %v", err)
	}
	request, err := q.request(who, q.arguments)
	if err != nil {
		return err
	}
	x := p.Explain(s, who, q.action, entry, request)
	x.Who = strings.Join(append([]string{q.who}, q.with...), " + ")
	depends := request == nil && p.ProfileOf(who, s).Decide(q.action, entry).Conditional
	if c.JSON {
		return c.PrintJSON(explanationOf(x, depends))
	}
	c.Printf("%s", term.Text(x.String()))
	if depends {
		c.Note("this depends on the request: give its arguments as key=value, its time and address with --at and --from")
	}
	return nil
}

func explanationOf(x *policy.Explanation, depends bool) explanation {
	e := explanation{
		Who: x.Who, Tenant: x.Tenant, Holds: append([]string{}, x.Holds...), Action: x.Action.String(), Ref: x.Ref.String(), Allowed: x.Decision.Allowed,
		Depends: depends, Rule: x.Decision.Rule, Place: x.Decision.Place.String(), Reason: x.Decision.Reason, Instead: x.Decision.Instead,
		Matched: []ruleRow{}, Nearest: []missRow{},
	}
	for _, r := range x.Matched {
		e.Matched = append(e.Matched, rowOf(r))
	}
	for _, n := range x.Nearest {
		e.Nearest = append(e.Nearest, missRow{rowOf(n.Rule), n.Field, n.Want, n.Got})
	}
	return e
}
