package mcpconn

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/catalog/room"
	"weir/upstream/process"
)

// Defaults of Config.
const (
	DefaultMaxMessage = 16 << 20
	DefaultProbe      = 5 * time.Second
)

const (
	// closeWait bounds the farewell to a server.
	closeWait = 2 * time.Second
	// replyWait bounds the sending of one answer to a server's request.
	replyWait = 30 * time.Second
	// maxReplies is how many requests of a server may be in answer at a time; more are dropped.
	maxReplies = 64
	// settledAfter is how old a connection must be before an odd answer is taken for a change of the server's era: a server that is odd by
	// nature is then asked again at most that often.
	settledAfter = 2 * time.Second
)

// Implementation is how weir introduces itself.
type Implementation struct{ Name, Version string }

// Credential is what a server knows weir, or the caller, by.
type Credential interface {
	// Authorize puts it on a request, whose header and URL are its own. The error, a *catalog.Error, is safe to show.
	Authorize(*http.Request) error
	// Renew is told that the server refused it with 401, and reports whether another one can be had, so that one repeat makes sense.
	Renew(context.Context) bool
}

// Config says how to reach one server. Values are final: references to variables and secrets are resolved.
type Config struct {
	Name      string // of the upstream, for errors
	Transport string // stdio, http or sse
	Era       string // auto, legacy or modern; empty means auto

	// Start starts the child of a stdio server. It is called again when the handshake needs a fresh one.
	Start func() (*process.Process, error)

	URL     string      // http and sse
	Headers [][2]string // sent with every HTTP request
	// Credential goes with every HTTP request too, nil for none.
	Credential Credential
	// Dial opens connections to servers behind URLs; nil means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for https, nil for the defaults.
	TLS *tls.Config

	// Capabilities are the client's, as a legacy server is told by initialize; a raw object, empty means {}. A modern server is told so with requests of
	// weir's own, such as lists, and with each call what its caller declared.
	Capabilities []byte

	// ElicitationHosts are globs of the hosts that URLs of the server's elicitations may have; none for any.
	ElicitationHosts []string
	// MaxMessage bounds one message from the server, in bytes; 0 means DefaultMaxMessage.
	MaxMessage int64
	// Memory is asked before a large answer is taken. While there is none the answer waits, for some seconds.
	Memory *room.Memory
	// Probe is how long a server that can be reached may stay silent on server/discover before it is taken for one of the legacy era.
	Probe time.Duration
	// Quiet says that the server stayed silent on the last probe (Conn.Quiet): initialize is tried first.
	Quiet  bool
	Client Implementation
	Log    *slog.Logger
	// Changed is called, from any goroutine and without blocking, when a list of the server may have changed.
	Changed func()
	// Outside is the client that the connection was made for, if for a single one: what the server asks and says between calls is for it.
	Outside catalog.Outside
	// Updated is called, from any goroutine and without blocking, with what the server tells about a watched topic; params are valid during the call only.
	Updated func(topic catalog.Topic, params []byte)
}

// Conn is one live connection to one server of a known era. All methods are safe for concurrent use.
type Conn struct {
	*life // of the connection; it ends with that of t, and when the server turns out to be another one than the handshake said

	name    string
	cfg     *Config
	t       transport
	mute    bool // it was silent on server/discover
	era     catalog.Era
	peer    atomic.Pointer[peer]
	hop     []byte // the members of _meta that are the same for all requests to a modern server
	pool    *buffers
	watched watched
	ids     atomic.Int64
	born    time.Time

	level   atomic.Int32 // rank of the log level the server was told, 0 none
	setting sync.Mutex   // held while the server is told

	ctx     context.Context //nolint:containedctx // the lifetime of what runs beside calls
	cancel  context.CancelFunc
	crew    crew
	replies chan struct{}
}

// peer is what a handshake learned about the server.
type peer struct {
	version      string
	capabilities []byte // raw object
	info         []byte // raw Implementation, nil when not given
	instructions string
	eras         Eras
}

// Eras says which families of revisions a server is known to speak.
type Eras struct{ Legacy, Modern bool }

// Era is the era that the connection uses.
func (c *Conn) Era() catalog.Era { return c.era }

// Eras is what the server offers as far as it is known: a server whose era was configured was not asked for the other one.
func (c *Conn) Eras() Eras { return c.peer.Load().eras }

// Transport is the way the server is reached: stdio, http or sse. It can differ from the configured one: a URL may turn out to be one of HTTP+SSE.
func (c *Conn) Transport() string {
	switch c.t.(type) {
	case *stdio:
		return "stdio"
	case *httpSSE:
		return "sse"
	default:
		return "http"
	}
}

// Version is the protocol revision in use.
func (c *Conn) Version() string { return c.peer.Load().version }

// ServerInfo is the server's raw Implementation object, nil when it gave none.
func (c *Conn) ServerInfo() []byte { return c.peer.Load().info }

// Quiet reports whether the server did not answer server/discover, so that the next handshake need not wait for that again.
func (c *Conn) Quiet() bool { return c.mute }

// Child is what is known about the child process of a stdio server.
type Child struct {
	PID    int
	Junk   uint64   // lines on its standard output that were no messages
	Stderr []string // the last lines, oldest first, fit to be shown
}

// Child is nil when there is no child process.
func (c *Conn) Child() *Child {
	t, ok := c.t.(*stdio)
	if !ok {
		return nil
	}
	return &Child{PID: t.p.PID(), Junk: uint64(t.Stats().Junk), Stderr: t.p.Stderr()}
}

// Done is closed when the connection is lost or closed; Err says why then.
func (c *Conn) Done() <-chan struct{} { return c.done() }

