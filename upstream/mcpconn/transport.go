package mcpconn

import (
	"context"

	"weir/catalog/rawjson"
)

// request is one JSON-RPC request on its way to a server.
type request struct {
	method string
	params []byte // raw params object, final; nil for none
	// id is unique on the connection. A call that wants progress uses it as progress token too, so that a transport on which the
	// notifications of all calls share one channel can tell whose they are.
	id int64
	// name is the value of the Mcp-Name header, and headers are Mcp-Param-* ones; only modern HTTP sends them.
	name    string
	headers [][2]string
	// session groups requests of one client, "" when they belong to none: log messages that name no request go to one open request of each session.
	session string
	// onMessage gets the notifications and server requests that belong to this request, in order and before roundTrip returns, from the
	// goroutine that called roundTrip. Nil drops them. The message is valid only during the call.
	onMessage func(*rawjson.Message)
}

// response is the server's answer. release gives its buffer back and is never nil.
type response struct {
	message rawjson.Message
	release func()
}

// transport is one way to reach a server: a child's pipes, Streamable HTTP, or HTTP+SSE. All methods are safe for concurrent use.
type transport interface {
	// roundTrip sends r and waits for its response. When ctx ends first, the transport cancels the request at the server (notifications/cancelled,
	// or by closing the stream of a modern HTTP request), forgets it and returns ctx's cause. Errors are *catalog.Error with Execution set: NotExecuted only
	// when the request provably did not reach the server.
	roundTrip(ctx context.Context, r *request) (*response, error)
	// notify sends a notification.
	notify(ctx context.Context, method string, params []byte) error
	// reply answers a request of the server that came through onMessage or onUnsolicited; answer is a whole raw `"result":…` or `"error":…` member.
	reply(ctx context.Context, id []byte, answer []byte) error
	// done is closed when the connection is lost; err says why then.
	done() <-chan struct{}
	err() error
	// close ends the connection and everything behind it (child processes, streams) and waits, within ctx.
	close(ctx context.Context) error
}
