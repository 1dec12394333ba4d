package server

import (
	"context"
	"net/netip"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

// Event is the record of one request: refused and failed ones have one too.
type Event struct {
	Start     time.Time
	Duration  time.Duration // of the whole request
	Queue     time.Duration // of it, waiting for a turn at the upstream
	Upstream  time.Duration // of it, with the upstream; 0 when nothing went there
	Principal policy.Principal
	Address   netip.Addr // zero over stdio
	Client    *catalog.Client
	Method    string
	Kind      catalog.Kind // of the entry; means nothing without Ref
	Ref       catalog.Ref  // zero when no entry was resolved
	// Entry is what the policy decided about, nil when it decided nothing.
	Entry *catalog.Entry
	Rule  string // the policy rule that decided, "" when none had to
	// Outcome is ok, tool_error, rpc_error, input_required, panic, or a catalog.Code. Execution is what is known of a call that failed with a code.
	Outcome   string
	Execution catalog.Execution
	Reason    string    // what the caller was told, "" unless weir itself refused or failed
	Findings  []Finding // of the guards; an answer that is withheld has some, too
	Code      int       // of the JSON-RPC error in the reply, 0 for a result
	In, Out   int       // bytes of the request and the reply
	// ID is the id of the record that the observer keeps of the request; nil when it keeps none.
	ID func() string
	// Header returns a header of the HTTP request, nil over stdio; see Request.
	Header func(name string) (string, bool)
	// Request is the caller's message and Answer the upstream's, nil when there was none. Their bytes are valid until End returns.
	Request, Answer *rawjson.Message
}

// Era is the client's.
func (e *Event) Era() catalog.Era { return e.Client.Era }

// TraceContext is what the caller says of its trace (W3C Trace Context), in _meta or else in the headers; "" for nothing.
func (e *Event) TraceContext() (traceparent, tracestate string) {
	m := e.Request
	if text, ok := rawjson.String(m.Meta.Traceparent.Of(m.Data)); ok {
		tracestate, _ = rawjson.String(m.Meta.Tracestate.Of(m.Data))
		return text, tracestate
	}
	if e.Header == nil {
		return "", ""
	}
	if traceparent, _ = e.Header("Traceparent"); traceparent != "" {
		tracestate, _ = e.Header("Tracestate")
	}
	return traceparent, tracestate
}

// Observer follows requests on their way. Its methods are called in the order Begin, Intent (perhaps), End, by one goroutine for one request, and
// concurrently for many.
type Observer interface {
	// Begin is called when a request was read. What is done for it is done under the context that it returns.
	Begin(context.Context, *Event) context.Context
	// Intent is called when a request was allowed and is about to go to an upstream; an error keeps it from going, and is the answer.
	Intent(context.Context, *Event) error
	// End is called when the request is over, before the reply is written. The event, but for what it says of messages, is the observer's from then on.
	End(context.Context, *Event)
}

// Unobserved is the Observer of a gateway that nobody follows.
type Unobserved struct{}

// Begin changes nothing.
func (Unobserved) Begin(ctx context.Context, _ *Event) context.Context { return ctx }

// Intent lets everything pass.
func (Unobserved) Intent(context.Context, *Event) error { return nil }

// End does nothing.
func (Unobserved) End(context.Context, *Event) {}

// Serve answers one request; the reply is never nil. Every request is observed.
func (g *Gateway) Serve(ctx context.Context, r *Request) *Reply {
	e := newEvent(r)
	ctx = g.observer.Begin(ctx, e)
	reply, err := g.dispatch(ctx, r, e)
	if err != nil {
		reply = g.fail(r, e, err)
	}
	e.Duration, e.Out, e.Code = time.Since(e.Start), reply.Len(), reply.code
	g.observer.End(ctx, e)
	return reply
}

// newEvent is the record of a request that begins.
func newEvent(r *Request) *Event {
	return &Event{
		Start: time.Now(), Principal: r.Principal, Address: r.Address, Client: r.Client, Method: r.Message.MethodName(), Request: r.Message,
		Header: r.Header, In: len(r.Message.Data), Outcome: "ok",
	}
}

// send makes the upstream call of a request that was allowed.
func (g *Gateway) send(ctx context.Context, e *Event, c *catalog.Call) (*catalog.Answer, error) {
	if err := g.observer.Intent(ctx, e); err != nil {
		return nil, err
	}
	start := time.Now()
	answer, err := g.upstream.Call(ctx, g.guardBetween(c, e.Ref))
	e.Queue = c.Queued
	e.Upstream = time.Since(start) - e.Queue
	return answer, err
}