// Err is nil while the connection can be used.
func (c *Conn) Err() error {
	if err := c.err(); err != nil {
		return err
	}
	return c.t.err()
}

// Close says farewell to the server, ends everything behind the connection and waits for it, within ctx.
func (c *Conn) Close(ctx context.Context) error {
	c.end(errClosed)
	c.cancel()
	c.crew.wait()
	if t, ok := c.t.(*stdio); ok {
		t.flush() // what the crew said last: a server that knows that nobody waits can end at once
	}
	return c.t.close(ctx)
}

// settled reports whether the connection is old enough for the server to have changed since the handshake.
func (c *Conn) settled() bool { return time.Since(c.born) >= settledAfter }

// surprise ends the connection because the server is no longer the one that shook hands: the next handshake finds out what it is now.
func (c *Conn) surprise(what string, err error) *catalog.Error {
	e := &catalog.Error{Code: catalog.Unavailable, Msg: c.name + ": " + what, Execution: catalog.NotExecuted, Err: err}
	c.end(e)
	return e
}

// watch ends the connection with its transport.
func (c *Conn) watch() {
	c.crew.run(func() {
		select {
		case <-c.t.done():
			c.end(c.t.err())
		case <-c.done():
		}
		c.cancel()
	})
}

// changed tells that a list may be different now.
func (c *Conn) changed() {
	if c.cfg.Changed != nil {
		c.cfg.Changed()
	}
}

// unsolicited takes what the server sends of its own accord.
func (c *Conn) unsolicited(m *rawjson.Message) {
	method := m.MethodName()
	switch {
	case m.Kind == rawjson.Notification && changeOf(method):
		c.changed()
	case m.Kind == rawjson.Notification && method == "notifications/resources/updated":
		c.resourceUpdated(m)
	case m.Kind == rawjson.Notification && method == taskNotice:
		c.taskUpdated(m)
	case m.Kind == rawjson.Request && method == "ping":
		c.answer(m, []byte(`"result":{}`))
	case m.Kind == rawjson.Notification && method == elicited && c.cfg.Outside != nil:
		c.cfg.Outside.Tell(catalog.Notification{Method: method, Params: m.Params.Of(m.Data)})
	case m.Kind == rawjson.Request && askable(method) && c.cfg.Outside != nil:
		c.askOutside(m)
	case m.Kind == rawjson.Request:
		c.answer(m, errorMember(mcp.METHOD_NOT_FOUND, "weir does not take "+method+" here"))
	}
}

// answer replies to a request of the server without holding up the reader.
func (c *Conn) answer(m *rawjson.Message, member []byte) {
	select {
	case c.replies <- struct{}{}:
	default:
		return
	}
	id := append([]byte(nil), m.ID.Of(m.Data)...)
	c.crew.run(func() {
		defer func() { <-c.replies }()
		c.reply(id, member)
	})
}

// reply sends the answer to a request of the server. That it could not be sent is for the log only: the server does not get it either way.
func (c *Conn) reply(id, member []byte) {
	ctx, cancel := context.WithTimeout(c.ctx, replyWait)
	defer cancel()
	if err := c.t.reply(ctx, id, member); err != nil && c.ctx.Err() == nil {
		c.cfg.Log.Debug("a server's request could not be answered", "upstream", c.name, "error", err)
	}
}

// raiseLevel makes a legacy server that logs send messages of the level, if a caller wants any. The level never goes down again: who wants
// fewer messages gets fewer here.
func (c *Conn) raiseLevel(ctx context.Context, level string) error {
	rank := int32(catalog.LogLevel(level))
	if rank == 0 || c.era == catalog.Modern {
		return nil
	}
	if now := c.level.Load(); now != 0 && now <= rank {
		return nil
	}
	c.setting.Lock()
	defer c.setting.Unlock()
	if now := c.level.Load(); now != 0 && now <= rank {
		return nil
	}
	if !has(c.peer.Load().capabilities, "logging") {
		c.level.Store(1) // nothing to raise
		return nil
	}
	resp, err := c.ask(ctx, "logging/setLevel", append(rawjson.AppendString([]byte(`{"level":`), level), '}'))
	if err != nil {
		return err
	}
	resp.release() // a server that refuses sends what it likes
	c.level.Store(rank)
	return nil
}

// ask sends a request of weir's own. params is a raw object; a modern server gets its _meta added.
func (c *Conn) ask(ctx context.Context, method string, params []byte) (*response, error) {
	return c.send(ctx, &request{method: method}, params)
}

// send composes r, a request of weir's own with or without a trace, and sends it.
func (c *Conn) send(ctx context.Context, r *request, params []byte) (*response, error) {
	buf := c.pool.get()
	defer buf.drop()
	r.id = c.ids.Add(1)
	buf.b = begin(buf.b, r.id, r.method)
	start := len(buf.b)
	buf.b = append(buf.b, params...)
	if c.era == catalog.Modern || r.traceparent != "" {
		buf.b = append(comma(buf.b[:len(buf.b)-1]), `"_meta":{`...)
		if c.era == catalog.Modern {
			buf.b = append(buf.b, c.hop...)
			buf.b = append(append(buf.b, `,"`+mcp.MetaKeyClientCapabilities+`":`...), c.cfg.Capabilities...)
		}
		buf.b = append(appendTrace(buf.b, r.traceparent, r.tracestate), `}}`...)
	}
	r.params = buf.b[start:]
	buf.b = append(buf.b, '}')
	r.message, r.buf = buf.b, buf
	resp, err := c.t.roundTrip(ctx, r)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return resp, nil
}

// has reports whether a raw capabilities object has the member.
func has(capabilities []byte, name string) bool {
	found, err := rawjson.Fields(capabilities, name)
	return err == nil && !found[0].Absent() && capabilities[found[0].Start] == '{'
}
