package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/rawjson"
)

// answer turns what an upstream answered into the reply of the caller's era: the same bytes around the members that are per hop.
func (g *Gateway) answer(r *Request, e *Event, a *catalog.Answer) *Reply {
	id, err := g.wrapTask(r, e, a.Message)
	if err != nil {
		a.Release()
		return g.fail(r, e, err)
	}
	return g.answerAbout(r, e, a, id)
}

// answerAbout is answer, where the caller knows the task that it is about by a raw id; nil for none.
func (g *Gateway) answerAbout(r *Request, e *Event, a *catalog.Answer, taskID []byte) *Reply {
	a, err := g.inTerms(e, a, taskID)
	if err != nil {
		return g.fail(r, e, err)
	}
	if a, err = g.guardOut(r, e, a); err != nil {
		return g.fail(r, e, err)
	}
	if reply := g.sendToURLs(r, e, a); reply != nil {
		return reply
	}
	return g.deliver(r, e, a)
}

// deliver makes the reply of an answer that is in the gateway's terms, and has passed the guards.
func (g *Gateway) deliver(r *Request, e *Event, a *catalog.Answer) *Reply {
	m := a.Message
	r.answered = a.Era
	reply := newReply(statusOK)
	reply.release = a.Release
	reply.add(envelopeID, r.Message.ID.Of(r.Message.Data))
	if m.Kind == rawjson.Error {
		e.Outcome = "rpc_error"
		reply.add(envelopeError)
		g.spliceError(reply, r, e.Method, a)
	} else {
		if isToolError(m) {
			e.Outcome = "tool_error"
		}
		reply.add(envelopeResult)
		if r.Client.Era == catalog.Modern {
			g.spliceModern(reply, e.Method, a)
		} else {
			reply.add(legacyResult(a))
		}
	}
	reply.add(envelopeEnd)
	return reply
}

// legacyResult is an answer's result as revisions with a handshake know it: without a result type, and with structured content that is an object or
// not there (its text copy stays; spec 2026-07-28, changelog, SEP-2106). What a legacy upstream answered is not touched.
func legacyResult(a *catalog.Answer) []byte {
	m := a.Message
	result := m.Result.Of(m.Data)
	if a.Era == catalog.Legacy {
		return result
	}
	f, err := rawjson.Fields(result, "structuredContent")
	if err != nil {
		return result
	}
	content := f[0].Of(result)
	odd := len(content) > 0 && content[0] != '{'
	if m.ResultType.Absent() && !odd {
		return result
	}
	return rawjson.AppendObject(nil, result, func(key []byte) bool {
		return string(key) == "resultType" || odd && string(key) == "structuredContent"
	})
}

// isToolError reports whether a tools/call result says isError: true.
func isToolError(m *rawjson.Message) bool {
	return string(m.IsError.Of(m.Data)) == "true"
}

// wantsInput reports whether a result is a question to the caller, who comes again with the answer (spec 2026-07-28, basic/patterns/mrtr).
func wantsInput(m *rawjson.Message) bool {
	kind, _ := rawjson.String(m.ResultType.Of(m.Data))
	return kind == "input_required"
}

// spliceModern adds the members a modern result must have: resultType, weir's serverInfo, and cache hints where a legacy upstream had none to give.
func (g *Gateway) spliceModern(reply *Reply, method string, a *catalog.Answer) {
	m := a.Message
	result := m.Result
	if result.Absent() || m.Data[result.Start] != '{' {
		reply.add(result.Of(m.Data)) // not a result any revision knows; the client decides
		return
	}
	reply.add(openBrace)
	if m.ResultType.Absent() {
		reply.add(resultComplete)
	}
	if a.Era == catalog.Legacy && method == "resources/read" {
		reply.add(g.wire.noCache)
	}
	rest := rawjson.Span{Start: result.Start + 1, End: result.End}
	meta := m.Meta.Object
	if meta.Absent() {
		reply.add(openMeta, g.wire.meta, envelopeEnd)
		if !emptyFrom(m.Data, rest.Start) {
			reply.add(comma)
		}
		reply.add(rest.Of(m.Data))
		return
	}
	if own := m.Meta.ServerInfo; !own.Absent() {
		reply.add(m.Data[rest.Start:own.Start], g.wire.info, m.Data[own.End:rest.End])
		return
	}
	reply.add(m.Data[rest.Start:meta.Start+1], g.wire.meta)
	if !emptyFrom(m.Data, meta.Start+1) {
		reply.add(comma)
	}
	reply.add(m.Data[meta.Start+1 : rest.End])
}

var (
	resultComplete = []byte(`"resultType":"complete",`)
	openMeta       = []byte(`"_meta":{`)
)

// emptyFrom reports whether the object whose inside begins at i has no members.
func emptyFrom(data []byte, i int) bool {
	for ; i < len(data); i++ {
		switch data[i] {
		case ' ', '\t', '\n', '\r':
		default:
			return data[i] == '}'
		}
	}
	return true
}

// spliceError relays an upstream's error object; only the codes that the eras number differently change: what legacy revisions call a resource that was
// not found has invalid params in modern ones, and a wish for a visit to a URL is no error there.
func (g *Gateway) spliceError(reply *Reply, r *Request, method string, a *catalog.Answer) {
	object := a.Message.Error.Of(a.Message.Data)
	f, err := rawjson.Fields(object, "code")
	if err != nil || f[0].Absent() {
		reply.code = CodeInternal
		reply.add([]byte(`{"code":-32603,"message":"upstream sent an error without a code"}`))
		return
	}
	code, _ := strconv.Atoi(string(f[0].Of(object)))
	next := code
	switch {
	case r.Client.Era == catalog.Modern:
		switch code {
		case CodeResourceNotFound:
			next = CodeInvalidParams
		case CodeURLElicitation:
			next = CodeInternal
		}
		reply.Status = modernStatus(next)
	case a.Era == catalog.Modern && method == "resources/read" && code == CodeInvalidParams:
		next = CodeResourceNotFound
	}
	if reply.code = next; next == code {
		reply.add(object)
		return
	}
	reply.add(object[:f[0].Start], strconv.AppendInt(nil, int64(next), 10), object[f[0].End:])
}

