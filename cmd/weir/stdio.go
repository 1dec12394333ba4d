package main

import (
	"context"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
)

// stdio is weir stdio [FILE].
func (c *cli) stdio() *cobra.Command {
	return &cobra.Command{
		Use: "stdio [FILE]", Short: "run the gateway for one client over standard input and output",
		Long: "Run the gateway for one client over standard input and output, both eras. Standard output carries the protocol and nothing else.\n" +
			"At the end of the input the calls in flight are answered first.",
		Example: "  weir stdio\n  claude mcp add --scope user weir -- weir stdio ~/.config/weir/weir.yaml",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.outcome = "; nothing was started"
			file, err := c.read(args)
			if err != nil {
				return err
			}
			return c.runStdio(cmd.Context(), file)
		},
	}
}

func (c *cli) runStdio(ctx context.Context, file *config.File) (err error) {
	c.warn(file)
	a, err := app.New(file, app.Env{Config: c.env, Log: c.Logger(file.Log.Level, file.Log.Format), Version: thisBuild().Version})
	if err != nil {
		return err
	}
	defer closing(a, &err)
	if err := a.Required(ctx); err != nil {
		return err
	}
	if term.IsTerminal(c.In) {
		c.Note("weir stdio speaks MCP on standard input and output; an MCP client starts it. For one call: weir call TOOL")
	}
	return a.Stdio(ctx, c.In, c.Out)
}
