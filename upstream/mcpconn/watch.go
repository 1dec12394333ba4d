package mcpconn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// watched are the resources whose updates somebody wants, by URI.
type watched struct {
	mu   sync.Mutex
	ends map[string]context.CancelFunc
}

// Watch asks the server for updates of a resource: Config.Updated gets them from now on until Unwatch, across renewed sessions and streams. It
// returns when the server has taken the subscription.
func (c *Conn) Watch(ctx context.Context, uri string) error {
	life, fresh := c.remember(uri)
	if !fresh {
		return nil
	}
	var err error
	if c.era == catalog.Modern {
		err = c.listenTo(ctx, life, uri)
	} else {
		err = c.tell(ctx, "resources/subscribe", uri)
	}
	if err != nil {
		c.forget(uri)
	}
	return err
}

// remember enters a resource; life ends with its watching. fresh is false when it is watched already.
func (c *Conn) remember(uri string) (life context.Context, fresh bool) {
	c.watched.mu.Lock()
	defer c.watched.mu.Unlock()
	if c.watched.ends[uri] != nil {
		return nil, false
	}
	if c.watched.ends == nil {
		c.watched.ends = map[string]context.CancelFunc{}
	}
	life, c.watched.ends[uri] = context.WithCancel(c.ctx)
	return life, true
}

// Unwatch ends what Watch began.
func (c *Conn) Unwatch(ctx context.Context, uri string) {
	if c.forget(uri) && c.era == catalog.Legacy {
		if err := c.tell(ctx, "resources/unsubscribe", uri); err != nil {
			c.cfg.Log.Debug("a server did not take the end of a subscription", "upstream", c.name, "error", err)
		}
	}
}

func (c *Conn) forget(uri string) bool {
	c.watched.mu.Lock()
	defer c.watched.mu.Unlock()
	end := c.watched.ends[uri]
	delete(c.watched.ends, uri)
	if end != nil {
		end()
	}
	return end != nil
}

// tell sends a legacy subscription request.
func (c *Conn) tell(ctx context.Context, method, uri string) error {
	resp, err := c.send(ctx, &request{method: method}, uriParams(uri))
	if err != nil {
		return err
	}
	defer resp.release()
	if resp.message.Kind == rawjson.Error {
		return c.noSubscription(uri)
	}
	return nil
}

func uriParams(uri string) []byte {
	return append(rawjson.AppendString([]byte(`{"uri":`), uri), '}')
}

func (c *Conn) noSubscription(uri string) error {
	return &catalog.Error{Code: catalog.Invalid, Msg: fmt.Sprintf("%s: %s cannot be subscribed to", c.name, uri), Execution: catalog.Executed}
}

// resubscribe tells a legacy server that forgot its session what is watched. What was said in between is lost, so everything counts as updated.
func (c *Conn) resubscribe(ctx context.Context) {
	c.watched.mu.Lock()
	uris := make([]string, 0, len(c.watched.ends))
	for uri := range c.watched.ends {
		uris = append(uris, uri)
	}
	c.watched.mu.Unlock()
	for _, uri := range uris {
		if err := c.tell(ctx, "resources/subscribe", uri); err == nil {
			c.updated(uri, uriParams(uri))
		}
	}
}

// listenTo keeps a subscriptions/listen of its own open for a resource of a modern server while life lasts. It returns with the first
// acknowledgement. A stream of its own for each resource means that a change of what is watched neither repeats nor loses an update of another.
func (c *Conn) listenTo(ctx, life context.Context, uri string) error {
	first := make(chan error, 1)
	c.crew.run(func() {
		wait := listenWait
		for tries := 0; ; tries++ {
			began := time.Now()
			taken, err := c.listenOnce(life, uri, func() {
				if tries > 0 {
					c.updated(uri, uriParams(uri)) // what was said in between is lost
				}
				offer(first, nil)
			})
			if life.Err() != nil || !taken && tries == 0 {
				offer(first, err)
				return
			}
			if time.Since(began) >= steadyAfter {
				wait = listenWait
			}
			if !pause(life, jitter(wait)) {
				return
			}
			wait = min(2*wait, maxListenWait)
		}
	})
	select {
	case err := <-first:
		return err
	case <-ctx.Done():
		return ended(ctx, c.name, catalog.Unknown)
	}
}

// offer puts v into a channel of one place unless it is taken.
func offer(ch chan<- error, v error) {
	select {
	case ch <- v:
	default:
	}
}

// listenOnce holds one stream until it ends. taken is called when the server acknowledges the resource.
func (c *Conn) listenOnce(ctx context.Context, uri string, taken func()) (ok bool, err error) {
	params := append(rawjson.AppendString([]byte(`{"notifications":{"resourceSubscriptions":[`), uri), `]}}`...)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := c.send(ctx, &request{method: "subscriptions/listen", onMessage: func(m *rawjson.Message) {
		if m.MethodName() != "notifications/subscriptions/acknowledged" {
			c.unsolicited(m)
			return
		}
		if acknowledges(m, uri) {
			ok = true
			taken()
			return
		}
		cancel()
	}}, params)
	if err == nil {
		resp.release()
		err = errors.New("the stream ended")
	}
	if !ok {
		return false, c.noSubscription(uri)
	}
	return true, err
}

// acknowledges reports whether an acknowledgement names the resource.
func acknowledges(m *rawjson.Message, uri string) bool {
	params := m.Params.Of(m.Data)
	f, err := rawjson.Fields(params, "notifications")
	if err != nil || f[0].Absent() {
		return false
	}
	filter := f[0].Of(params)
	f, err = rawjson.Fields(filter, "resourceSubscriptions")
	if err != nil || f[0].Absent() {
		return false
	}
	list, found := f[0].Of(filter), false
	_ = rawjson.Elements(list, func(v rawjson.Span) bool { // scanned before
		text, ok := rawjson.String(v.Of(list))
		found = found || ok && text == uri
		return !found
	})
	return found
}

// updated tells that a watched resource changed.
func (c *Conn) updated(uri string, params []byte) {
	if c.cfg.Updated != nil {
		c.cfg.Updated(uri, params)
	}
}

// resourceUpdated takes notifications/resources/updated. Params go without what is per hop.
func (c *Conn) resourceUpdated(m *rawjson.Message) {
	uri, ok := rawjson.String(m.URI.Of(m.Data))
	if !ok {
		return
	}
	params := m.Params.Of(m.Data)
	if !m.Meta.SubscriptionID.Absent() {
		params = withoutSubscription(m)
	}
	c.updated(uri, params)
}

// withoutSubscription copies params without the subscription id of this hop.
func withoutSubscription(m *rawjson.Message) []byte {
	meta := rawjson.AppendObject(nil, m.Meta.Object.Of(m.Data), func(key []byte) bool { return string(key) == subscriptionKey })
	if string(meta) == `{}` {
		return rawjson.AppendObject(nil, m.Params.Of(m.Data), func(key []byte) bool { return string(key) == "_meta" })
	}
	return rawjson.Splice(nil, m.Data, m.Params, rawjson.Edit{Span: m.Meta.Object, With: meta})
}

const subscriptionKey = "io.modelcontextprotocol/subscriptionId"
