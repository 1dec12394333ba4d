package mcpconn

import (
	"context"
	"errors"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// Call sends one call and returns the server's answer, be it a result or an error. call.Message is not read after it returned. An error is
// always a *catalog.Error: a failure of the connection or of weir, with [catalog.Error.Execution] set.
//
// Every call is one request to the server, with two exceptions: a request that provably was not executed because its session or its kept connection was
// gone is sent once more, and so is one that a modern server refuses for its Mcp-Param headers, after another look at the tool's schema.
func (c *Conn) Call(ctx context.Context, call *catalog.Call) (*catalog.Answer, error) {
	call, err := c.trimmed(call)
	if err != nil {
		return nil, err
	}
	x := &exchange{c: c, call: call}
	if call.Entry != nil && c.era == catalog.Modern && call.Method == "tools/call" {
		x.headers = paramHeaders(call.Entry, call.Message)
	}
	resp, err := x.make(ctx)
	if err != nil {
		return nil, err
	}
	if resp.message.Kind == rawjson.Error {
		if resp, err = x.hopError(ctx, resp); err != nil {
			return nil, err
		}
		if err := c.attributeVisits(&resp.message); err != nil {
			resp.release()
			return nil, c.refusedInput(call, err)
		}
	}
	m := &resp.message
	if m.Kind == rawjson.Result {
		if !call.InputRequired && asksInput(m) {
			if call.Ask == nil {
				resp.release()
				return nil, c.cannotAsk(call)
			}
			if resp, err = x.rounds(ctx, resp); err != nil {
				return nil, err
			}
			m = &resp.message
		}
		if m.Kind == rawjson.Result {
			if asksInput(m) {
				if err := c.attributeInput(m); err != nil {
					resp.release()
					return nil, c.refusedInput(call, err)
				}
			}
			stripServerInfo(m)
		}
	}
	return catalog.NewAnswer(m, c.era, resp.release), nil
}

// make makes the call the way its tool is called.
func (x *exchange) make(ctx context.Context) (*response, error) {
	c, call := x.c, x.call
	if call.Entry != nil && call.Entry.OnlyTask && call.Method == "tools/call" && c.era == catalog.Legacy && runsTasks(c.peer.Load().capabilities) {
		return x.runTask(ctx)
	}
	return x.run(ctx)
}

// run sends the call under a new id and waits for its response.
func (x *exchange) run(ctx context.Context) (*response, error) {
	c, call := x.c, x.call
	if err := c.raiseLevel(ctx, call.Client.LogLevel); err != nil {
		return nil, err
	}
	x.id = c.ids.Add(1)
	buf := c.pool.get()
	defer buf.drop()
	buf.b = begin(buf.b, x.id, call.Method)
	params := len(buf.b)
	buf.b = c.appendParams(buf.b, call, x.id)
	x.method, x.params = call.Method, buf.b[params:]
	buf.b = append(buf.b, '}')
	x.message, x.buf = buf.b, buf
	if call.Method != "completion/complete" {
		x.name = call.Target
	}
	x.owner, x.session, x.onMessage = call.Owner, call.Client.Session, x.take
	x.refuses = call.Ask != nil
	x.askable = x.refuses && asksSomebody(call.Client.Capabilities)
	x.parked, x.traceparent, x.tracestate = call.Parked, call.Traceparent, call.Tracestate
	if call.Hop != nil {
		c.note(call.Hop, x.id)
	}
	resp, err := c.t.roundTrip(ctx, &x.request)
	x.finish()
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return resp, nil
}

// failure makes every error of a transport a *catalog.Error.
func (c *Conn) failure(ctx context.Context, err error) error {
	if r, ok := errors.AsType[*refusal](err); ok && ofAnotherEra(r.status) && c.settled() {
		return c.surprise("the server answers like one of another MCP revision", err)
	}
	if own, ok := errors.AsType[*catalog.Error](err); ok {
		return own
	}
	if ctx.Err() != nil {
		return ended(ctx, c.name, catalog.Unknown)
	}
	return &catalog.Error{Code: catalog.Unavailable, Msg: c.name + ": the connection failed", Err: err}
}

// paramHeaders returns the Mcp-Param headers of a call of e.
func paramHeaders(e *catalog.Entry, m *rawjson.Message) [][2]string {
	if len(e.Headers) == 0 {
		return nil
	}
	headers := make([][2]string, 0, len(e.Headers))
	arguments := m.Arguments.Of(m.Data)
	for _, p := range e.Headers {
		if value, ok := e.HeaderValue(p, arguments); ok {
			headers = append(headers, [2]string{p.Header, value})
		}
	}
	return headers
}

// hopError takes an error response. Those that are about this hop alone are weir's own problem; every other is returned as it is.
func (x *exchange) hopError(ctx context.Context, resp *response) (*response, error) {
	c := x.c
	code := errorCode(&resp.message)
	switch {
	case code == mcp.UNSUPPORTED_PROTOCOL_VERSION || code == mcp.HEADER_MISMATCH && c.era == catalog.Legacy:
		resp.release()
		return nil, c.surprise("the server no longer speaks MCP "+c.Version(), nil)
	case code == mcp.HEADER_MISMATCH && (x.again || x.call.Method != "tools/call"):
		return ownFault(resp)
	case code == mcp.HEADER_MISMATCH:
		resp.release()
		return x.afterMismatch(ctx)
	case ofAnotherEra(resp.status) && (c.era == catalog.Legacy || resp.message.ID.Absent() || code <= -32000 && code > -32020) && c.settled():
		// A legacy server answers a request with status 200; a modern one names the request, and uses no code of the legacy range.
		resp.release()
		return nil, c.surprise("the server answers like one of another MCP revision", nil)
	}
	return resp, nil
}

// afterMismatch sends a call once more that the server refused for its headers, with those that its schema of now asks for.
func (x *exchange) afterMismatch(ctx context.Context) (*response, error) {
	c := x.c
	x.again = true
	entry, err := c.tool(ctx, x.call.Target)
	if err != nil {
		return nil, &catalog.Error{
			Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: the server refused the headers of the request", x.call.Entry.Ref), Execution: catalog.NotExecuted, Err: err,
		}
	}
	c.changed()
	x.headers = paramHeaders(entry, x.call.Message)
	resp, err := x.run(ctx)
	if err != nil || resp.message.Kind != rawjson.Error {
		return resp, err
	}
	return x.hopError(ctx, resp)
}

// ownFault takes the refusal of headers that are right as far as weir can tell. The code is for weir and says the wrong thing to a caller, what the
// server says with it may help.
func ownFault(resp *response) (*response, error) {
	m := &resp.message
	obj := m.Error.Of(m.Data)
	f, err := rawjson.Fields(obj, "code")
	if err != nil {
		resp.release()
		return nil, &catalog.Error{Code: catalog.Internal, Msg: "internal error", Err: err}
	}
	at := rawjson.Span{Start: m.Error.Start + f[0].Start, End: m.Error.Start + f[0].End}
	data := rawjson.Splice(nil, m.Data, rawjson.Span{End: len(m.Data)}, rawjson.Edit{Span: at, With: []byte("-32603")})
	next := &response{release: func() {}}
	err = rawjson.Scan(&next.message, data)
	resp.release()
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Internal, Msg: "internal error", Err: err}
	}
	return next, nil
}

// cannotAsk is the error of a call that needs the client's answer to go on, when this client cannot be asked.
func (c *Conn) cannotAsk(call *catalog.Call) *catalog.Error {
	return &catalog.Error{
		Code:      catalog.Unavailable,
		Msg:       fmt.Sprintf("%s: the server needs an answer from the user to go on, and this client cannot be asked", call.Entry.Ref),
		Execution: catalog.NotExecuted,
	}
}

// errorCode returns the code of an error response, 0 when it has none that is an integer.
func errorCode(m *rawjson.Message) int {
	obj := m.Error.Of(m.Data)
	fields, err := rawjson.Fields(obj, "code")
	if err != nil {
		return 0
	}
	return integer(fields[0].Of(obj))
}

// integer reads a raw JSON integer of a few digits, 0 when it is anything else.
func integer(raw []byte) int {
	n, sign := 0, 1
	if len(raw) > 0 && raw[0] == '-' {
		raw, sign = raw[1:], -1
	}
	if len(raw) == 0 || len(raw) > 9 {
		return 0
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return sign * n
}
