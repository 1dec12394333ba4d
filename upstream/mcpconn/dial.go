package mcpconn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
)

// Dial connects to a server, finds out its era unless cfg pins it, and shakes hands. ctx bounds all of that and nothing of what comes after. Errors are
// *catalog.Error; NeedsLogin says that the server wants credentials, Config that cfg cannot work.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg.defaults()
	switch cfg.Transport {
	case "http", "sse":
		return dialHTTP(ctx, &cfg)
	case "stdio":
		return dialChild(ctx, &cfg)
	default:
		return nil, catalog.Errorf(catalog.Config, "%s: no transport is called %q", cfg.Name, cfg.Transport)
	}
}

func (c *Config) defaults() {
	if c.MaxMessage == 0 {
		c.MaxMessage = DefaultMaxMessage
	}
	if c.Probe == 0 {
		c.Probe = DefaultProbe
	}
	if len(c.Capabilities) == 0 {
		c.Capabilities = []byte(`{}`)
	}
}

// newConn returns a connection that has not shaken hands.
func newConn(cfg *Config, pool *buffers) *Conn {
	c := &Conn{life: newLife(), name: cfg.Name, cfg: cfg, pool: pool, born: time.Now(), replies: make(chan struct{}, maxReplies)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.crew = crew{name: c.name, log: cfg.Log, end: c.end}
	c.peer.Store(&peer{capabilities: []byte(`{}`)})
	return c
}

// use makes the connection speak era over t. version is the modern one to declare.
func (c *Conn) use(t transport, era catalog.Era, version string) {
	c.t, c.era = t, era
	c.hop = append([]byte(`"`+mcp.MetaKeyProtocolVersion+`":"`+version+`","`+mcp.MetaKeyClientInfo+`":`), appendInfo(nil, c.cfg.Client)...)
}

// ready ends the handshake: what it learned counts, and what runs beside calls begins.
func (c *Conn) ready(p *peer) *Conn {
	c.peer.Store(p)
	c.born = time.Now()
	c.watch()
	if c.era == catalog.Modern {
		c.subscribe(p)
	}
	return c
}

// dialHTTP connects to a server behind a URL.
func dialHTTP(ctx context.Context, cfg *Config) (*Conn, error) {
	e, err := newEndpoint(cfg)
	if err != nil {
		return nil, err
	}
	return dialEndpoint(ctx, cfg, e)
}

// dialEndpoint shakes hands over the connections of e.
func dialEndpoint(ctx context.Context, cfg *Config, e *endpoint) (*Conn, error) {
	c := newConn(cfg, e.pool)
	shake := c.shakeHTTP
	if cfg.Transport == "sse" {
		shake = c.shakeSSE
	}
	p, err := shake(ctx, e)
	if err != nil {
		c.cancel()
		e.client.CloseIdleConnections()
		return nil, err
	}
	return c.ready(p), nil
}

// shakeHTTP finds the era and shakes hands.
func (c *Conn) shakeHTTP(ctx context.Context, e *endpoint) (*peer, error) {
	var f finding
	if c.cfg.Era != "legacy" {
		f = c.probeHTTP(ctx, e)
		if f.verdict == isModern {
			return f.peer, nil
		}
		if f.verdict == unusable || c.cfg.Era == "modern" {
			return nil, c.failure(ctx, f.err)
		}
	}
	t := newLegacyHTTP(e, c)
	c.use(t, catalog.Legacy, "")
	p, refused, err := c.initialize(ctx)
	if err == nil {
		err = c.agree(ctx, p)
	}
	if err == nil {
		p.eras.Modern = f.peer != nil && f.peer.eras.Modern
		c.peer.Store(p)
		t.listen()
		return p, nil
	}
	_ = t.close(ctx)
	if wantsSSE(err) {
		// Servers of 2024-11-05 take no POST at this URL (spec 2025-11-25, basic/transports, backwards compatibility).
		if p, failed := c.shakeSSE(ctx, e); failed == nil {
			return p, nil
		}
	}
	if c.cfg.Era == "legacy" {
		return nil, err
	}
	if refused != nil && (f.verdict == unclear || isModernCode(errorCode(refused))) {
		// Whoever refuses initialize is there and not legacy: a modern server that was slow, or not modern yet a moment ago.
		if again := c.discoverHTTP(ctx, e); again.verdict == isModern {
			return again.peer, nil
		}
	}
	return nil, both(f.err, err)
}

// wantsSSE reports whether a server that answers initialize with err may be one of HTTP+SSE.
func wantsSSE(err error) bool {
	var refused *refusal
	return errors.As(err, &refused) && ofAnotherEra(refused.status)
}

// shakeSSE opens the event stream of an HTTP+SSE server and shakes hands.
func (c *Conn) shakeSSE(ctx context.Context, e *endpoint) (*peer, error) {
	t, err := openSSE(ctx, e, c)
	if err != nil {
		return nil, err
	}
	c.use(t, catalog.Legacy, "")
	p, _, err := c.initialize(ctx)
	if err == nil {
		err = c.agree(ctx, p)
	}
	if err != nil {
		_ = t.close(ctx)
		return nil, err
	}
	return p, nil
}

// probeHTTP asks a server for its modern side. A server that stays silent for cfg.Probe is given up, unless its era is known to be modern: a legacy
// server may swallow requests that come before initialize, and initialize, which comes next, harms no server.
func (c *Conn) probeHTTP(ctx context.Context, e *endpoint) finding {
	if c.cfg.Era != "modern" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.cfg.Probe, errSilent)
		defer cancel()
	}
	return c.discoverHTTP(ctx, e)
}

