package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/help"
	"weir/cmd/weir/internal/term"
)

// help is weir help [COMMAND | TOPIC].
func (c *cli) help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND | TOPIC]", Short: "help about a command or a topic",
		Example: "  weir help config\n  weir help errors\n  weir help serve",
		Args:    between(0, 1, ""),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return help.Topics(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				if err := root.Help(); err != nil {
					return err
				}
				c.Printf("\nTopics (weir help TOPIC):\n")
				for _, t := range help.Index() {
					c.Printf("  %-12s %s\n", t.Name, t.Title)
				}
				return nil
			}
			if text, ok := help.Topic(args[0]); ok {
				c.Printf("%s", text)
				return nil
			}
			var known []string
			for _, sub := range root.Commands() {
				if sub.Name() == args[0] {
					return sub.Help()
				}
				known = append(known, sub.Name())
			}
			u := &term.UsageError{Msg: fmt.Sprintf("weir: no help for %q", args[0]), Hint: "weir help"}
			if near := config.Nearest(args[0], append(known, help.Topics()...)); near != "" {
				u.Msg += fmt.Sprintf("; did you mean %q?", near)
				u.Hint = "weir help " + near
			}
			return u
		},
	}
}
