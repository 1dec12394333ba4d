package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
	"weir/upstream"
)

// dial is weir check --dial: it connects to every upstream and says what it offers, or why not.
func (c *cli) dial(ctx context.Context, file *config.File) error {
	begin := time.Now()
	for i := range file.MCPServers {
		file.MCPServers[i].Spec.Lazy = false // it is to be seen whether they start
	}
	return c.with(ctx, file, 0, func(a *app.App) error {
		rows := rowsOf(a)
		ready, signIn, failed := 0, 0, 0
		t := &term.Table{}
		t.Head("NAME", "TRANSPORT", "STATE", "TOOK", "TOOLS", "TOKENS", "WHY NOT")
		for _, r := range rows {
			style := term.Red
			switch upstream.State(strings.ReplaceAll(r.State, "-", "_")) {
			case upstream.Ready:
				style = term.Green
				ready++
			case upstream.SignIn:
				signIn++
			case upstream.Disabled:
				style = term.Dim
			default:
				failed++
			}
			t.Row(term.Cell{Text: r.Name, Style: term.Bold}, term.Cell{Text: r.Transport}, term.Cell{Text: r.State, Style: style},
				term.Cell{Text: fmt.Sprintf("%.1fs", max(0, r.Since.Sub(begin).Seconds()))}, term.Cell{Text: strconv.Itoa(r.Tools), Right: true},
				term.Cell{Text: strconv.Itoa(r.Tokens), Right: true}, term.Cell{Text: strings.TrimPrefix(r.Reason, r.Name+": ")})
		}
		if c.JSON {
			report := checkedOf(file)
			report.OK, report.Upstreams, report.APIs = signIn+failed == 0, rows, apisOf(a)
			if err := c.PrintJSON(report); err != nil {
				return err
			}
		} else {
			c.warn(file)
			c.Printf("%s", t.String(c.ColorOut))
			c.facts(rows)
			c.printAPIs(apisOf(a))
		}
		return verdict(ready, signIn, failed)
	})
}

// verdict is the error of a dial that did not reach everything.
func verdict(ready, signIn, failed int) error {
	switch {
	case failed > 0:
		return catalog.Errorf(catalog.Unavailable, "%d ready, %d to sign in, %d failed", ready, signIn, failed)
	case signIn > 0:
		return catalog.Errorf(catalog.NeedsLogin, "%d ready, %d to sign in", ready, signIn)
	}
	return nil
}
