package upstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// renewWait bounds the telling of a new connection what is subscribed to.
const renewWait = 30 * time.Second

// watcher is a backend that takes subscriptions to resources.
type watcher interface {
	Watch(ctx context.Context, uri string) error
	Unwatch(ctx context.Context, uri string)
}

// subscriptions are the resources of one upstream that are subscribed to, whatever connection it has.
type subscriptions struct {
	mu   sync.Mutex
	uris []string
}

func (s *subscriptions) add(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.uris, uri) {
		s.uris = append(s.uris, uri)
	}
}

func (s *subscriptions) remove(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uris = slices.DeleteFunc(s.uris, func(u string) bool { return u == uri })
}

// renew subscribes a new connection to everything. What was said in between is lost, so each counts as updated.
func (s *subscriptions) renew(m *member, l *live) {
	s.mu.Lock()
	uris := slices.Clone(s.uris)
	s.mu.Unlock()
	w, ok := l.backend.(watcher)
	if !ok || len(uris) == 0 {
		return
	}
	m.crew.Go(func() {
		ctx, cancel := context.WithTimeout(m.set.hard, renewWait)
		defer cancel()
		for _, uri := range uris {
			if err := w.Watch(ctx, uri); err != nil {
				m.set.o.Log.Warn("a subscription could not be renewed", "upstream", m.name, "uri", uri, "error", err)
				continue
			}
			if m.set.o.Updated != nil {
				m.set.o.Updated(m.name, uri, uriParams(uri))
			}
		}
	})
}

func uriParams(uri string) []byte { return append(rawjson.AppendString([]byte(`{"uri":`), uri), '}') }

// Subscribe asks an upstream for updates of a resource, which Options.Updated gets until Unsubscribe, over any number of connections. It fails when the
// upstream cannot be reached now or does not take the subscription.
func (s *Set) Subscribe(ctx context.Context, upstream, uri string) error {
	m := (*s.members.Load())[upstream]
	if m == nil {
		return &catalog.Error{Code: catalog.Unavailable, Msg: upstream + ": is no longer configured", Execution: catalog.NotExecuted}
	}
	l, err := m.connection(ctx, nil)
	if err != nil {
		return err
	}
	w, ok := l.backend.(watcher)
	if !ok {
		return catalog.Errorf(catalog.Invalid, "%s: %s cannot be subscribed to", upstream, uri)
	}
	m.subs.add(uri)
	if err := w.Watch(ctx, uri); err != nil {
		m.subs.remove(uri)
		return err
	}
	return nil
}

// Unsubscribe ends what Subscribe began.
func (s *Set) Unsubscribe(ctx context.Context, upstream, uri string) {
	m := (*s.members.Load())[upstream]
	if m == nil {
		return
	}
	m.subs.remove(uri)
	if l := m.live.Load(); l != nil {
		if w, ok := l.backend.(watcher); ok {
			w.Unwatch(ctx, uri)
		}
	}
}
