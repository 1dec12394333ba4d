package server

import (
	"context"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

// unwatchWait bounds the telling of an upstream that nobody watches a resource any more.
const unwatchWait = 10 * time.Second

// watches are the subscriptions to resources, one to the upstream for all that watch the same.
type watches struct {
	mu   sync.Mutex
	byID map[watchID]*watch
	// telling orders what an upstream is told about one resource: the answers of subscribe and unsubscribe must not cross.
	telling sync.Map // watchID → *sync.Mutex
}

type watchID struct{ upstream, uri string }

type watch struct{ watchers map[*watcher]struct{} }

type watcher struct {
	uri     string // as its client knows the resource
	updated func(uri string, params []byte)
}

// Watch subscribes p to updates of the resource that its clients know as uri; updated gets that uri and the raw params of each notification, and must
// not block. The upstream is told once for all watchers, and again when the last one stops.
func (g *Gateway) Watch(ctx context.Context, p policy.Principal, uri string, updated func(uri string, params []byte)) (stop func(), err error) {
	if g.watching == nil {
		return nil, catalog.Errorf(catalog.Invalid, "%s cannot be subscribed to", uri)
	}
	profile := g.profile(p)
	entry, target, err := profile.View.Snapshot().ResolveURI(uri, profile.Knows)
	if err != nil {
		return nil, err
	}
	if d := decide(profile, policy.Subscribe, entry, policy.Request{Principal: p, Target: target}); !d.Allowed {
		return nil, profile.Refusal(policy.Subscribe, entry, uri, d)
	}
	id := watchID{entry.Ref.Upstream, target}
	w := &watcher{uri: uri, updated: updated}
	lock, _ := g.watches.telling.LoadOrStore(id, new(sync.Mutex))
	turn := lock.(*sync.Mutex) //nolint:errcheck,forcetypeassert // nothing else is stored
	turn.Lock()
	defer turn.Unlock()
	if g.watches.add(id, w) {
		if err := g.watching.Subscribe(ctx, id.upstream, id.uri); err != nil {
			g.watches.remove(id, w)
			return nil, err
		}
	}
	return sync.OnceFunc(func() {
		turn.Lock()
		defer turn.Unlock()
		if g.watches.remove(id, w) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unwatchWait)
			defer cancel()
			g.watching.Unsubscribe(ctx, id.upstream, id.uri)
		}
	}), nil
}

// add enters w and reports whether it is the first.
func (t *watches) add(id watchID, w *watcher) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.byID[id]
	if h == nil {
		h = &watch{watchers: make(map[*watcher]struct{})}
		t.byID[id] = h
	}
	h.watchers[w] = struct{}{}
	return len(h.watchers) == 1
}

// remove takes w out and reports whether it was the last.
func (t *watches) remove(id watchID, w *watcher) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.byID[id]
	if h == nil {
		return false
	}
	delete(h.watchers, w)
	if len(h.watchers) > 0 {
		return false
	}
	delete(t.byID, id)
	return true
}

// Updated passes an upstream's notifications/resources/updated to those who watch the resource.
func (g *Gateway) Updated(upstream, uri string, params []byte) {
	g.watches.mu.Lock()
	defer g.watches.mu.Unlock()
	if h := g.watches.byID[watchID{upstream, uri}]; h != nil {
		for w := range h.watchers {
			w.updated(w.uri, params)
		}
	}
}

// ResourceUpdated is the notification of an update for a client that knows the resource as uri; subscription is the raw id of the listen request it
// belongs to, nil for a legacy client.
func ResourceUpdated(uri string, params, subscription []byte) []byte {
	extra := []rawjson.Member{{Key: "uri", Value: rawjson.AppendString(nil, uri)}}
	if subscription != nil {
		var meta []byte
		if f, err := rawjson.Fields(params, "_meta"); err == nil {
			meta = f[0].Of(params)
		}
		if len(meta) == 0 || meta[0] != '{' {
			meta = nil
		}
		meta = rawjson.AppendObject(nil, meta, keep, rawjson.Member{Key: "io.modelcontextprotocol/subscriptionId", Value: subscription})
		extra = append(extra, rawjson.Member{Key: "_meta", Value: meta})
	}
	line := rawjson.Compact(nil, rawjson.AppendObject(nil, params, keep, extra...))
	return append(append([]byte(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":`), line...), '}')
}

// keep drops nothing.
func keep([]byte) bool { return false }

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
	stop, err := g.Watch(ctx, r.Principal, uri, func(uri string, params []byte) { s.Send(ResourceUpdated(uri, params, nil)) })
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
