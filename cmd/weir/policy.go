package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/policy"
)

// policyReport is the form of weir policy check --json.
type policyReport struct {
	File     string          `json:"file"`
	OK       bool            `json:"ok"`
	Policy   bool            `json:"policy"` // there is one
	Rules    int             `json:"rules"`
	Tests    int             `json:"tests"`
	Digest   string          `json:"digest"`   // names the policy
	Compiled bool            `json:"compiled"` // else Casbin is asked about every entry
	Warnings config.Problems `json:"warnings"`
}

// ruleRow is a rule in JSON.
type ruleRow struct {
	Rule  string `json:"rule"`
	Place string `json:"place,omitempty"`
	Text  string `json:"text"`
}

func rowOf(r policy.Rule) ruleRow {
	return ruleRow{Rule: r.ID, Place: r.Place.String(), Text: r.Text}
}

// policy is weir policy.
func (c *cli) policy() *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "who may use what, and why: check, test, explain, diff, import",
		Long: "Ask the policy, the key policy of the configuration: what is wrong with it, whether its own tests hold, why somebody may or may not\n" +
			"use something, and what another policy would change. No upstream is started unless --dial says so.",
		Example: "  weir policy check --dial\n  weir policy test\n  weir policy explain group:eng github/delete_repo\n" +
			"  weir policy diff old.yaml weir.yaml\n  weir tools --as group:eng\n  weir help policy            how to write one",
		Args: cobra.ArbitraryArgs,
	}
	cmd.AddCommand(c.policyCheck(), c.policyTest(), c.policyExplain(), c.policyDiff(), c.policyImport())
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return cmd.Help()
	}
	return cmd
}

// readPolicy is read for commands that look at the policy alone: references in other sections need not be set.
func (c *cli) readPolicy(args []string) (*config.File, error) {
	path, err := c.find(args)
	if err != nil {
		return nil, err
	}
	return config.ReadPolicy(path, c.env)
}

// policyCheck is weir policy check [FILE].
func (c *cli) policyCheck() *cobra.Command {
	var dial bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "what is wrong with the policy; --dial compares it with what the upstreams offer",
		Long: "Check the policy as a start would, its tests included, and say what is doubtful. With --dial connect to the upstreams and look for rules\n" +
			"that match nothing, that are never reached, or that allow more than they seem to.",
		Example: "  weir policy check\n  weir policy check --dial",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dial {
				file, err := c.read(args)
				if err != nil {
					return err
				}
				return c.with(cmd.Context(), file, wait, func(a *app.App) error {
					return c.checkPolicy(file, a.View().Snapshot())
				})
			}
			file, err := c.readPolicy(args)
			if err != nil {
				return err
			}
			return c.checkPolicy(file, nil)
		},
	}
	cmd.Flags().BoolVar(&dial, "dial", false, "connect to the upstreams and compare the rules with what there is")
	waitFlag(cmd, &wait)
	return cmd
}

// checkPolicy reports on a policy, against a snapshot if there is one.
func (c *cli) checkPolicy(file *config.File, s *catalog.Snapshot) error {
	rules, err := app.Compile(file, c.env, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	p, warnings := rules.Policy, rules.Warnings
	if s != nil {
		warnings = append(warnings, file.Section.Problems(p.Lint(s))...)
	}
	tests := p.Test(nil, nil)
	if c.JSON {
		return c.PrintJSON(policyReport{
			File: file.Path, OK: true, Policy: !file.Policy.IsZero(), Rules: tests.Rules, Tests: len(tests.Results), Digest: p.Digest(),
			Compiled: p.Compiled(), Warnings: append(config.Problems{}, warnings...),
		})
	}
	for _, w := range warnings {
		c.Note("%s (warning)", w)
	}
	if file.Policy.IsZero() {
		c.Printf("%s: no policy; the local user may use everything, and nobody else anything\n", file.Name)
		return nil
	}
	c.Printf("%s: ok, %s, %s\n", file.Name, count(tests.Rules, "rule"), count(len(tests.Results), "test"))
	return nil
}

// policyImport is weir policy import kong FILE.
func (c *cli) policyImport() *cobra.Command {
	var upstream string
	cmd := &cobra.Command{
		Use: "import kong FILE", Short: "make a policy of the access lists of another gateway",
		Long: "Print the policy section that decides as the access lists of another gateway do. kong reads the lists (default_acl, tools[].acl) of\n" +
			"the plugin ai-mcp-proxy in a declarative file; - is standard input. Where they surprise stands on standard error.",
		Example:   "  weir policy import kong kong.yaml --upstream weather > policy.yaml",
		Args:      between(2, 2, "kong and a file"),
		ValidArgs: []string{"kong"},
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] != "kong" {
				return usagef("weir policy import kong FILE --upstream NAME", "weir policy import: %q is not known; there is kong", args[0])
			}
			if upstream == "" {
				return usagef("weir policy import kong "+args[1]+" --upstream NAME", "weir policy import: needs --upstream, the name in weir of what the plugin serves")
			}
			return c.importKong(args[1], upstream)
		},
	}
	cmd.Flags().StringVar(&upstream, "upstream", "", "the `NAME` in weir of the upstream that the plugin serves")
	must(cmd.RegisterFlagCompletionFunc("upstream", c.completeUpstreams))
	return cmd
}

func (c *cli) importKong(path, upstream string) error {
	data, err := c.readInput(path)
	if err != nil {
		return err
	}
	spec, notes, err := policy.ImportKong(data, upstream)
	if err != nil {
		return catalog.Errorf(catalog.Config, "%s: %v", path, err)
	}
	text, err := spec.YAML()
	if err != nil {
		return err
	}
	if c.JSON {
		return c.PrintJSON(struct {
			YAML  string   `json:"yaml"` // the section
			Notes []string `json:"notes"`
		}{string(text), append([]string{}, notes...)})
	}
	for _, n := range notes {
		c.Note("%s", n)
	}
	c.Printf("%s", text)
	return nil
}

// maxInput bounds a file named on the command line, in bytes.
const maxInput = 64 << 20

// readInput reads a file whole, or standard input for -.
func (c *cli) readInput(path string) ([]byte, error) {
	r, done, err := c.openInput(path)
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(data) > maxInput {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxInput)
	}
	return data, err
}

// snapshotOf starts the upstreams of a file, without its policy, and gives what they offer to f.
func (c *cli) snapshotOf(ctx context.Context, file *config.File, wait time.Duration, f func(*catalog.Snapshot) error) error {
	file.Policy, file.Section = policy.Spec{}, &config.Section{}
	return c.with(ctx, file, wait, func(a *app.App) error { return f(a.View().Snapshot()) })
}
