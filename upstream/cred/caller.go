package cred

import (
	"context"

	"weir/catalog"
)

// callerKey is the key of a context's caller.
type callerKey struct{}

// For returns a context of what is done for a caller. Without one it is the gateway itself that asks, for lists and the like.
func For(ctx context.Context, c catalog.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// Carry returns ctx with the caller of another context, if that has one.
func Carry(ctx, from context.Context) context.Context {
	if c, ok := callerOf(from); ok {
		return For(ctx, c)
	}
	return ctx
}

func callerOf(ctx context.Context) (catalog.Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(catalog.Caller)
	return c, ok
}
