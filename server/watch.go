package server

import (
	"context"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

// unwatchWait bounds the telling of an upstream that nobody watches something any more.
const unwatchWait = 10 * time.Second

// watches are the subscriptions to resources and tasks, one to the upstream for all that watch the same.
type watches struct {
	mu   sync.Mutex
	byID map[watchID]*watch
}

type watchID struct {
	upstream string
	topic    catalog.Topic
}

type watch struct {
	turn     sync.Mutex // orders what the upstream is told: the answers of subscribe and unsubscribe must not cross
	users    int        // who holds or waits for turn
	watchers map[*watcher]struct{}
}

// watcher is one client's subscription.
type watcher struct {
	Watching

	// may reports whether the client's principal has the right to watch now.
	may func() bool
}

// Watching says what becomes of what is watched. Neither func may block.
type Watching struct {
	// Name is how the client knows the resource or task.
	Name string
	// Updated gets Name and the raw params of each notification.
	Updated func(name string, params []byte)
	// Lost is called when the caller may no longer watch; the subscription stays until it is stopped. It may be called more than once.
	Lost func()
}

// Watch subscribes p to updates of the resource that its clients know as w.Name. The upstream is told once for all watchers, and again when the last
// one stops.
func (g *Gateway) Watch(ctx context.Context, p policy.Principal, w Watching) (stop func(), err error) {
	if g.watching == nil {
		return nil, catalog.Errorf(catalog.Invalid, "%s cannot be subscribed to", w.Name)
	}
	profile := g.profile(p)
	entry, target, err := profile.View.Snapshot().ResolveURI(w.Name, profile.Knows)
	if err != nil {
		return nil, err
	}
	ask := func(by *policy.Profile) policy.Decision {
		return decide(by, policy.Subscribe, entry, policy.Request{Principal: p, Target: target})
	}
	if d := ask(profile); !d.Allowed {
		return nil, profile.Refusal(policy.Subscribe, entry, w.Name, d)
	}
	return g.watch(ctx, watchID{entry.Ref.Upstream, catalog.Topic{ID: target}}, &watcher{
		Watching: w, may: func() bool { return ask(g.profile(p)).Allowed },
	})
}

// watch enters w among those that watch id.
func (g *Gateway) watch(ctx context.Context, id watchID, w *watcher) (stop func(), err error) {
	h := g.watches.use(id)
	defer g.watches.leave(id, h)
	h.turn.Lock()
	defer h.turn.Unlock()
	if g.watches.add(h, w) {
		if err := g.watching.Subscribe(ctx, id.upstream, id.topic); err != nil {
			g.watches.remove(h, w)
			return nil, err
		}
	}
	if !w.may() { // a change of rights that came between would find nobody to tell
		w.Lost()
	}
	return sync.OnceFunc(func() {
		h := g.watches.use(id)
		defer g.watches.leave(id, h)
		h.turn.Lock()
		defer h.turn.Unlock()
		if g.watches.remove(h, w) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unwatchWait)
			defer cancel()
			g.watching.Unsubscribe(ctx, id.upstream, id.topic)
		}
	}), nil
}

// dropLost tells those who watch what they may not watch any more.
func (g *Gateway) dropLost() {
	var all []*watcher
	g.watches.mu.Lock()
	for _, h := range g.watches.byID {
		for w := range h.watchers {
			all = append(all, w)
		}
	}
	g.watches.mu.Unlock()
	for _, w := range all {
		if !w.may() {
			w.Lost()
		}
	}
}

// use returns what is watched as id, which stays in the table until leave.
func (t *watches) use(id watchID) *watch {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.byID[id]
	if h == nil {
		h = &watch{watchers: make(map[*watcher]struct{})}
		t.byID[id] = h
	}
	h.users++
	return h
}

func (t *watches) leave(id watchID, h *watch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.users--; h.users == 0 && len(h.watchers) == 0 {
		delete(t.byID, id)
	}
}

