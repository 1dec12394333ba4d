package mcpconn

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/rawjson"
)

// exchange is one call with everything that passes between server and caller before its answer.
type exchange struct {
	request
	c     *Conn
	call  *catalog.Call
	again bool // the request was sent a second time

	scratch []byte
	asks    *asks
}

// asks are the server's open questions of one call.
type asks struct {
	ctx    context.Context //nolint:containedctx // questions outlive the message that brought them
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	open map[string]context.CancelFunc // by raw id
}

// take gets the messages that belong to the call.
func (x *exchange) take(m *rawjson.Message) {
	if x.call.Alive != nil {
		x.call.Alive()
	}
	if m.Kind == rawjson.Request {
		x.question(m)
		return
	}
	switch m.MethodName() {
	case "notifications/progress":
		x.progress(m)
	case "notifications/message":
		x.logged(m)
	case "notifications/cancelled":
		x.withdraw(m)
	case elicited:
		if x.call.Notify != nil && x.call.Client.Era == catalog.Legacy {
			x.call.Notify(catalog.Notification{Method: elicited, Params: m.Params.Of(m.Data)})
		}
	default:
		x.c.unsolicited(m)
	}
}

// progress passes a progress notification on under the token that the caller gave.
func (x *exchange) progress(m *rawjson.Message) {
	if !wantsProgress(x.call) || !isID(m.ProgressToken.Of(m.Data), x.id) {
		return
	}
	caller := x.call.Message
	x.scratch = rawjson.Splice(x.scratch[:0], m.Data, m.Params, rawjson.Edit{
		Span: m.ProgressToken, With: caller.Meta.ProgressToken.Of(caller.Data),
	})
	x.call.Notify(catalog.Notification{Method: "notifications/progress", Params: x.scratch})
}

// logged passes a log message on if the caller wants messages of its level.
func (x *exchange) logged(m *rawjson.Message) {
	want := x.call.Client.LogLevel
	if x.call.Notify == nil || want == "" {
		return
	}
	level, _ := rawjson.String(m.Level.Of(m.Data))
	if catalog.LogLevel(level) < catalog.LogLevel(want) {
		return
	}
	x.call.Notify(catalog.Notification{Method: "notifications/message", Params: m.Params.Of(m.Data)})
}

// question takes a request of the server to the client.
func (x *exchange) question(m *rawjson.Message) {
	method := m.MethodName()
	if x.call.Ask == nil || !askable(method) {
		x.c.unsolicited(m)
		return
	}
	if x.asks == nil {
		x.asks = &asks{open: map[string]context.CancelFunc{}}
		x.asks.ctx, x.asks.cancel = context.WithCancel(x.c.ctx)
	}
	id := append([]byte(nil), m.ID.Of(m.Data)...)
	params := append([]byte(nil), m.Params.Of(m.Data)...)
	a := x.asks
	ctx, cancel := context.WithCancel(a.ctx)
	a.mu.Lock()
	a.open[string(id)] = cancel
	a.mu.Unlock()
	a.wg.Go(func() {
		defer cancel()
		var result []byte
		err := fault.Catch(x.c.cfg.Log, func() (err error) {
			result, err = x.c.pass(ctx, x.call.Ask, catalog.Request{Method: method, Params: params})
			return err
		}, "upstream", x.c.name)
		a.mu.Lock()
		delete(a.open, string(id))
		a.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		x.c.reply(id, askAnswer(method, result, err))
	})
}

// askable reports whether a request may be passed to a client.
func askable(method string) bool {
	switch method {
	case "elicitation/create", "sampling/createMessage", "roots/list":
		return true
	}
	return false
}

// asksSomebody reports whether a client declares anything that it can be asked for.
func asksSomebody(capabilities []byte) bool {
	f, err := rawjson.Fields(capabilities, "elicitation", "sampling", "roots")
	return err == nil && (!f[0].Absent() || !f[1].Absent() || !f[2].Absent())
}

// askAnswer makes the member that answers a question. What the client refused, it refuses in its own words.
func askAnswer(method string, result []byte, err error) []byte {
	if refused, ok := errors.AsType[*catalog.RPCError](err); ok {
		return append([]byte(`"error":`), refused.Object...)
	}
	if refused, ok := errors.AsType[*questionError](err); ok {
		return errorMember(-32602, refused.Error())
	}
	if err != nil {
		return errorMember(-32603, method+": the client did not answer")
	}
	return append([]byte(`"result":`), result...)
}

// withdraw ends a question that the server no longer wants answered.
func (x *exchange) withdraw(m *rawjson.Message) {
	if x.asks == nil {
		return
	}
	x.asks.mu.Lock()
	cancel := x.asks.open[string(m.RequestID.Of(m.Data))]
	x.asks.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// finish ends the open questions: with the answer to the call nobody waits for them any more.
func (x *exchange) finish() {
	if x.asks != nil {
		x.asks.cancel()
		x.asks.wg.Wait()
		x.asks = nil
	}
}

// errorMember writes the error member of a response.
func errorMember(code int, message string) []byte {
	b := strconv.AppendInt([]byte(`"error":{"code":`), int64(code), 10)
	b = append(b, `,"message":`...)
	b = rawjson.AppendString(b, message)
	return append(b, '}')
}

// changeOf reports whether a notification says that a list of the server changed.
func changeOf(method string) bool {
	return strings.HasSuffix(method, "/list_changed") && strings.HasPrefix(method, "notifications/")
}
