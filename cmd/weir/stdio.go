package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/join"
	"weir/cmd/weir/internal/term"
)

// stdio is weir stdio [FILE].
func (c *cli) stdio() *cobra.Command {
	var standalone bool
	cmd := &cobra.Command{
		Use: "stdio [FILE]", Short: "run the gateway for one client over standard input and output",
		Long: "Run the gateway for one client over standard input and output, both eras. Standard output carries the protocol and nothing else.\n" +
			"At the end of the input the calls in flight are answered first.\n\n" +
			"When weir serve runs with the same FILE for the same user, the client joins it, and all clients share one set of servers. Otherwise the\n" +
			"servers are started for this client alone, and also when FILE or the variables in it are not what they were for weir serve: standard\n" +
			"error says so. If the gateway goes away, open requests get an error and weir stdio ends with exit code 5; started again it goes on.\n" +
			"Only weir serve is joined, never another weir stdio.",
		Example: "  weir stdio\n  claude mcp add --scope user weir -- weir stdio ~/.config/weir/weir.yaml",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.outcome = "; nothing was started"
			file, err := c.read(args)
			if err != nil {
				return err
			}
			c.warn(file)
			return c.runStdio(cmd.Context(), file, standalone)
		},
	}
	cmd.Flags().BoolVar(&standalone, "standalone", false, "start servers for this client alone, whatever runs")
	return cmd
}

func (c *cli) runStdio(ctx context.Context, file *config.File, standalone bool) error {
	log := c.Logger(file.Log.Level, file.Log.Format)
	if term.IsTerminal(c.In) {
		c.Note("weir stdio speaks MCP on standard input and output; an MCP client starts it. For one call: weir call TOOL")
	}
	if !standalone {
		if gateway := c.join(ctx, file, log); gateway != nil {
			c.outcome = ""
			return gateway.Relay(ctx, c.In, c.Out, file.Server.MaxBody)
		}
	}
	return c.running(file, app.Env{Log: log}, func(a *app.App) error {
		if err := a.Required(ctx); err != nil {
			return err
		}
		return a.Stdio(ctx, c.In, c.Out)
	})
}

// join returns the connection to the gateway that runs for file, nil when there is none that matches.
func (c *cli) join(ctx context.Context, file *config.File, log *slog.Logger) *join.Conn {
	place, err := join.PlaceOf(file.Path, c.env)
	var gateway *join.Conn
	if err == nil {
		gateway, err = join.Dial(ctx, place, file.Expander)
	}
	switch {
	case err == nil:
		log.Info("joined the gateway that runs", "file", file.Name, "weir", gateway.Weir)
	case errors.Is(err, join.ErrNone):
		log.Info("no gateway runs for this file; starting its servers for this client alone", "file", file.Name)
	default:
		log.Warn("starting servers for this client alone", "reason", err)
	}
	return gateway
}