// add enters w and reports whether it is the first.
func (t *watches) add(h *watch, w *watcher) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.watchers[w] = struct{}{}
	return len(h.watchers) == 1
}

// remove takes w out and reports whether it was the last.
func (t *watches) remove(h *watch, w *watcher) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(h.watchers, w)
	return len(h.watchers) == 0
}

// Updated passes an upstream's notifications/resources/updated or notifications/tasks to those who watch the topic.
func (g *Gateway) Updated(upstream string, topic catalog.Topic, params []byte) {
	g.watches.mu.Lock()
	defer g.watches.mu.Unlock()
	if h := g.watches.byID[watchID{upstream, topic}]; h != nil {
		for w := range h.watchers {
			w.Updated(w.Name, params)
		}
	}
}

// ResourceUpdated is the notification of an update for a client that knows the resource as uri; subscription is the raw id of the listen request it
// belongs to, nil for a legacy client.
func ResourceUpdated(uri string, params, subscription []byte) []byte {
	return notice("notifications/resources/updated", "uri", uri, params, subscription)
}

// notice is a notification about a topic for a client that knows it as name, which stands in member key.
func notice(method, key, name string, params, subscription []byte) []byte {
	extra := []rawjson.Member{{Key: key, Value: rawjson.AppendString(nil, name)}}
	if subscription != nil {
		var meta []byte
		if f, err := rawjson.Fields(params, "_meta"); err == nil {
			meta = f[0].Of(params)
		}
		if len(meta) == 0 || meta[0] != '{' {
			meta = nil
		}
		meta = rawjson.AppendObject(nil, meta, nil, rawjson.Member{Key: "io.modelcontextprotocol/subscriptionId", Value: subscription})
		extra = append(extra, rawjson.Member{Key: "_meta", Value: meta})
	}
	line := rawjson.Compact(nil, rawjson.AppendObject(nil, params, nil, extra...))
	return append(append([]byte(`{"jsonrpc":"2.0","method":"`+method+`","params":`), line...), '}')
}

// subscribe answers resources/subscribe and resources/unsubscribe of a legacy session (spec 2025-11-25, server/resources, subscriptions).
func (g *Gateway) subscribe(ctx context.Context, r *Request, e *Event) (*Reply, error) {
	uri, ok := rawjson.String(r.Message.URI.Of(r.Message.Data))
	if !ok {
		return nil, catalog.Errorf(catalog.Invalid, "%s: params.uri is missing", e.Method)
	}
	s := r.Session
	if s == nil {
		return nil, catalog.Errorf(catalog.Invalid, "%s: a subscription needs a session; send initialize first", e.Method)
	}
	if e.Method == "resources/unsubscribe" {
		s.unwatch(uri)
		return g.reply(r, emptyObject), nil
	}
	if s.watches(uri) {
		return g.reply(r, emptyObject), nil
	}
	stop, err := g.Watch(ctx, r.Principal, Watching{
		Name:    uri,
		Updated: func(uri string, params []byte) { s.Send(ResourceUpdated(uri, params, nil)) },
		Lost:    func() { go s.unwatch(uri) }, // the revision has no word for it; the lists that changed tell the client
	})
	if err != nil {
		return nil, err
	}
	if err := s.watch(uri, stop); err != nil {
		stop()
		return nil, err
	}
	return g.reply(r, emptyObject), nil
}

// watchesPerSession bounds the resources one session is subscribed to.
const watchesPerSession = 1000

func (s *Session) watches(uri string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watched[uri] != nil
}

// watch enters a subscription, which ends with the session.
func (s *Session) watch(uri string, stop func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.watched) >= watchesPerSession {
		return catalog.Errorf(catalog.Limited, "resources/subscribe: this session has %d subscriptions already", len(s.watched))
	}
	if s.ended || s.watched[uri] != nil {
		go stop()
		return nil
	}
	s.watched[uri] = stop
	return nil
}

func (s *Session) unwatch(uri string) {
	s.mu.Lock()
	stop := s.watched[uri]
	delete(s.watched, uri)
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}
