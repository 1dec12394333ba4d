package mcpconn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

const (
	// listenWait and maxListenWait bound the wait before a stream for unsolicited messages is opened again; it doubles.
	listenWait    = time.Second
	maxListenWait = 30 * time.Second
	// steadyAfter is how long such a stream must have lasted for the wait to start anew.
	steadyAfter = 10 * time.Second
)

// listen keeps the session's GET stream open, if the server offers one, until the connection ends.
func (t *legacyHTTP) listen() {
	t.crew.run(func() {
		var (
			lastID []byte
			wait   = listenWait
		)
		for had := false; ; {
			s := t.session.Load()
			began := time.Now()
			es, more := t.hear(s, lastID, had)
			had = had || es != nil
			if !more || t.ctx.Err() != nil {
				return
			}
			if t.session.Load() != s {
				lastID, wait = nil, listenWait
				continue
			}
			retry := time.Duration(0)
			if es != nil {
				lastID, retry = append([]byte(nil), es.lastID...), es.retry
			}
			if time.Since(began) >= steadyAfter {
				wait = listenWait
			}
			if retry == 0 {
				retry, wait = jitter(wait), min(2*wait, maxListenWait)
			}
			if !pause(t.ctx, retry) {
				return
			}
		}
	})
}

// hear opens the stream of session s and reads it to its end. es is nil when none was opened, again says that there was one before. more is false when there is no sense in trying
// again: the server has no such stream, or the connection is lost.
func (t *legacyHTTP) hear(s *session, lastID []byte, again bool) (es *events, more bool) {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	t.hearing.Store(&cancel)
	resp, err := t.get(ctx, lastEvent(s.get, lastID))
	s.listened()
	if err != nil {
		if ctx.Err() == nil {
			t.notice(err)
		}
		return nil, t.err() == nil
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusOK && mediaOf(resp.Header) == eventMedia:
	case resp.StatusCode == http.StatusNotFound && s.id != "":
		return nil, t.renewSession(t.ctx, s) == nil
	case resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests:
		return nil, true
	case again:
		t.end(&catalog.Error{
			Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: the server no longer has the stream it had (HTTP %d)", t.name, resp.StatusCode),
			Execution: catalog.NotExecuted,
		})
		return nil, false
	default:
		return nil, false
	}
	if again && len(lastID) == 0 {
		t.changed() // what was said in between is lost
	}
	es = newEvents(resp.Body, t.pool.get(), t.limit)
	defer es.buf.drop()
	var m rawjson.Message
	for {
		data, err := es.next()
		if err != nil {
			return es, true
		}
		if len(data) == 0 || rawjson.Scan(&m, data) != nil {
			continue
		}
		if (m.Kind == rawjson.Request || m.Kind == rawjson.Notification) && !t.open.route(&m) {
			t.other(&m)
		}
	}
}

// jitter spreads d over ±20 %, so that many waits that began together do not end together.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d)) //nolint:gosec // no secret depends on it
}

// restart makes es read another stream, as the continuation of the one that broke: what was half read is gone.
func (es *events) restart(src interface{ Read([]byte) (int, error) }) {
	es.src = src
	es.buf.b = es.buf.b[:0]
	es.line, es.seen = 0, 0
	es.begun, es.skipLF = false, false
	es.reset()
}

// renew shakes hands again with a legacy server that forgot the session. Its lists may be others now.
func (c *Conn) renew(ctx context.Context) error {
	p, _, err := c.initialize(ctx)
	if err != nil {
		return err
	}
	if err := c.agree(ctx, p); err != nil {
		return err
	}
	p.eras = c.peer.Load().eras
	c.peer.Store(p)
	c.level.Store(0)
	c.changed()
	c.crew.run(func() { c.resubscribe(c.ctx) })
	return nil
}

// agree ends the legacy handshake.
func (c *Conn) agree(ctx context.Context, p *peer) error {
	if t, ok := c.t.(*legacyHTTP); ok {
		return t.agree(ctx, p.version)
	}
	return c.t.notify(ctx, "notifications/initialized", nil)
}
