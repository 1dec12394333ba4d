package main

import (
	"context"
	"os"

	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
	"weir/upstream/process"
)

func main() {
	process.MaybeGuard()
	dir, _ := os.Getwd()        // relative paths fail by themselves when there is none
	home, _ := os.UserHomeDir() // nor does every user have a home
	c := &cli{
		Streams: term.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		env:     config.Env{Lookup: os.LookupEnv, Home: home, Dir: dir},
	}
	os.Stdout = os.Stderr // from here on only the command at work has standard output
	os.Exit(c.run(context.Background(), os.Args[1:]))
}
