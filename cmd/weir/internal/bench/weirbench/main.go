package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"weir/cmd/weir/internal/bench"
)

func main() {
	stdout := os.Stdout //nolint:forbidigo // the report goes there
	played, err := bench.Role(os.Args[1:], os.Stdin, stdout)
	if !played {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = run(ctx, os.Args[1:], stdout, os.Stderr)
		stop()
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "weirbench:", err)
		os.Exit(1) //nolint:forbidigo // main exits
	}
}

// flags are the command line.
type flags struct {
	quick, asJSON, list, stock bool
	match, weir                string
	rounds                     int
	slice                      time.Duration
}

func parse(args []string, stderr io.Writer) (flags, error) {
	var f flags
	fs := flag.NewFlagSet("weirbench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.BoolVar(&f.quick, "quick", false, "a few cases in under a minute")
	fs.BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	fs.BoolVar(&f.list, "list", false, "print the cases and do nothing")
	fs.StringVar(&f.match, "run", "", "only cases that match `REGEXP`, like call/lean/modern/4KiB/c32")
	fs.StringVar(&f.weir, "weir", "", "measure this `BINARY` in place of one built now; none leaves weir out")
	fs.BoolVar(&f.stock, "stock", false, "measure a ReverseProxy without a buffer pool too")
	fs.IntVar(&f.rounds, "rounds", 0, "turns of each target (default 7, quick 3)")
	fs.DurationVar(&f.slice, "slice", 0, "length of a turn (default 500ms, quick 400ms)")
	return f, fs.Parse(args)
}

// options turns flags into what a run needs, but for the programs.
func (f flags) options() (bench.Options, error) {
	o := bench.Options{Cases: bench.Cases(f.quick), Rounds: 7, Slice: 500 * time.Millisecond, Warm: 200 * time.Millisecond, Stock: f.stock}
	if f.quick {
		o.Rounds, o.Slice = 3, 400*time.Millisecond
	}
	if f.rounds > 0 {
		o.Rounds = f.rounds
	}
	if f.slice > 0 {
		o.Slice = f.slice
	}
	re, err := regexp.Compile(f.match)
	if err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	o.Cases = slices.DeleteFunc(o.Cases, func(c bench.Case) bool { return !re.MatchString(c.String()) })
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f, err := parse(args, stderr)
	if err != nil {
		return err
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	if f.list {
		for _, c := range o.Cases {
			if _, err := fmt.Fprintln(stdout, c); err != nil {
				return err
			}
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "weirbench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if o.Weir = f.weir; o.Weir == "none" {
		o.Weir = ""
	} else if o.Weir == "" {
		if o.Weir, err = build(ctx, dir, "weir/cmd/weir"); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(o.Cases, func(c bench.Case) bool { return c.Upstream == bench.MCPGo }) {
		if o.MCPGo, err = build(ctx, dir, "weir/upstream/upstreamtest/mcpgo"); err != nil {
			return err
		}
	}
	o.Progress = func(name string) { _, _ = fmt.Fprintln(stderr, name) }
	rep, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if f.asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(rep)
	} else {
		err = rep.Write(stdout)
	}
	if n := rep.Failed(); err == nil && n > 0 {
		return fmt.Errorf("%d calls failed", n)
	}
	return err
}

// build compiles a program of this module into dir.
func build(ctx context.Context, dir, pkg string) (string, error) {
	binary := filepath.Join(dir, filepath.Base(pkg))
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return binary, nil
}
