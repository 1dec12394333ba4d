package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/term"
	"weir/server/record/audit"
)

// audit is weir audit, what can be asked about the audit log.
func (c *cli) audit() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "check the audit log", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var kept []string
	verify := &cobra.Command{
		Use: "verify [DIR]", Short: "find out whether the audit log is what was written",
		Long: "Read the whole audit log and check its chain of hashes: nothing in it was changed, dropped, added or moved. The head is the hash of the\n" +
			"newest record; who keeps it elsewhere can tell later that nothing up to it was written anew or cut off. With export, heads go out every\n" +
			"minute, as messages of the method audit/head. DIR is audit.dir of the configuration.",
		Example: "  weir audit verify\n  weir audit verify /var/lib/weir/audit --json\n  weir audit verify --head lane-00:8123:5e1c…",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(_ *cobra.Command, args []string) error { return c.verifyAudit(args, kept) },
	}
	verify.Flags().StringArrayVar(&kept, "head", nil, "check that this `HEAD`, which was exported or kept elsewhere, is in the log; repeat for more")
	must(verify.RegisterFlagCompletionFunc("head", cobra.NoFileCompletions))
	cmd.AddCommand(verify)
	return cmd
}

// laneRow is one lane in weir audit verify --json.
type laneRow struct {
	Lane     string   `json:"lane"`
	Segments int      `json:"segments"`
	Records  uint64   `json:"records"`
	First    uint64   `json:"first"`
	Last     uint64   `json:"last"`
	Open     int      `json:"open"` // intents without an outcome
	Head     string   `json:"head"`
	Problems []string `json:"problems"`
}

func (c *cli) verifyAudit(args, kept []string) error {
	dir, err := c.auditDir(args)
	if err != nil {
		return err
	}
	heads := make([]audit.Head, len(kept))
	for i, text := range kept {
		if heads[i], err = audit.ParseHead(text); err != nil {
			return &term.UsageError{Msg: err.Error(), Hint: "weir audit verify --help"}
		}
	}
	if fault := new(fs.PathError); errors.As(readable(dir), &fault) {
		return &catalog.Error{Code: catalog.Config, Msg: fmt.Sprintf("%s: cannot be read: %v", dir, fault.Err), Hint: "verify the folder of the log as the user whom the gateway runs as", Err: fault}
	}
	reports, err := audit.Verify(dir, heads...)
	if err != nil {
		return &catalog.Error{Code: catalog.NotFound, Msg: err.Error(), Hint: "weir audit verify DIR", Err: err}
	}
	var rows []laneRow
	var t term.Table
	t.Head("LANE", "SEGMENTS", "RECORDS", "FIRST", "LAST", "OPEN", "HEAD")
	bad := 0
	for _, r := range reports {
		row := laneRow{r.Lane, r.Segments, r.Records, r.First, r.Last, r.Open, r.Head, []string{}}
		for _, p := range r.Problems {
			row.Problems = append(row.Problems, p.String())
		}
		bad += len(r.Problems)
		rows = append(rows, row)
		number := func(n uint64) term.Cell { return term.Cell{Text: strconv.FormatUint(n, 10), Right: true} }
		t.Row(term.Cell{Text: r.Lane}, number(uint64(r.Segments)), number(r.Records), number(r.First), number(r.Last), number(uint64(r.Open)), term.Cell{Text: headOf(r)})
	}
	if c.JSON {
		if err := c.PrintJSON(rows); err != nil {
			return err
		}
	} else {
		c.Printf("%s", t.String(c.ColorOut))
		for _, r := range rows {
			for _, p := range r.Problems {
				c.Printf("%s\n", p)
			}
		}
	}
	if bad > 0 {
		return catalog.Errorf(catalog.Internal, "%s: the log is not what was written, see %s", dir, count(bad, "place"))
	}
	return nil
}

// readable reports why a folder that is there cannot be read.
func readable(dir string) error {
	_, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// headOf is the head of a lane as --head takes it, "-" of an empty one.
func headOf(r *audit.Report) string {
	if r.Last == 0 {
		return "-"
	}
	return fmt.Sprintf("%s:%d:%s", r.Lane, r.Last, r.Head)
}

// auditDir is the folder of the log: the argument, or what the configuration says.
func (c *cli) auditDir(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	file, err := c.read(nil)
	if err != nil {
		return "", err
	}
	if file.Audit.Dir == "" {
		return "", &term.UsageError{Msg: file.Name + ": says nothing of an audit log", Hint: "weir audit verify DIR"}
	}
	return app.AuditDir(file)
}
