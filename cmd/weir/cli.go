package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
)

// cli is one run of the program.
type cli struct {
	term.Streams
	env config.Env

	config string // --config
	color  string // --color
	// outcome ends the report of an invalid configuration.
	outcome string
}

// run executes a command line and returns the exit code. SIGINT and SIGTERM end the command in good order, a second one at once.
func (c *cli) run(ctx context.Context, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	// A reader that goes away must be an error of the write and not the end of the program, or children would be left to their guard.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	root := c.root()
	c.JSON = slices.Contains(args, "--json") // errors in the flags themselves are reported by it too
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return term.Interrupted
	}
	c.Report(err, c.outcome)
	return term.ExitCode(err)
}

// root is the command line of weir.
func (c *cli) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "weir",
		Short: "One MCP endpoint for all your tools",
		Long:  "weir joins many MCP servers into one, over HTTP or stdio, for MCP clients of either protocol era.",
		Example: "  weir ls .mcp.json           are the servers of this project well?\n" +
			"  weir serve                  run the gateway of ./weir.yaml\n" +
			"  weir call time/now zone=UTC\n" +
			"  weir help config            how to write weir.yaml",
		Args: cobra.ArbitraryArgs, SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return c.decideColor() },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return c.lookAround()
		},
	}
	cmd.SetIn(c.In)
	cmd.SetOut(c.Out)
	cmd.SetErr(c.Err)
	cmd.SetFlagErrorFunc(flagError)
	cmd.SetUsageTemplate(usage)
	flags := cmd.PersistentFlags()
	flags.StringVarP(&c.config, "config", "c", "", "read the configuration `FILE` (default: $WEIR_CONFIG, ./weir.yaml, ~/.config/weir/weir.yaml)")
	flags.StringVar(&c.color, "color", "auto", "use colour `WHEN`: auto, always or never")
	flags.BoolVar(&c.JSON, "json", false, "print JSON where there is something to print; an error is one line of JSON")
	must(cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.AddCommand(c.serve(), c.stdio(), c.check(), c.ls(), c.tools(), c.call(), c.policy(), c.add(), c.remove(), c.mock(), c.log(), c.audit(), c.login(), c.version())
	cmd.SetHelpCommand(c.help(cmd))
	return cmd
}

// usage is what --help prints below the description: examples first.
const usage = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`

// must holds for what only a mistake in this program can break.
func must(err error) {
	if err != nil {
		panic(err) //nolint:forbidigo // a wrong flag name in the code
	}
}

func (c *cli) decideColor() error {
	if !slices.Contains([]string{"auto", "always", "never"}, c.color) {
		return &term.UsageError{Msg: fmt.Sprintf("--color: want auto, always or never, got %q", c.color)}
	}
	c.ColorOut = term.Color(c.Out, c.color, c.env.Lookup)
	c.ColorErr = term.Color(c.Err, c.color, c.env.Lookup)
	return nil
}

// unknownCommand names the nearest one.
func unknownCommand(root *cobra.Command, name string) error {
	var known []string
	for _, sub := range root.Commands() {
		known = append(known, sub.Name())
	}
	u := &term.UsageError{Msg: fmt.Sprintf("%s: unknown command %q", root.CommandPath(), name), Hint: root.CommandPath() + " --help"}
	if !root.HasParent() {
		u.Hint = "weir help"
	}
	if near := config.Nearest(name, known); near != "" {
		u.Msg += fmt.Sprintf("; did you mean %q?", near)
		u.Hint = root.CommandPath() + " " + near
	}
	return u
}

// flagError names the nearest flag.
func flagError(cmd *cobra.Command, err error) error {
	u := &term.UsageError{Msg: "weir: " + err.Error(), Hint: cmd.CommandPath() + " --help"}
	_, name, ok := strings.Cut(err.Error(), "unknown flag: --")
	if !ok {
		return u
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := config.Nearest(name, known); near != "" {
		u.Msg += fmt.Sprintf("; did you mean --%s?", near)
	}
	return u
}

// between checks the number of arguments, in words.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return &term.UsageError{Msg: fmt.Sprintf("%s: needs %s", cmd.CommandPath(), what), Hint: cmd.CommandPath() + " --help"}
		case most >= 0 && len(args) > most:
			return &term.UsageError{Msg: fmt.Sprintf("%s: too many arguments: %q", cmd.CommandPath(), args[most]), Hint: cmd.CommandPath() + " --help"}
		}
		return nil
	}
}

// read finds, reads and checks the configuration: the FILE argument if there is one, else --config, else the usual places.
func (c *cli) read(args []string) (*config.File, error) {
	path, err := c.find(args)
	if err != nil {
		return nil, err
	}
	return config.Read(path, c.env)
}

// find finds the configuration.
func (c *cli) find(args []string) (string, error) {
	given := c.config
	if len(args) > 0 {
		if given != "" && given != args[0] {
			return "", &term.UsageError{Msg: fmt.Sprintf("weir: both --config %s and %s; name one", given, args[0])}
		}
		given = args[0]
	}
	return config.Find(given, c.env)
}