// modernStatus is the HTTP status of an error code for a modern client (spec 2026-07-28, streamable-http).
func modernStatus(code int) int {
	switch code {
	case CodeMethodNotFound:
		return statusNotFound
	case CodeHeaderMismatch, CodeMissingCapability, CodeUnsupportedVersion, CodeParse, CodeInvalidRequest:
		return statusBadRequest
	default:
		return statusOK
	}
}

// fail turns an error of weir's own into a reply.
func (g *Gateway) fail(r *Request, e *Event, err error) *Reply {
	id := r.Message.ID.Of(r.Message.Data)
	if errors.Is(err, errNoMethod) {
		e.Outcome = "rpc_error"
		status := statusOK
		if r.Client.Era == catalog.Modern {
			status = statusNotFound
		}
		return ErrorReply(status, id, CodeMethodNotFound, "method not found: "+e.Method, nil)
	}
	if errors.Is(err, errShort) {
		e.Outcome, e.Execution, e.Reason = string(catalog.Limited), catalog.NotExecuted, err.Error()
		return ShortReply(id)
	}
	if p, ok := errors.AsType[*fault.PanicError](err); ok {
		e.Outcome, e.Reason = "panic", p.Error()
		p.Log(g.log, "method", e.Method, "ref", e.Ref.String())
		return ErrorReply(statusInternal, id, CodeInternal, p.Error(), nil)
	}
	if mismatch, ok := errors.AsType[*headerError](err); ok {
		e.Outcome = string(catalog.Invalid)
		return ErrorReply(statusBadRequest, id, CodeHeaderMismatch, mismatch.Error(), nil)
	}
	var own *catalog.Error
	if !errors.As(err, &own) {
		own = &catalog.Error{Code: catalog.Internal, Msg: "internal error", Err: err}
		if errors.Is(err, context.Canceled) {
			own = &catalog.Error{Code: catalog.Canceled, Msg: "request cancelled", Err: err}
		}
	}
	e.Outcome, e.Execution, e.Reason = string(own.Code), own.Execution, own.Msg
	if own.Code == catalog.Internal {
		g.log.Error("internal error", "method", e.Method, "ref", e.Ref.String(), "error", fmt.Sprint(own.Err))
	}
	if reply := g.sendToLogin(r, e, own); reply != nil {
		return reply
	}
	if e.Method == "tools/call" && tellModel(own.Code) && e.Ref != (catalog.Ref{}) {
		return g.toolError(r, e, own)
	}
	if own.Code == catalog.NotFound && !r.Message.URI.Absent() {
		code := CodeInvalidParams
		if r.Client.Era == catalog.Legacy {
			code = CodeResourceNotFound
		}
		uri := r.Message.URI.Of(r.Message.Data)
		return ErrorReply(statusOK, id, code, text(own), append(append([]byte(`{"uri":`), uri...), '}'))
	}
	var data []byte
	if own.Retry > 0 {
		data = append(appendRetry([]byte(`{`), own.Retry), '}')
	}
	reply := ErrorReply(statusOK, id, rpcCode(own.Code), text(own), data)
	reply.Retry = own.Retry
	return reply
}

// appendRetry appends the member that tells programs when to come back.
func appendRetry(b []byte, d time.Duration) []byte {
	return strconv.AppendInt(append(b, `"retryAfterMs":`...), d.Milliseconds(), 10)
}

// tellModel says whether a failure of a tool call goes to the model as a result, rather than to the client as a protocol error.
func tellModel(c catalog.Code) bool {
	switch c {
	case catalog.NotFound, catalog.Internal, catalog.Unauthenticated:
		return false
	default:
		return true
	}
}

// text is what a caller reads: what is wrong, whether it ran, what to do.
func text(e *catalog.Error) string {
	s := e.Msg
	if e.Code == catalog.Unavailable || e.Code == catalog.Timeout {
		s += " (" + e.Execution.String() + ")"
	}
	switch {
	case e.URL != "":
		s += "\n" + e.URL
	case e.Hint != "":
		s += "\n" + e.Hint
	}
	return s
}

// toolError answers tools/call with a result that says what went wrong, with the code for programs under a _meta key of weir's own.
func (g *Gateway) toolError(r *Request, event *Event, e *catalog.Error) *Reply {
	b := []byte(`{`)
	if r.Client.Era == catalog.Modern {
		b = append(append(append(b, resultComplete...), openMeta...), g.wire.meta...)
		b = append(b, ',')
	} else {
		b = append(b, openMeta...)
	}
	b = rawjson.AppendString(append(b, `"weir/error":{"code":`...), string(e.Code))
	b = rawjson.AppendString(append(b, `,"execution":`...), e.Execution.String())
	if e.Retry > 0 {
		b = appendRetry(append(b, ','), e.Retry)
	}
	if event.ID != nil {
		b = rawjson.AppendString(append(b, `,"id":`...), event.ID())
	}
	b = rawjson.AppendString(append(b, `}},"content":[{"type":"text","text":`...), text(e))
	reply := ResultReply(r.Message.ID.Of(r.Message.Data), append(b, `}],"isError":true}`...))
	reply.Retry = e.Retry
	return reply
}

// headerError is a mirrored header that does not say what the body says.
type headerError struct{ header, reason string }

func (e *headerError) Error() string { return "header " + e.header + " " + e.reason }
