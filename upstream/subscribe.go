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

// watcher is a backend that takes subscriptions.
type watcher interface {
	Watch(ctx context.Context, topic catalog.Topic) error
	Unwatch(ctx context.Context, topic catalog.Topic)
}

// subscriptions are what of one upstream is subscribed to, whatever connection it has.
type subscriptions struct {
	mu     sync.Mutex
	topics []catalog.Topic
}

func (s *subscriptions) add(topic catalog.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.topics, topic) {
		s.topics = append(s.topics, topic)
	}
}

// some reports whether anything is subscribed to.
func (s *subscriptions) some() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.topics) > 0
}

func (s *subscriptions) remove(topic catalog.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics = slices.DeleteFunc(s.topics, func(t catalog.Topic) bool { return t == topic })
}

// renew subscribes a new connection to everything. What was said in between is lost, so each resource counts as updated; how tasks went on, their clients
// ask by themselves.
func (s *subscriptions) renew(m *member, l *live) {
	s.mu.Lock()
	topics := slices.Clone(s.topics)
	s.mu.Unlock()
	w, ok := l.backend.(watcher)
	if !ok || len(topics) == 0 {
		return
	}
	m.beside(func() {
		ctx, cancel := context.WithTimeout(m.set.hard, renewWait)
		defer cancel()
		for _, topic := range topics {
			if err := w.Watch(ctx, topic); err != nil {
				m.set.o.Log.Warn("a subscription could not be renewed", "upstream", m.name, "topic", topic.String(), "error", err)
				continue
			}
			if m.set.o.Updated != nil && !topic.Task {
				m.set.o.Updated(m.name, topic, uriParams(topic.ID))
			}
		}
	})
}

func uriParams(uri string) []byte { return append(rawjson.AppendString([]byte(`{"uri":`), uri), '}') }

// Subscribe asks an upstream to tell about a topic, which Options.Updated gets until Unsubscribe, over any number of connections. It fails when the
// upstream cannot be reached now or does not take the subscription.
func (s *Set) Subscribe(ctx context.Context, upstream string, topic catalog.Topic) error {
	m := (*s.members.Load())[upstream]
	if m == nil {
		return &catalog.Error{Code: catalog.Unavailable, Msg: upstream + ": is no longer configured", Execution: catalog.NotExecuted}
	}
	return m.subscribe(ctx, topic)
}

func (m *member) subscribe(ctx context.Context, topic catalog.Topic) error {
	var l *live
	for entered := false; !entered; entered = l.enter() {
		var err error
		if l, err = m.connection(ctx, l); err != nil {
			return err
		}
	}
	defer l.leave()
	w, ok := l.backend.(watcher)
	if !ok {
		return catalog.Errorf(catalog.Invalid, "%s: %s cannot be subscribed to", m.name, topic)
	}
	m.subs.add(topic)
	if err := w.Watch(ctx, topic); err != nil {
		m.subs.remove(topic)
		return err
	}
	return nil
}

// Unsubscribe ends what Subscribe began.
func (s *Set) Unsubscribe(ctx context.Context, upstream string, topic catalog.Topic) {
	m := (*s.members.Load())[upstream]
	if m != nil {
		m.unsubscribe(ctx, topic)
	}
}

func (m *member) unsubscribe(ctx context.Context, topic catalog.Topic) {
	m.subs.remove(topic)
	if l := m.live.Load(); l != nil {
		if w, ok := l.backend.(watcher); ok {
			_ = m.guarded(func() error { w.Unwatch(ctx, topic); return nil }) // nobody waits for that
		}
	}
}
