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

// watched are the topics that somebody wants to hear of.
type watched struct {
	mu   sync.Mutex
	ends map[catalog.Topic]context.CancelFunc
}

// Watch asks the server to tell about a topic: Config.Updated gets that from now on until Unwatch, across renewed sessions and streams. It
// returns when the server has taken the subscription. Tasks can be watched at modern servers only.
func (c *Conn) Watch(ctx context.Context, topic catalog.Topic) error {
	if topic.Task && c.era != catalog.Modern {
		return c.noSubscription(topic)
	}
	life, fresh := c.remember(topic)
	if !fresh {
		return nil
	}
	var err error
	if c.era == catalog.Modern {
		err = c.listenTo(ctx, life, topic)
	} else {
		err = c.tell(ctx, "resources/subscribe", topic)
	}
	if err != nil {
		c.forget(topic)
	}
	return err
}

// remember enters a topic; life ends with its watching. fresh is false when it is watched already.
func (c *Conn) remember(topic catalog.Topic) (life context.Context, fresh bool) {
	c.watched.mu.Lock()
	defer c.watched.mu.Unlock()
	if c.watched.ends[topic] != nil {
		return nil, false
	}
	if c.watched.ends == nil {
		c.watched.ends = map[catalog.Topic]context.CancelFunc{}
	}
	life, c.watched.ends[topic] = context.WithCancel(c.ctx)
	return life, true
}

// Unwatch ends what Watch began.
func (c *Conn) Unwatch(ctx context.Context, topic catalog.Topic) {
	if c.forget(topic) && c.era == catalog.Legacy {
		if err := c.tell(ctx, "resources/unsubscribe", topic); err != nil {
			c.cfg.Log.Debug("a server did not take the end of a subscription", "upstream", c.name, "error", err)
		}
	}
}

func (c *Conn) forget(topic catalog.Topic) bool {
	c.watched.mu.Lock()
	defer c.watched.mu.Unlock()
	end := c.watched.ends[topic]
	delete(c.watched.ends, topic)
	if end != nil {
		end()
	}
	return end != nil
}

// tell sends a legacy subscription request.
func (c *Conn) tell(ctx context.Context, method string, topic catalog.Topic) error {
	r := &request{method: method}
	r.traceparent, r.tracestate = traceOf(ctx)
	resp, err := c.send(ctx, r, uriParams(topic.ID))
	if err != nil {
		return err
	}
	defer resp.release()
	if resp.message.Kind == rawjson.Error {
		return c.noSubscription(topic)
	}
	return nil
}

func uriParams(uri string) []byte {
	return append(rawjson.AppendString([]byte(`{"uri":`), uri), '}')
}

func (c *Conn) noSubscription(topic catalog.Topic) error {
	return &catalog.Error{Code: catalog.Invalid, Msg: fmt.Sprintf("%s: %s cannot be subscribed to", c.name, topic), Execution: catalog.Executed}
}

// resubscribe tells a legacy server that forgot its session what is watched. What was said in between is lost, so everything counts as updated.
func (c *Conn) resubscribe(ctx context.Context) {
	c.watched.mu.Lock()
	topics := make([]catalog.Topic, 0, len(c.watched.ends))
	for topic := range c.watched.ends {
		topics = append(topics, topic)
	}
	c.watched.mu.Unlock()
	for _, topic := range topics {
		if err := c.tell(ctx, "resources/subscribe", topic); err == nil {
			c.updated(topic, uriParams(topic.ID))
		}
	}
}

// listenTo keeps a subscriptions/listen of its own open for a topic of a modern server while life lasts. It returns with the first
// acknowledgement. A stream of its own for each topic means that a change of what is watched neither repeats nor loses an update of another.
func (c *Conn) listenTo(ctx, life context.Context, topic catalog.Topic) error {
	first := make(chan error, 1)
	var r request
	r.traceparent, r.tracestate = traceOf(ctx)
	c.crew.run(func() {
		wait := listenWait
		for tries := 0; ; tries++ {
			began := time.Now()
			taken, err := c.listenOnce(life, r, topic, func() {
				if tries > 0 && !topic.Task {
					c.updated(topic, uriParams(topic.ID)) // what was said in between is lost
				}
				offer(first, nil)
			})
			if life.Err() != nil || !taken && (tries == 0 || topic.Task) { // a task that is over is not there to be watched again
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
			r = request{} // what is repeated is no part of the trace that began it
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

// The members of a filter and the notification of tasks (Tasks extension, notifications).
const (
	resourceFilter = "resourceSubscriptions"
	taskFilter     = "taskIds"
	taskNotice     = "notifications/tasks"
)

// listenOnce holds one stream, asked for by r, until it ends. taken is called when the server acknowledges the topic.
func (c *Conn) listenOnce(ctx context.Context, r request, topic catalog.Topic, taken func()) (ok bool, err error) {
	filter := resourceFilter
	if topic.Task {
		filter = taskFilter
	}
	params := append(rawjson.AppendString([]byte(`{"notifications":{"`+filter+`":[`), topic.ID), `]}}`...)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.method = "subscriptions/listen"
	r.onMessage = func(m *rawjson.Message) {
		if m.MethodName() != "notifications/subscriptions/acknowledged" {
			c.unsolicited(m)
			return
		}
		if acknowledges(m, filter, topic.ID) {
			ok = true
			taken()
			return
		}
		cancel()
	}
	resp, err := c.send(ctx, &r, params)
	if err == nil {
		resp.release()
		err = errors.New("the stream ended")
	}
	if !ok {
		return false, c.noSubscription(topic)
	}
	return true, err
}

// acknowledges reports whether an acknowledgement names id in a member of the filter.
func acknowledges(m *rawjson.Message, member, id string) bool {
	params := m.Params.Of(m.Data)
	f, err := rawjson.Fields(params, "notifications")
	if err != nil || f[0].Absent() {
		return false
	}
	filter := f[0].Of(params)
	f, err = rawjson.Fields(filter, member)
	if err != nil || f[0].Absent() {
		return false
	}
	list, found := f[0].Of(filter), false
	_ = rawjson.Elements(list, func(v rawjson.Span) bool { // scanned before
		text, ok := rawjson.String(v.Of(list))
		found = found || ok && text == id
		return !found
	})
	return found
}

// updated passes on what the server tells about a topic, unless nobody wants to hear of it any more.
func (c *Conn) updated(topic catalog.Topic, params []byte) {
	c.watched.mu.Lock()
	wanted := c.watched.ends[topic] != nil
	c.watched.mu.Unlock()
	if wanted && c.cfg.Updated != nil {
		c.cfg.Updated(topic, params)
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
	c.updated(catalog.Topic{ID: uri}, params)
}

// taskUpdated takes notifications/tasks.
func (c *Conn) taskUpdated(m *rawjson.Message) {
	id, ok := rawjson.String(m.TaskID.Of(m.Data))
	if !ok {
		return
	}
	params := m.Params.Of(m.Data)
	if !m.Meta.SubscriptionID.Absent() {
		params = withoutSubscription(m)
	}
	c.updated(catalog.Topic{Task: true, ID: id}, params)
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
