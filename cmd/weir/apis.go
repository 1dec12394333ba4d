package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
	"weir/upstream"
)

// shownLines is how many tools and warnings of one API are written for people; --json has all.
const shownLines = 20

// apiRow is what the description of an API came to, in weir check --json.
type apiRow struct {
	Name       string       `json:"name"`
	Operations int          `json:"operations"`
	Tools      int          `json:"tools"`
	Lost       int          `json:"lost"`
	Dynamic    bool         `json:"dynamic"` // three tools stand for all
	Tokens     int          `json:"tokens"`  // about, with every operation listed
	Costs      []costRow    `json:"costs"`
	Warnings   []warningRow `json:"warnings"`
}

// costRow is one operation as a tool.
type costRow struct {
	Tool      string `json:"tool"`
	Operation string `json:"operation"`
	Tokens    int    `json:"tokens"`
}

// warningRow is something in a description that could not be used as it is written.
type warningRow struct {
	Pointer   string `json:"pointer"` // JSON pointer into the description
	Operation string `json:"operation,omitempty"`
	Message   string `json:"message"`
	Lost      bool   `json:"lost"` // the operation did not become a tool
}

// apisOf describes the APIs among the upstreams, the costliest tools first.
func apisOf(a *app.App) []apiRow {
	rows := []apiRow{}
	for _, s := range a.Status() {
		if s.Report == nil {
			continue
		}
		r := apiRow{
			Name: s.Name, Operations: s.Report.Operations, Tools: s.Report.Tools, Lost: s.Report.Lost, Dynamic: s.Report.Dynamic, Tokens: s.Report.Tokens,
			Costs: []costRow{}, Warnings: []warningRow{},
		}
		for _, c := range s.Report.Costs {
			r.Costs = append(r.Costs, costRow(c))
		}
		slices.SortStableFunc(r.Costs, func(x, y costRow) int { return y.Tokens - x.Tokens })
		for _, w := range s.Report.Warnings {
			r.Warnings = append(r.Warnings, warningRow(w))
		}
		slices.SortStableFunc(r.Warnings, func(x, y warningRow) int { // losses first
			switch {
			case x.Lost == y.Lost:
				return 0
			case x.Lost:
				return -1
			default:
				return 1
			}
		})
		rows = append(rows, r)
	}
	return rows
}

// printAPIs writes what the descriptions came to.
func (c *cli) printAPIs(rows []apiRow) {
	for _, r := range rows {
		how := "listed as tools"
		if r.Dynamic {
			how = "found by search: three tools stand for them"
		}
		c.Printf("%s: %d of %s translate, about %d tokens, %s\n", r.Name, r.Tools, count(r.Operations, "operation"), r.Tokens, how)
		t := &term.Table{}
		t.Head("TOOL", "OPERATION", "TOKENS")
		for _, x := range r.Costs[:min(len(r.Costs), shownLines)] {
			t.Row(term.Cell{Text: x.Tool, Style: term.Bold}, term.Cell{Text: x.Operation}, term.Cell{Text: strconv.Itoa(x.Tokens), Right: true})
		}
		c.Printf("%s", t.String(c.ColorOut))
		if more := len(r.Costs) - shownLines; more > 0 {
			c.Printf("and %d smaller; --json shows all\n", more)
		}
		for _, w := range r.Warnings[:min(len(r.Warnings), shownLines)] {
			c.Note("%s", term.Paint(term.Line(w.text(r.Name)), term.Yellow, c.ColorErr))
		}
		if more := len(r.Warnings) - shownLines; more > 0 {
			c.Note("%s: and %s; --json shows all", r.Name, count(more, "more warning"))
		}
	}
}

// text is a warning on one line.
func (w *warningRow) text(name string) string {
	text := name + ": "
	if w.Pointer != "" { // "" is the whole description
		text += w.Pointer + ": "
	}
	if w.Operation != "" && !strings.Contains(w.Message, w.Operation) {
		text += w.Operation + ": "
	}
	if w.Lost {
		text += "lost: "
	}
	return text + w.Message
}

// described returns the file with nothing but the APIs whose description can be read without a network.
func described(file *config.File) *config.File {
	only := *file
	only.MCPServers = nil
	for _, u := range file.MCPServers {
		d := u.Spec.OpenAPI.OpenAPI
		here := d != "" && !strings.Contains(d, "://") || u.Spec.GRPC.GRPC != "" && !u.Spec.GRPC.Reflected() ||
			u.Spec.GraphQL.GraphQL != "" && !u.Spec.GraphQL.Remote()
		if here && !u.Spec.Disabled {
			only.MCPServers = append(only.MCPServers, u)
		}
	}
	return &only
}

// describe reads the descriptions of a file that need no network. An API whose description cannot be read is an error in the configuration.
func (c *cli) describe(ctx context.Context, file *config.File) (rows []apiRow, err error) {
	only := described(file)
	if len(only.MCPServers) == 0 {
		return nil, nil
	}
	err = c.with(ctx, only, 0, func(a *app.App) error {
		rows = apisOf(a)
		for _, s := range a.Status() {
			if s.State != upstream.Ready {
				return catalog.Errorf(catalog.Config, "%s", s.Reason)
			}
		}
		return nil
	})
	return rows, err
}
