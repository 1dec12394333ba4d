package mcpstdio

import (
	"context"

	"weir/server"
)

// serveListen answers subscriptions/listen on the shared channel until the client cancels it (spec 2026-07-28, basic/patterns/subscriptions).
func (c *conn) serveListen(ctx context.Context, r *server.Request) {
	id := r.Message.ID.Of(r.Message.Data)
	want, err := server.ReadListen(r.Message)
	if err != nil {
		c.write(server.ErrorReply(0, id, server.CodeInvalidParams, err.Error(), nil))
		return
	}
	outlet := server.NewOutlet()
	ended, stop := c.o.Gateway.Open(ctx, r, want, outlet)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.ended:
			c.write(server.ListenEnded(id))
			return
		case <-ended:
			c.write(server.ListenEnded(id))
			return
		case <-outlet.Wake():
			for _, message := range outlet.Take() {
				c.line(func(b []byte) []byte { return append(b, message...) })
			}
		}
	}
}
