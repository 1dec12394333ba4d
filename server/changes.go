package server

import (
	"sync"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

// changes tells listeners when the lists they may see change.
type changes struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
}

type listener struct {
	principal policy.Principal
	profile   *policy.Profile
	changed   func(catalog.Kind)
}

// Listen calls changed for each kind whose list, as p sees it, differs after a change of the catalogue or of p's rights: once per change, and not
// for what p cannot see. Templates count as resources. changed must not block.
func (g *Gateway) Listen(p policy.Principal, changed func(catalog.Kind)) (stop func()) {
	l := &listener{principal: p, profile: g.profile(p), changed: changed}
	g.changes.mu.Lock()
	g.changes.listeners[l] = struct{}{}
	g.changes.mu.Unlock()
	return func() {
		g.changes.mu.Lock()
		delete(g.changes.listeners, l)
		g.changes.mu.Unlock()
	}
}

// compare compares every listener's view before and after; listeners of one profile share the comparison. The snapshot is read under the lock, so that
// of two changes at a time the later one is compared last.
func (g *Gateway) compare() {
	g.changes.mu.Lock()
	defer g.changes.mu.Unlock()
	next := g.catalog.Snapshot()
	type pair struct{ old, next *policy.Profile }
	known := make(map[pair][]catalog.Kind)
	for l := range g.changes.listeners {
		p := pair{l.profile, g.policy.Profile(l.principal, next)}
		kinds, ok := known[p]
		if !ok {
			kinds = differing(p.old.View, p.next.View)
			known[p] = kinds
		}
		l.profile = p.next
		for _, k := range kinds {
			l.changed(k)
		}
	}
}

// differing returns the kinds whose lists differ, templates as resources.
func differing(a, b *catalog.View) []catalog.Kind {
	var kinds []catalog.Kind
	if !a.Same(catalog.Tool, b) {
		kinds = append(kinds, catalog.Tool)
	}
	if !a.Same(catalog.Prompt, b) {
		kinds = append(kinds, catalog.Prompt)
	}
	if !a.Same(catalog.Resource, b) || !a.Same(catalog.Template, b) {
		kinds = append(kinds, catalog.Resource)
	}
	return kinds
}

// ListChanged is the notification for a kind, whole, without subscription id.
func ListChanged(k catalog.Kind) []byte {
	return []byte(`{"jsonrpc":"2.0","method":"` + listChangedMethod(k) + `"}`)
}

func listChangedMethod(k catalog.Kind) string {
	switch k {
	case catalog.Tool:
		return "notifications/tools/list_changed"
	case catalog.Prompt:
		return "notifications/prompts/list_changed"
	default:
		return "notifications/resources/list_changed"
	}
}

// Noted takes a notification of a legacy client that is for its session: that it cancelled a request, or that its roots changed. Others mean nothing to
// weir.
func (g *Gateway) Noted(s *Session, m *rawjson.Message) {
	switch m.MethodName() {
	case "notifications/cancelled":
		s.Cancel(m)
	case "notifications/roots/list_changed":
		if g.rootsChanged != nil {
			g.rootsChanged(s.ID)
		}
	}
}
