package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// eras are the protocol revisions that weir speaks towards clients and upstreams, newest first.
type eras struct {
	Modern []string `json:"modern"`
	Legacy []string `json:"legacy"`
}

// build says what this program was made of.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Time     string `json:"time,omitempty"` // of the commit, RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Eras     eras   `json:"eras"`
}

// thisBuild asks the binary itself.
func thisBuild() build {
	b := build{
		Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Eras: eras{Modern: []string{"2026-07-28"}, Legacy: []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}},
	}
	from, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := from.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range from.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs.time":
			b.Time = s.Value
		}
	}
	return b
}

// version is the command of that name.
func (c *cli) version() *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "version, commit and protocol revisions",
		Example: "  weir version\n  weir version --json",
		Args:    between(0, 0, ""), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if c.JSON {
				return c.PrintJSON(b)
			}
			commit := b.Commit
			if commit == "" {
				commit = "unknown"
			}
			if b.Modified {
				commit += " (modified)"
			}
			c.Printf("weir    %s\ncommit  %s\nbuilt   %s %s\nmodern  %s\nlegacy  %s\n",
				b.Version, commit, b.Go, b.Platform, strings.Join(b.Eras.Modern, " "), strings.Join(b.Eras.Legacy, " "))
			return nil
		},
	}
	return cmd
}
