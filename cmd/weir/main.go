package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
	"weir/upstream/process"
)

func main() {
	process.MaybeGuard()
	tuneCollector()
	limitMemory()
	dir, _ := os.Getwd()        // relative paths fail by themselves when there is none
	home, _ := os.UserHomeDir() // nor does every user have a home
	c := &cli{
		Streams: term.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		env:     config.Env{Lookup: os.LookupEnv, Home: home, Dir: dir, Lacks: process.Sandbox.Lacks},
	}
	os.Stdout = os.Stderr // from here on only the command at work has standard output
	os.Exit(c.run(context.Background(), os.Args[1:]))
}

// gcPercent lets the heap grow to five times what is live before it is collected. A gateway's live heap is a few MiB of names and tables while calls
// allocate much that dies at once; with the default of 100 marking those same tables again and again is a tenth of what a call costs.
const gcPercent = 400

// tuneCollector sets gcPercent unless the operator set GOGC.
func tuneCollector() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}

// limitMemory makes nine tenths of what the control group of the process allows the limit of the collector, unless the operator set GOMEMLIMIT. What the runtime
// does not count needs the rest.
func limitMemory() {
	_, _ = memlimit.Set() // without a limit, or a control group that can be read, there is none
}
