package mcpconn

import (
	"context"
	"slices"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// elicited says that what a user was sent to a URL for is done (spec 2025-11-25, client/elicitation). Later revisions do not have it.
const elicited = "notifications/elicitation/complete"

// askOutside takes a question that belongs to no call to the one client that the connection is for, and answers without holding up the reader.
func (c *Conn) askOutside(m *rawjson.Message) {
	select {
	case c.replies <- struct{}{}:
	default:
		return
	}
	id, method, params := slices.Clone(m.ID.Of(m.Data)), m.MethodName(), slices.Clone(m.Params.Of(m.Data))
	c.crew.run(func() {
		defer func() { <-c.replies }()
		result, err := c.pass(c.ctx, c.cfg.Outside.AskOutside, catalog.Request{Method: method, Params: params, Upstream: c.name})
		if c.ctx.Err() == nil {
			c.reply(id, askAnswer(method, result, err))
		}
	})
}

// RootsChanged tells a legacy server that its client's roots changed.
func (c *Conn) RootsChanged(ctx context.Context) error {
	if c.era == catalog.Modern {
		return nil
	}
	return c.t.notify(ctx, "notifications/roots/list_changed", nil)
}
