package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
	"weir/upstream"
)

// maxArguments bounds a JSON object read from standard input, in bytes.
const maxArguments = 16 << 20

// call is weir call TOOL [key=value…].
func (c *cli) call() *cobra.Command {
	var jsonArgs string
	var standalone bool
	cmd := &cobra.Command{
		Use: "call TOOL [key=value... | -]", Short: "call one tool",
		Long: "Call one tool, as the local user, through the same gateway as any client. TOOL is a Ref (github/create_issue), a public name\n" +
			"(github__create_issue), or a bare name that only one upstream has. Values are read by the tool's input schema: numbers, true and false,\n" +
			"JSON for lists and objects, anything else as it is. A single - reads a JSON object from standard input.\n" +
			"When weir serve runs with the same file and variables for the same user, the call is its; otherwise servers are started for it.",
		Example: "  weir call time/get_current_time timezone=Europe/Paris\n  weir call github/create_issue --json-args '{\"title\":\"x\"}'\n" +
			"  weir call github/create_issue - < issue.json",
		Args: between(1, -1, "the name of a tool"), ValidArgsFunction: c.completeCall,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := c.read(nil)
			if err != nil {
				return err
			}
			given, err := c.given(args[1:], jsonArgs, cmd.Flags().Changed("json-args"))
			if err != nil {
				return err
			}
			y, err := c.errandTo(cmd.Context(), file, standalone, &errand{Call: &callErrand{Tool: args[0], Arguments: given.object, Pairs: given.pairs}})
			if err != nil {
				return err
			}
			return c.printResult(y)
		},
	}
	cmd.Flags().StringVar(&jsonArgs, "json-args", "", "the arguments as one JSON `OBJECT`")
	standaloneFlag(cmd, &standalone)
	must(cmd.RegisterFlagCompletionFunc("json-args", cobra.NoFileCompletions))
	return cmd
}

// arguments are those of the command line: either a whole object, or pairs to be read by a schema.
type arguments struct {
	object []byte
	pairs  []string
}

// given takes the arguments from where they are.
func (c *cli) given(pairs []string, object string, whole bool) (arguments, error) {
	stdin := len(pairs) == 1 && pairs[0] == "-"
	switch {
	case whole && len(pairs) > 0:
		return arguments{}, &term.UsageError{Msg: "weir call: both --json-args and arguments; give one"}
	case whole:
		return checkObject([]byte(object), "--json-args")
	case stdin:
		b, err := io.ReadAll(io.LimitReader(c.In, maxArguments+1))
		if err != nil {
			return arguments{}, err
		}
		return checkObject(b, "standard input")
	}
	return arguments{pairs: pairs}, nil
}

func checkObject(b []byte, from string) (arguments, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(b, &object); err != nil || object == nil || len(b) > maxArguments {
		return arguments{}, &term.UsageError{Msg: "weir call: " + from + " is not a JSON object"}
	}
	return arguments{object: b}, nil
}

// callErrand calls a tool.
type callErrand struct {
	Tool      string          `json:"tool"`                // as a person types it
	Arguments json.RawMessage `json:"arguments,omitempty"` // an object, or
	Pairs     []string        `json:"pairs,omitempty"`     // to be read by the tool's schema
}

func (q *callErrand) run(ctx context.Context, a *app.App, wait waiting) (*yield, error) {
	if err := wait(patient{Asked: true}, func(ctx context.Context) error { return awaitTool(ctx, a, q.Tool) }); err != nil {
		return nil, err
	}
	e, err := find(a, q.Tool)
	if err != nil {
		return nil, err
	}
	object := []byte(q.Arguments)
	if object == nil {
		schema := gjson.GetBytes(e.Raw(catalog.Modern), "inputSchema")
		if object, err = parseArguments(schema, q.Pairs); err != nil {
			return nil, &term.UsageError{Msg: e.Ref.String() + ": " + err.Error(), Hint: "weir tools -v " + e.Ref.String()}
		}
	}
	out, err := a.Call(ctx, e.Name, object)
	if err != nil {
		return nil, err
	}
	return &yield{Result: out.Result, Code: out.Code}, nil
}

