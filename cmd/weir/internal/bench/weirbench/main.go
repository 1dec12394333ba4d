// Weirbench measures what weir costs beside a reverse proxy; see the package bench.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
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
	if played, err := bench.Role(os.Args[1:], serveMCPGo); played {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "weirbench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("weirbench", flag.ContinueOnError)
	quick := fs.Bool("quick", false, "a few cases in under a minute")
	asJSON := fs.Bool("json", false, "print the report as JSON")
	match := fs.String("run", "", "only cases that match `REGEXP`, like call/lean/modern/4KiB/c32")
	list := fs.Bool("list", false, "print the cases and do nothing")
	binary := fs.String("weir", "", "measure this `BINARY` in place of one built now; none leaves weir out")
	rounds := fs.Int("rounds", 0, "turns of each target (default 7, quick 3)")
	slice := fs.Duration("slice", 0, "length of a turn (default 500ms, quick 400ms)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	o := bench.Options{Cases: bench.Cases(*quick), Rounds: 7, Slice: 500 * time.Millisecond, Warm: 200 * time.Millisecond, Weir: *binary}
	if *quick {
		o.Rounds, o.Slice = 3, 400*time.Millisecond
	}
	if *rounds > 0 {
		o.Rounds = *rounds
	}
	if *slice > 0 {
		o.Slice = *slice
	}
	re, err := regexp.Compile(*match)
	if err != nil {
		return err
	}
	o.Cases = slices.DeleteFunc(o.Cases, func(c bench.Case) bool { return !re.MatchString(c.String()) })
	if *list {
		for _, c := range o.Cases {
			fmt.Println(c)
		}
		return nil
	}
	if *binary == "none" {
		o.Weir = ""
	} else if *binary == "" {
		dir, err := os.MkdirTemp("", "weirbench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.Weir = filepath.Join(dir, "weir")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", o.Weir, "weir/cmd/weir").CombinedOutput(); err != nil {
			return fmt.Errorf("build weir: %w\n%s", err, out)
		}
	}
	o.Progress = func(name string) { fmt.Fprintln(os.Stderr, name) }
	rep, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(rep)
	} else {
		err = rep.Write(os.Stdout)
	}
	if n := rep.Failed(); err == nil && n > 0 {
		return fmt.Errorf("%d calls failed", n)
	}
	return err
}