// discoverHTTP asks with the newest version, and once more with the one that the server names, if both speak it.
func (c *Conn) discoverHTTP(ctx context.Context, e *endpoint) finding {
	version := mcp.LATEST_PROTOCOL_VERSION
	c.use(newModernHTTP(e, version), catalog.Modern, version)
	f := c.discover(ctx, version)
	if f.retry != "" {
		version = f.retry
		c.use(newModernHTTP(e, version), catalog.Modern, version)
		f = c.discover(ctx, version)
		if f.retry != "" {
			return c.givenUp(f)
		}
	}
	return f
}

// givenUp is the finding after a second refusal.
func (c *Conn) givenUp(f finding) finding {
	if f.err == nil {
		f.err = c.noCommonVersion([]string{f.retry})
	}
	return finding{verdict: unusable, err: f.err}
}

// errSilent says that a server did not answer a probe in time.
var errSilent = errors.New("no answer to server/discover")

// judgeFailure takes a probe to which no JSON-RPC response came. A server that cannot be reached is never taken for a legacy one.
func (c *Conn) judgeFailure(ctx context.Context, err error) finding {
	var (
		own     *catalog.Error
		refused *refusal
	)
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		return finding{verdict: unclear, err: &catalog.Error{
			Code: catalog.Unavailable, Msg: c.name + ": the server does not answer server/discover", Execution: catalog.NotExecuted, Err: err,
		}}
	case ctx.Err() != nil || !errors.As(err, &own):
		return finding{verdict: unusable, err: err}
	case own.Code != catalog.Unavailable:
		return finding{verdict: unusable, err: err}
	case !errors.As(err, &refused):
		if own.Execution == catalog.NotExecuted {
			return finding{verdict: unusable, err: err}
		}
		return finding{verdict: unclear, err: err}
	case refused.passing():
		return finding{verdict: unusable, err: err}
	default:
		return finding{verdict: notModern, err: err}
	}
}

// passing reports whether the answer says nothing about the server behind the URL: it is another place's, or a proxy's whose server is away.
func (r *refusal) passing() bool {
	switch r.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return r.status/100 == 3
}

// both joins the errors of two attempts to shake hands: what is wrong with a server is often seen in only one of them.
func both(first, second error) error {
	var own *catalog.Error
	if !errors.As(second, &own) {
		return second
	}
	e := *own
	e.Err = errors.Join(first, second)
	return &e
}