// owner is the upstream that a Ref or a prefixed name belongs to; a bare name may be anybody's.
func owner(name string) string {
	for _, separator := range []string{"/", "__"} {
		if o, _, ok := strings.Cut(name, separator); ok {
			return o
		}
	}
	return ""
}

// awaitTool waits for the upstream of a tool, and for no other: one that hangs must not keep those that do not. A bare name needs all of
// them, because only then it is known to be nobody else's.
func awaitTool(ctx context.Context, a *app.App, name string) error {
	i := slices.IndexFunc(a.Status(), func(s upstream.Status) bool { return s.Name == owner(name) })
	if i < 0 {
		return a.Settled(ctx)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ready := time.Time{}
	for {
		s := a.Status()[i]
		_, err := find(a, name)
		known := s.State == upstream.Ready || s.State == upstream.Idle
		switch {
		case err == nil || s.State != upstream.Starting && !known:
			return nil
		case known && ready.IsZero():
			ready = time.Now()
		case known && time.Since(ready) > time.Second: // the catalogue follows at once
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// find resolves what a person typed: a Ref, a public name or a bare one. An unknown name gets the nearest, and the upstreams that are
// not there and could have it. What the policy denies with a reason is found, so that the call is refused with it.
func find(a *app.App, name string) (*catalog.Entry, error) {
	profile := a.Profile()
	snapshot := profile.View.Snapshot()
	var names []string
	for _, e := range snapshot.Entries() {
		if e.Kind != catalog.Tool || e.Hidden || !profile.Knows(e) {
			continue
		}
		if e.Ref.String() == name {
			return e, nil
		}
		names = append(names, e.Ref.String(), e.Name, e.Ref.Name)
	}
	e, err := snapshot.Resolve(catalog.Tool, name, profile.Knows)
	if err == nil {
		return e, nil
	}
	var own *catalog.Error
	if !errors.As(err, &own) {
		return nil, err
	}
	unknown := &catalog.Error{Code: own.Code, Msg: own.Msg, Hint: "weir tools"}
	if near := config.Nearest(name, names); near != "" {
		unknown.Msg += fmt.Sprintf("; did you mean %q?", near)
	}
	for _, s := range a.Status() {
		if s.Name == owner(name) && s.State != upstream.Ready && s.State != upstream.Idle && s.Reason != "" {
			code := catalog.Unavailable
			if s.State == upstream.SignIn {
				code = catalog.NeedsLogin
			}
			return nil, &catalog.Error{Code: code, Msg: s.Reason, Hint: s.Hint}
		}
	}
	return nil, unknown
}

// printResult prints text plainly and everything else as JSON.
func (c *cli) printResult(out *yield) error {
	result := gjson.ParseBytes(out.Result)
	failed := result.Get("isError").Bool()
	switch {
	case out.Code != "": // weir's own failure; its text is for people
		return &catalog.Error{Code: out.Code, Msg: result.Get("content.0.text").String()}
	case result.Get("resultType").String() == "input_required":
		return catalog.Errorf(catalog.Invalid, "call: the tool asks its user for more; call it from an MCP client that can answer")
	case c.JSON:
		c.Printf("%s\n", out.Result)
	default:
		c.printContent(result)
	}
	if failed {
		return term.ErrTool
	}
	return nil
}

func (c *cli) printContent(result gjson.Result) {
	blocks := result.Get("content").Array()
	for _, b := range blocks {
		if b.Get("type").String() == "text" && b.Get("text").Exists() {
			text := b.Get("text").String()
			if term.IsTerminal(c.Out) {
				text = term.Text(text)
			}
			c.Printf("%s\n", strings.TrimSuffix(text, "\n"))
			continue
		}
		c.Printf("%s\n", b.Raw)
	}
	if structured := result.Get("structuredContent"); len(blocks) == 0 && structured.Exists() {
		c.Printf("%s\n", structured.Raw)
	}
}
