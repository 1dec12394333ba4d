package mcpconn

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/rawjson"
)

// request is one JSON-RPC request on its way to a server.
type request struct {
	method string
	params []byte // raw params object, final; nil for none
	// id is unique on the connection. A call that wants progress uses it as progress token too, so that a transport on which the
	// notifications of all calls share one channel can tell whose they are.
	id int64
	// token is the progress token of an earlier request that this one goes on with, 0 for none.
	token int64
	// message is the whole JSON-RPC request, params included, as one piece of buf. Over HTTP it may still be read after roundTrip
	// returned: whoever does that keeps buf.
	message []byte
	buf     *buffer
	// name is the value of the Mcp-Name header, and headers are Mcp-Param-* ones; only modern HTTP sends them.
	name    string
	headers [][2]string
	// traceparent and tracestate are the headers of that name (W3C Trace Context), "" for none.
	traceparent, tracestate string
	// owner says whose request it is: what the server asks must never reach another one.
	owner string
	// session groups requests of one client, "" when they belong to none: log messages that name no request go to one open request of each session.
	session string
	// askable says that the server's own requests can be passed to who made this one; refuses that who made it wants to refuse them itself.
	askable, refuses bool
	// parked is as in catalog.Call.
	parked func() bool
	// onMessage gets the notifications and server requests that belong to this request, in order and before roundTrip returns, never
	// two at a time. Nil drops them. The message is valid only during the call.
	onMessage func(*rawjson.Message)
}

// response is the server's answer. release gives its buffer back and is never nil.
type response struct {
	message rawjson.Message
	release func()
	status  int // of HTTP, 0 on other transports
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

// life is the end of a connection, which comes once and has a reason.
type life struct {
	once  sync.Once
	ended chan struct{}
	cause error
}

func newLife() *life { return &life{ended: make(chan struct{})} }

// end ends it; only the first reason counts.
func (l *life) end(cause error) {
	l.once.Do(func() {
		l.cause = cause
		close(l.ended)
	})
}

// notice ends the connection when err, of a request over HTTP, says that the server cannot be reached at all.
func (l *life) notice(err error) {
	if e, ok := errors.AsType[*catalog.Error](err); ok && e.Code == catalog.Unavailable && e.Execution == catalog.NotExecuted {
		l.end(err)
	}
}

func (l *life) done() <-chan struct{} { return l.ended }

// err is nil as long as the connection lives.
func (l *life) err() error {
	select {
	case <-l.ended:
		return l.cause
	default:
		return nil
	}
}

// crew are the goroutines of a connection. After wait no new one starts. A panic in one of them ends the connection.
type crew struct {
	name string // of the upstream
	log  *slog.Logger
	end  func(error)
	mu   sync.Mutex
	left bool
	wg   sync.WaitGroup
}

// run starts f, unless wait was called.
func (c *crew) run(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.left {
		c.wg.Go(func() {
			if err := fault.Catch(c.log, func() error { f(); return nil }, "upstream", c.name); err != nil {
				c.end(broken(c.name, err))
			}
		})
	}
}

// broken is the end of a connection, or of what runs on it, by a fault of weir.
func broken(name string, fault error) *catalog.Error {
	return &catalog.Error{Code: catalog.Internal, Msg: name + ": " + fault.Error(), Err: fault}
}

// wait returns when all have ended.
func (c *crew) wait() {
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	c.wg.Wait()
}

// begin appends the start of a JSON-RPC request to dst, up to its params.
func begin(dst []byte, id int64, method string) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, `,"method":`...)
	dst = rawjson.AppendString(dst, method)
	return append(dst, `,"params":`...)
}

// appendNotice appends a notification.
func appendNotice(dst []byte, method string, params []byte) []byte {
	dst = rawjson.AppendString(append(dst, `{"jsonrpc":"2.0","method":`...), method)
	if params != nil {
		dst = append(append(dst, `,"params":`...), params...)
	}
	return append(dst, '}')
}

// appendAnswer appends the response to a request of the server; answer is a raw result or error member.
func appendAnswer(dst, id, answer []byte) []byte {
	dst = append(append(dst, `{"jsonrpc":"2.0","id":`...), id...)
	return append(append(append(dst, ','), answer...), '}')
}

// tokenOf reports whether a raw progress token names r.
func (r *request) tokenOf(raw []byte) bool {
	return isID(raw, r.id) || r.token != 0 && isID(raw, r.token)
}

// isID reports whether raw is the id that begin wrote for id.
func isID(raw []byte, id int64) bool {
	var digits [20]byte
	return string(strconv.AppendInt(digits[:0], id, 10)) == string(raw)
}
