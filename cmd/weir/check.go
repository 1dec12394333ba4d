package main

import (
	"log/slog"
	"strconv"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
)

// checked is the form of weir check --json. Upstreams is there with --dial.
type checked struct {
	File      string          `json:"file"`
	OK        bool            `json:"ok"`
	Client    bool            `json:"client"` // the file is an MCP client's own
	Servers   int             `json:"servers"`
	Problems  config.Problems `json:"problems"`
	Warnings  config.Problems `json:"warnings"`
	APIs      []apiRow        `json:"apis,omitempty"` // described in files, or with --dial anywhere
	Upstreams []upstreamRow   `json:"upstreams,omitempty"`
}

// check is weir check [FILE].
func (c *cli) check() *cobra.Command {
	var dial, schema bool
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "check the configuration; --dial also connects to every upstream",
		Long: "Check the configuration. Of an API whose description is a file it says what translates, what does not and why, and what each tool costs;\n" +
			"--dial reads descriptions behind URLs as well, and connects to every upstream.",
		Example: "  weir check\n  weir check ~/.cursor/mcp.json\n  weir check --dial\n  weir check --schema > weir.schema.json",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if schema {
				c.Printf("%s", config.Schema())
				return nil
			}
			file, err := c.read(args)
			if err != nil {
				return err
			}
			rules, err := app.Compile(file, c.env, nil, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			file.Warnings = append(file.Warnings, rules.Warnings...)
			if dial {
				return c.dial(cmd.Context(), file)
			}
			apis, err := c.describe(cmd.Context(), file)
			if err != nil {
				return err
			}
			if c.JSON {
				report := checkedOf(file)
				report.APIs = apis
				return c.PrintJSON(report)
			}
			c.warn(file)
			c.Printf("%s: ok, %s\n", file.Name, count(len(file.MCPServers), "upstream"))
			c.printAPIs(apis)
			return nil
		},
	}
	cmd.Flags().BoolVar(&dial, "dial", false, "connect to every upstream and list what it offers")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of the file, for editors")
	cmd.MarkFlagsMutuallyExclusive("dial", "schema")
	return cmd
}

// checkedOf describes a valid file.
func checkedOf(f *config.File) checked {
	w := f.Warnings
	if w == nil {
		w = config.Problems{}
	}
	return checked{File: f.Path, OK: true, Client: f.Client, Servers: len(f.MCPServers), Problems: config.Problems{}, Warnings: w}
}

// warn writes the warnings of a file to standard error.
func (c *cli) warn(f *config.File) {
	for _, w := range f.Warnings {
		c.Note("%s (warning)", w)
	}
}

// count says how many: "1 upstream", "3 upstreams".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// completeFile completes the name of a configuration.
func completeFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json", "jsonc"}, cobra.ShellCompDirectiveFilterFileExt
}
