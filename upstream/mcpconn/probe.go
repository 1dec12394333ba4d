package mcpconn

import (
	"context"
	"errors"

	"weir/catalog"
)

// Probe asks the server for a sign of life in the protocol itself: server/discover of a modern one (spec 2026-07-28, server/discover), ping of a legacy one
// (spec 2025-11-25, basic/utilities/ping). Any answer is one, an error or a limit too; an error is a *catalog.Error.
func (c *Conn) Probe(ctx context.Context) error {
	method := "server/discover"
	if c.era == catalog.Legacy {
		method = "ping"
	}
	resp, err := c.ask(ctx, method, []byte(`{}`))
	var own *catalog.Error
	switch {
	case err == nil:
		resp.release()
		return nil
	case errors.As(err, &own) && own.Code == catalog.Limited:
		return nil
	case errors.As(err, &own) && own.Code == catalog.NeedsLogin:
		return own
	}
	return &catalog.Error{Code: catalog.Unavailable, Msg: c.name + ": the server does not answer " + method, Execution: catalog.NotExecuted, Err: err}
}
