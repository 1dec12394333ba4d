package main

import (
	"context"
	"log/slog"
	"time"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/upstream"
)

// patience is how long a command waits in silence for upstreams to start.
const patience = time.Second

// defaultWait is how long listings wait for upstreams that are starting; what is not there by then is shown as starting.
const defaultWait = 10 * time.Second

// with starts the gateway of file for the one command, waits until every upstream is up or has failed, at most so long (0: as long as it
// takes), and runs f.
func (c *cli) with(ctx context.Context, file *config.File, most time.Duration, f func(*app.App) error) error {
	return c.running(file, app.Env{Log: c.quiet(file)}, func(a *app.App) error {
		if err := c.settle(ctx, most, a.Settled, a); err != nil {
			return err
		}
		return f(a)
	})
}

// quiet is the log of a command of a moment: nothing, unless the file asks for everything.
func (c *cli) quiet(file *config.File) *slog.Logger {
	if file.Log.Level == "debug" {
		return c.Logger(file.Log.Level, file.Log.Format)
	}
	return slog.New(slog.DiscardHandler)
}

// running starts the gateway of file, runs f, and takes it down; the first error counts. env says what is not the same for every command.
func (c *cli) running(file *config.File, env app.Env, f func(*app.App) error) (err error) {
	env.Config, env.Version = c.env, thisBuild().Version
	a, err := app.New(file, env)
	if err != nil {
		return err
	}
	defer func() {
		if e := a.Close(); err == nil {
			err = e
		}
	}()
	return f(a)
}

// settle runs wait, at most so long, and says after a while which upstreams are still starting.
func (c *cli) settle(ctx context.Context, most time.Duration, wait func(context.Context) error, a *app.App) error {
	if !c.JSON {
		begin := time.Now()
		timer := time.AfterFunc(patience, func() {
			for _, s := range a.Status() {
				if s.State == upstream.Starting {
					c.Note("%s: starting (%s)", s.Name, time.Since(begin).Round(time.Second))
				}
			}
		})
		defer timer.Stop()
	}
	return atMost(ctx, most, wait)
}

// atMost runs wait, at most so long (0: as long as it takes). It is no failure when the time is over.
func atMost(ctx context.Context, most time.Duration, wait func(context.Context) error) error {
	bound := ctx
	if most > 0 {
		var cancel context.CancelFunc
		bound, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	if err := wait(bound); err != nil && (ctx.Err() != nil || bound.Err() == nil) {
		return err
	}
	return nil
}
