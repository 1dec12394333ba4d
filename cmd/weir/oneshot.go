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

// with starts the gateway of file for the one command, waits until every upstream is up or has failed, and runs f.
func (c *cli) with(ctx context.Context, file *config.File, f func(*app.App) error) (err error) {
	a, err := c.open(file)
	if err != nil {
		return err
	}
	defer closing(a, &err)
	if err := c.settle(ctx, a); err != nil {
		return err
	}
	return f(a)
}

// open starts the gateway of file for one command. It logs only when the file asks for everything.
func (c *cli) open(file *config.File) (*app.App, error) {
	log := slog.New(slog.DiscardHandler)
	if file.Log.Level == "debug" {
		log = c.Logger(file.Log.Level, file.Log.Format)
	}
	return app.New(file, app.Env{Config: c.env, Log: log, Version: thisBuild().Version})
}

// settle waits for the upstreams, and says after a while for which.
func (c *cli) settle(ctx context.Context, a *app.App) error {
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
	return a.Settled(ctx)
}
