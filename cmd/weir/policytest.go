package main

import (
	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
	"weir/policy"
)

// testReport is the form of weir policy test --json.
type testReport struct {
	Tests  []testRow `json:"tests"`
	Failed int       `json:"failed"`
	Rules  int       `json:"rules"`
	Unhit  []ruleRow `json:"unhit"` // rules that decided none of the tests
}

// testRow is one test.
type testRow struct {
	Test     string `json:"test"`
	Place    string `json:"place,omitempty"`
	Question string `json:"question"`
	Want     string `json:"want"`
	Got      string `json:"got"`
	Rule     string `json:"rule"`
	OK       bool   `json:"ok"`
	Fault    string `json:"fault,omitempty"`
}

// policyTest is weir policy test [FILE].
func (c *cli) policyTest() *cobra.Command {
	return &cobra.Command{
		Use: "test [FILE]", Short: "run the policy's own tests, and name the rules that none of them hits",
		Long:    "Run the tests of the policy (policy.tests). The exit code is 8 when one fails. Rules that decided none of them are listed.",
		Example: "  weir policy test\n  weir policy test --json",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := c.readPolicy(args)
			if err != nil {
				return err
			}
			rules, err := app.Untested(file)
			if err != nil {
				return err
			}
			return c.testPolicy(file, rules.Policy)
		},
	}
}

// untested reads and compiles a policy, whatever its tests say.
func (c *cli) untested(args []string) (*app.Rules, error) {
	file, err := c.readPolicy(args)
	if err != nil {
		return nil, err
	}
	return app.Untested(file)
}

func (c *cli) testPolicy(file *config.File, p *policy.Policy) error {
	outcome := p.Test(nil, file.Section.Place)
	report := testReport{Tests: []testRow{}, Failed: outcome.Failed(), Rules: outcome.Rules, Unhit: []ruleRow{}}
	for _, r := range outcome.Results {
		got := "deny"
		if r.Decision.Allowed {
			got = "allow"
		}
		report.Tests = append(report.Tests, testRow{
			Test: r.Path, Place: r.Place.String(), Question: r.Question, Want: r.Want, Got: got, Rule: r.Decision.Rule, OK: r.Fault == "", Fault: r.Fault,
		})
	}
	for _, r := range outcome.Unhit {
		report.Unhit = append(report.Unhit, rowOf(r))
	}
	if c.JSON {
		if err := c.PrintJSON(report); err != nil {
			return err
		}
	} else {
		c.printTests(report)
	}
	if report.Failed > 0 {
		return term.ErrTests
	}
	return nil
}

func (c *cli) printTests(report testReport) {
	t := &term.Table{}
	t.Head("RESULT", "PLACE", "QUESTION", "WANT", "DECIDED BY")
	for _, r := range report.Tests {
		result, style := "ok", term.Green
		if !r.OK {
			result, style = "FAIL", term.Red
		}
		t.Row(term.Cell{Text: result, Style: style}, term.Cell{Text: r.Place}, term.Cell{Text: r.Question}, term.Cell{Text: r.Want}, term.Cell{Text: r.Rule})
	}
	if len(report.Tests) > 0 {
		c.Printf("%s", t.String(c.ColorOut))
	}
	for _, r := range report.Tests {
		if !r.OK {
			c.Note("%s: %s: %s", r.Place, r.Question, term.Line(r.Fault))
		}
	}
	for _, r := range report.Unhit {
		c.Note("never hit: %s %s", r.Place, term.Line(r.Rule+": "+r.Text))
	}
	c.Note("%s, %d failed; %d of %s hit", count(len(report.Tests), "test"), report.Failed, report.Rules-len(report.Unhit), count(report.Rules, "rule"))
}
