package server

import (
	"context"
	"time"

	"weir/catalog"
	"weir/policy"
)

// OwnUpstream is the upstream's name of the gateway's own tools; no other may have it.
const OwnUpstream = "weir"

// Caller is who calls, and what the policy says to that caller about the snapshot that the call began with.
type Caller struct {
	Principal policy.Principal
	Profile   *policy.Profile
}

// Own answers calls of the gateway's own tools: in process, and knowing who asks. What it tells is the caller's to know.
type Own interface {
	Call(context.Context, Caller, *catalog.Call) (*catalog.Answer, error)
}

// useOwn is the last step of use for the gateway's own tools.
func (g *Gateway) useOwn(ctx context.Context, r *Request, e *Event, profile *policy.Profile, call *catalog.Call) (*Reply, error) {
	if err := g.observer.Intent(ctx, e); err != nil {
		return nil, err
	}
	start := time.Now()
	answer, err := g.own.Call(ctx, Caller{r.Principal, profile}, call)
	e.Upstream = time.Since(start)
	if err != nil {
		return nil, err
	}
	return g.answer(r, e, answer), nil
}
