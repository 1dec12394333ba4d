package mcpconn

import (
	"context"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/catalog/fault"
)

const (
	// lookEvery is how often a child that has not answered the probe is looked at for a sign of life.
	lookEvery = 10 * time.Millisecond
	// flushWait bounds the wait for the last words to a child.
	flushWait = 100 * time.Millisecond
	// blind is how many probe times a child is given where the system does not tell whether it reads.
	blind = 3
)

// dialChild starts a stdio server and shakes hands with it.
func dialChild(ctx context.Context, cfg *Config) (*Conn, error) {
	c := newConn(cfg, &buffers{memory: cfg.Memory})
	var p *peer
	err := fault.Catch(cfg.Log, func() (err error) { // the child must end in any case
		p, err = c.shakeChild(ctx)
		return err
	}, "upstream", c.name)
	if err != nil {
		c.cancel()
		c.leaveChild()
		return nil, err
	}
	return c.ready(p), nil
}

// startChild starts a fresh child, in place of the one before.
func (c *Conn) startChild(era catalog.Era, version string) (*stdio, error) {
	c.leaveChild()
	p, err := c.cfg.Start()
	if err != nil {
		return nil, err
	}
	t := newStdio(p, stdioOptions{name: c.name, maxMessage: c.cfg.MaxMessage, log: c.cfg.Log, pool: c.pool, unsolicited: c.unsolicited})
	c.use(t, era, version)
	return t, nil
}

// leaveChild ends the child of an attempt that led nowhere, and waits for that.
func (c *Conn) leaveChild() {
	if c.t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	_ = c.t.close(ctx) // what is left is the supervisor's
	c.t = nil
}

// shakeChild finds the era and shakes hands. A child that answers the probe in any way goes on to initialize if it is not modern. One that stays silent, or
// ends over it, is replaced first: some servers hang on a request before initialize, and that must not be taken for a broken server.
func (c *Conn) shakeChild(ctx context.Context) (*peer, error) {
	f := finding{verdict: unclear}
	if c.cfg.Era != "legacy" && !c.cfg.Quiet {
		var err error
		if f, err = c.probeChild(ctx); err != nil {
			return nil, err
		}
		if f.verdict == isModern {
			return f.peer, nil
		}
		if f.verdict == unusable || c.cfg.Era == "modern" {
			return nil, c.failure(ctx, f.err)
		}
	}
	if f.verdict == unclear {
		if _, err := c.startChild(catalog.Legacy, ""); err != nil {
			return nil, err
		}
	}
	c.era = catalog.Legacy
	p, refused, err := c.initialize(ctx)
	if err == nil {
		err = c.agree(ctx, p)
	}
	if err == nil {
		p.eras.Modern = f.peer != nil && f.peer.eras.Modern
		return p, nil
	}
	if c.cfg.Era != "legacy" && refused != nil && (f.verdict == unclear || isModernCode(errorCode(refused))) {
		// Whoever refuses initialize is there and not legacy: a modern server that was slow.
		c.mute = false
		if again := c.discoverChild(ctx); again.verdict == isModern {
			return again.peer, nil
		}
	}
	return nil, err
}

// probeChild asks a fresh child for its modern side. The clock of the probe starts with the child's first sign of life: npx may download for half
// a minute before the server is there to be silent. Until then only ctx, the limit for the whole start, counts.
func (c *Conn) probeChild(ctx context.Context) (finding, error) {
	t, err := c.startChild(catalog.Modern, mcp.LATEST_PROTOCOL_VERSION)
	if err != nil {
		return finding{}, err
	}
	probe := ctx
	if c.cfg.Era != "modern" {
		var cancel context.CancelCauseFunc
		probe, cancel = context.WithCancelCause(ctx)
		over := make(chan struct{})
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			if t.silent(over, c.cfg.Probe) {
				cancel(errSilent)
			}
		}()
		defer func() {
			close(over)
			<-watched
			cancel(nil)
		}()
	}
	f := c.discoverChild(probe)
	if f.verdict == isModern || ctx.Err() != nil || c.cfg.Era == "modern" {
		return f, nil
	}
	if t.err() != nil { // some legacy servers end over a request before initialize
		f.verdict = unclear
	} else if f.verdict == unclear {
		c.mute = true
	}
	return f, nil
}

// discoverChild asks with the newest version, and once more when the server names another one that both speak.
func (c *Conn) discoverChild(ctx context.Context) finding {
	version := mcp.LATEST_PROTOCOL_VERSION
	c.use(c.t, catalog.Modern, version)
	f := c.discover(ctx, version)
	if f.retry != "" {
		version = f.retry
		c.use(c.t, catalog.Modern, version)
		if f = c.discover(ctx, version); f.retry != "" {
			return c.givenUp(f)
		}
	}
	return f
}

// silent watches a child that was sent the probe. It returns true when the child has shown that it lives and then stayed silent for d, false when over is
// closed or the child ends. A child lives when it has taken the probe out of the pipe, or has sent a message.
func (t *stdio) silent(over <-chan struct{}, d time.Duration) bool {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	began := time.Now()
	var alive time.Time
	for {
		select {
		case <-over:
			return false
		case <-t.done():
			return false
		case <-look.C:
		}
		if alive.IsZero() {
			n, known := unread(t.p.Stdin)
			if t.greeted() || known && n == 0 && t.sentAll() || !known && time.Since(began) >= blind*d {
				alive = time.Now()
			}
			continue
		}
		if time.Since(alive) >= d {
			return true
		}
	}
}

// greeted reports whether the child has sent a message. Other output proves nothing: wrappers report what they download.
func (t *stdio) greeted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hello
}

// sentAll reports whether nothing waits to be written to the child.
func (t *stdio) sentAll() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.out.queue) == 0 && t.out.idle
}

// flush waits a moment for what is queued to be written.
func (t *stdio) flush() {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for began := time.Now(); !t.sentAll() && time.Since(began) < flushWait; {
		select {
		case <-look.C:
		case <-t.done():
			return
		}
	}
}
