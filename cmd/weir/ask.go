package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/join"
	"weir/cmd/weir/internal/term"
)

// errand is what a command wants of a gateway: of the one that runs, or of one of its own for the moment. One member is set. It travels as JSON, and
// members may be added.
type errand struct {
	List  *listErrand  `json:"ls,omitempty"`
	Tools *toolsErrand `json:"tools,omitempty"`
	Call  *callErrand  `json:"call,omitempty"`
}

// yield is what came of an errand.
type yield struct {
	Gateway   *running        `json:"gateway,omitempty"` // that ran before, nil for one of its own
	Upstreams []upstreamRow   `json:"upstreams,omitempty"`
	Faults    []string        `json:"faults,omitempty"` // of the gateway itself
	Tools     *toolList       `json:"tools,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"` // of a call
	Code      catalog.Code    `json:"code,omitempty"`   // of weir's own failure, "" when the upstream answered
	Error     *refusal        `json:"error,omitempty"`
}

// running is a gateway that runs.
type running struct {
	Weir  string    `json:"weir"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// String says which gateway it is.
func (g *running) String() string {
	return fmt.Sprintf("since %s (process %d, weir %s)", g.Since.Local().Format(time.DateTime), g.PID, term.Line(g.Weir))
}

// refusal is an error on its way. Facts that are not for everybody go along: both ends are the same person.
type refusal struct {
	Code  catalog.Code `json:"code"`
	Msg   string       `json:"message"`
	Hint  string       `json:"hint,omitempty"`
	Usage bool         `json:"usage,omitempty"` // the command line makes no sense
}

// refuse makes an error fit to travel.
func refuse(err error) *refusal {
	if u, ok := errors.AsType[*term.UsageError](err); ok {
		return &refusal{Code: catalog.Invalid, Msg: u.Msg, Hint: u.Hint, Usage: true}
	}
	if e, ok := errors.AsType[*catalog.Error](err); ok {
		return &refusal{Code: e.Code, Msg: e.Msg, Hint: e.Hint}
	}
	return &refusal{Code: catalog.Internal, Msg: err.Error()}
}

// err is the error that travelled.
func (r *refusal) err() error {
	switch {
	case r == nil:
		return nil
	case r.Usage:
		return &term.UsageError{Msg: r.Msg, Hint: r.Hint}
	default:
		return &catalog.Error{Code: r.Code, Msg: r.Msg, Hint: r.Hint}
	}
}

// patient is how long an errand waits for upstreams that are starting: 0 is as long as it takes. At a gateway that runs it waits only when somebody asked
// for that, since how things stand there is what is wanted.
type patient struct {
	Wait  time.Duration `json:"wait"`
	Asked bool          `json:"asked,omitempty"`
}

// waiting waits for upstreams of a gateway.
type waiting func(p patient, wait func(context.Context) error) error

// run does the errand with a gateway; wait is how it waits.
func (e *errand) run(ctx context.Context, a *app.App, wait waiting) (*yield, error) {
	switch {
	case e.List != nil:
		return e.List.run(a, wait)
	case e.Tools != nil:
		return e.Tools.run(a, wait)
	case e.Call != nil:
		return e.Call.run(ctx, a, wait)
	default:
		return nil, catalog.Errorf(catalog.Invalid, "weir %s: this gateway does not know what it is asked", thisBuild().Version)
	}
}

// answering answers the errands of other commands; since is when the gateway was started.
func answering(since time.Time) func(context.Context, *app.App, []byte) []byte {
	me := running{Weir: thisBuild().Version, PID: os.Getpid(), Since: since.UTC()}
	return func(ctx context.Context, a *app.App, question []byte) []byte {
		var e errand
		y := new(yield)
		err := json.Unmarshal(question, &e)
		if err == nil {
			y, err = e.run(ctx, a, func(p patient, wait func(context.Context) error) error {
				if !p.Asked {
					return nil
				}
				return atMost(ctx, p.Wait, wait)
			})
		}
		if err != nil {
			y = &yield{Error: refuse(err)}
		}
		y.Gateway = &me
		b, err := plain(y)
		if err != nil {
			b, _ = plain(&yield{Error: refuse(err)}) // strings always encode
		}
		return b
	}
}

// plain encodes v on one line, without changing what is JSON in it already but for its spaces.
func plain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// standaloneFlag adds --standalone.
func standaloneFlag(cmd *cobra.Command, standalone *bool) {
	cmd.Flags().BoolVar(standalone, "standalone", false, "start servers for this command alone, whatever runs")
}

// errandTo does an errand with the gateway that runs for a file, or with one of its own when there is none, or another one.
func (c *cli) errandTo(ctx context.Context, file *config.File, standalone bool, e *errand) (*yield, error) {
	if !standalone {
		place, err := join.PlaceOf(file.Path, c.env)
		var gateway *join.Conn
		if err == nil {
			gateway, err = join.Dial(ctx, place, file.Expander)
		}
		if err == nil {
			return c.ask(ctx, gateway, e)
		}
		if !errors.Is(err, join.ErrNone) && !c.JSON {
			c.Note("servers are started for this command alone: %v", err)
		}
	}
	return c.alone(ctx, file, e)
}

// alone does an errand with a gateway for the moment.
func (c *cli) alone(ctx context.Context, file *config.File, e *errand) (y *yield, err error) {
	err = c.running(file, app.Env{Log: c.quiet(file)}, func(a *app.App) error {
		y, err = e.run(ctx, a, func(p patient, wait func(context.Context) error) error { return c.settle(ctx, p.Wait, wait, a) })
		return err
	})
	return y, err
}

// ask has a gateway do an errand.
func (c *cli) ask(ctx context.Context, gateway *join.Conn, e *errand) (*yield, error) {
	question, err := plain(e)
	if err != nil {
		return nil, err
	}
	b, err := gateway.Ask(ctx, question)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		lost := &catalog.Error{Code: catalog.Unavailable, Msg: err.Error(), Hint: "try again; with --standalone no gateway is asked"}
		if e.Call != nil {
			lost.Msg, lost.Hint = lost.Msg+" ("+catalog.Unknown.String()+")", "weir log"
		}
		return nil, lost
	}
	y := new(yield)
	if err := json.Unmarshal(b, y); err != nil {
		return nil, catalog.Errorf(catalog.Internal, "join: the answer of weir %s cannot be read: %v", gateway.Weir, err)
	}
	return y, y.Error.err()
}
