package catalog

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"weir/catalog/rawjson"
)

// Client is what the protocol says about the caller: capabilities and preferences, never identity.
// For a modern client it is made anew from each request's _meta, for a legacy client it belongs to the session.
type Client struct {
	Era          Era
	Version      string // protocol revision in use on this hop
	Capabilities []byte // raw ClientCapabilities object, never nil
	Info         []byte // raw Implementation object, nil when not given
	LogLevel     string // "" when the client did not opt in to log messages
	// Outside reaches a legacy client between its requests; nil when that cannot be done.
	Outside Outside
	// Session tells apart clients that share an upstream connection: equal for calls of one legacy session or stdio client, unique otherwise.
	Session string
}

// Outside reaches a client on the stream that it keeps for what belongs to none of its requests. Whoever holds one compares it only with itself.
type Outside interface {
	// AskOutside passes an upstream's request on and returns the raw result; an error answer is a *RPCError.
	AskOutside(context.Context, Request) ([]byte, error)
	// Tell passes a notification on, if the client has such a stream now.
	Tell(Notification)
	// Done is closed when the client is gone for good.
	Done() <-chan struct{}
}

// Notification is one notification from an upstream on its way to the caller: method and raw params, already in the caller's terms
// (progress token mapped back). Both are valid only during the Notify call.
type Notification struct {
	Method string
	Params []byte
}

// Request is a request from an upstream to the caller during a call (elicitation/create, sampling/createMessage, roots/list).
type Request struct {
	Method string
	Params []byte // raw, may be nil
	// Upstream is who asks, where it belongs to no call.
	Upstream string
}

// Call is one request on its way to one upstream: a method of the specification on a resolved entry.
type Call struct {
	Method string // tools/call, prompts/get, resources/read, completion/complete
	Entry  *Entry
	// Target is the upstream's own name of the entry, or URI to read; it replaces the public one in the params.
	Target string
	// Message is the caller's message as scanned. Its bytes are read-only and valid until Upstream Call returns.
	Message *rawjson.Message
	Client  *Client
	// Owner is an opaque key of the principal: upstream state that belongs to one caller is kept under it.
	Owner string
	// Who names the principal in typed form.
	Who fmt.Stringer
	// Token is what the caller signed in with, "" for callers who did otherwise. See [Caller].
	Token Token
	// Sees says whether the caller may hear of a hidden tool of the upstream, by its own name (see [Source.Hidden]); nil for upstreams that have
	// none.
	Sees func(name string) bool
	// Notify passes progress and log messages to the caller in order, before the answer. It is never called concurrently nor after
	// the call returned. Nil when the caller takes none.
	Notify func(Notification)
	// Ask passes an upstream's request to the caller and returns the raw result. Nil when this caller cannot be asked.
	Ask func(context.Context, Request) ([]byte, error)
	// Alive is called for each message of the upstream that belongs to the call, whether or not it is one for the caller. An upstream whose Alive is set
	// is asked for progress even where the caller did not. Nil when nobody counts.
	Alive func()
	// Parked reports that the caller's client is away at the moment, until it comes back with the answer to a question. Nil for one that stays.
	Parked func() bool
	// Traceparent and Tracestate (W3C Trace Context) are those of weir's own span; they replace the caller's. Without a Traceparent the caller's are
	// handed on.
	Traceparent, Tracestate string
	// Hop is filled in by whoever sends the call, for the trace that it belongs to; nil when no trace is kept.
	Hop *Hop
	// InputRequired says that the caller takes input_required results (modern callers).
	InputRequired bool
	// Queued is how long the call waited for its turn at the upstream: whoever makes it wait adds to it.
	Queued time.Duration
	// Reader reads the resources that the arguments name, nil where nothing can be read.
	Reader ResourceReader
}

// Hop is the way of a call to its server; of several attempts, that of the last.
type Hop struct {
	Pipe    bool   // the server is a child process
	Address string // host name or IP address of the server, "" for a child process
	Port    int    // 0 for a child process
	Version string // MCP revision in use, "" for what does not speak MCP
	Session string // id of the session that the server keeps, "" for none. Who knows it can use it.
	ID      int64  // of the request in JSON-RPC, 0 for none
}

// At notes the server of a URL. A nil Hop notes nothing.
func (h *Hop) At(u *url.URL) {
	if h == nil {
		return
	}
	h.Address = u.Hostname()
	switch port, err := strconv.Atoi(u.Port()); {
	case err == nil:
		h.Port = port
	case u.Scheme == "https":
		h.Port = 443
	default:
		h.Port = 80
	}
}

// ResourceReader reads resources of the gateway in the name of a caller, with that caller's rights. It is used by one goroutine at a time.
type ResourceReader interface {
	// ReadResource reads what has a public URI. The error is safe to show to the caller.
	ReadResource(ctx context.Context, uri string) (Content, error)
}

// Content is what a resource holds.
type Content struct {
	MimeType string // "" when the upstream does not tell
	Data     []byte
}

// Caller is whom the call is made for.
func (c *Call) Caller() Caller {
	caller := Caller{Owner: c.Owner, Token: c.Token}
	if c.Who != nil {
		caller.Name = c.Who.String()
	}
	return caller
}

// Answer is what an upstream answered: the raw value of either the result or the error member of its response, as it was received
// but for members that are per hop towards the upstream. Release must be called once, after the last use of Message.
type Answer struct {
	// Message is the upstream's response as scanned: Kind is Result or Error. Its ID is the upstream hop's and means nothing here.
	Message *rawjson.Message
	// Era is that of the upstream: a legacy result lacks resultType and cache hints.
	Era     Era
	release func()
}

// NewAnswer returns an Answer; release may be nil.
func NewAnswer(m *rawjson.Message, era Era, release func()) *Answer {
	return &Answer{Message: m, Era: era, release: release}
}

// Release gives the answer's buffer back. Message must not be used afterwards.
func (a *Answer) Release() {
	if a.release != nil {
		a.release()
		a.release = nil
	}
}
