package app

import (
	"context"
	"errors"

	"weir/cmd/weir/internal/join"
)

// share lets every weir stdio of this user and configuration join the gateway, and other commands ask it, until ctx ends; wait returns when they are
// answered. A gateway that cannot be joined serves all the same.
func (a *App) share(ctx context.Context) (wait func()) {
	place, err := join.PlaceOf(a.current().Path, a.env.Config)
	var l *join.Listener
	if err == nil {
		l, err = join.Listen(ctx, place, join.Options{
			Version: a.env.Version, InForce: a.expander.Load, Serve: a.session, WriteTimeout: a.current().Server.WriteTimeout, Log: a.log,
			Answer: func(ctx context.Context, question []byte) []byte { return a.env.Answer(ctx, a, question) }, Drain: a.current().Server.DrainTimeout,
		})
	}
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			a.log.Warn("no weir stdio can join this gateway", "reason", err)
		}
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Serve(ctx)
	}()
	return func() { <-done }
}
