package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

// Listening is what a subscriptions/listen request asks for, of what weir serves (spec 2026-07-28, basic/patterns/subscriptions).
type Listening struct {
	Tools, Prompts, Resources bool
	URIs                      []string // resources whose updates are wanted
	Tasks                     []string // ids of tasks whose state is wanted; only of clients that declared the extension

	asked, askedTasks bool // resourceSubscriptions and taskIds were there
}

// ReadListen reads params.notifications.
func ReadListen(m *rawjson.Message) (l Listening, err error) {
	params := m.Params.Of(m.Data)
	f, err := rawjson.Fields(params, "notifications")
	if err != nil || f[0].Absent() {
		return l, catalog.Errorf(catalog.Invalid, "subscriptions/listen: params.notifications is missing")
	}
	want := f[0].Of(params)
	f, err = rawjson.Fields(want, "toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions", "taskIds")
	if err != nil {
		return l, catalog.Errorf(catalog.Invalid, "subscriptions/listen: params.notifications is not an object")
	}
	is := func(s rawjson.Span) bool { return string(s.Of(want)) == "true" }
	l = Listening{Tools: is(f[0]), Prompts: is(f[1]), Resources: is(f[2]), asked: !f[3].Absent()}
	if l.URIs, err = stringsOf(f[3].Of(want), "resourceSubscriptions"); err != nil {
		return l, err
	}
	if extends(m.Meta.ClientCapabilities.Of(m.Data), tasksExtension) {
		l.askedTasks = !f[4].Absent()
		l.Tasks, err = stringsOf(f[4].Of(want), "taskIds")
	}
	return l, err
}

// stringsOf reads a raw array of strings that is a member of the filter; nil for one that is not there.
func stringsOf(list []byte, member string) (out []string, err error) {
	if list == nil {
		return nil, nil
	}
	sound := true
	err = rawjson.Elements(list, func(v rawjson.Span) bool {
		text, ok := rawjson.String(v.Of(list))
		out = append(out, text)
		sound = sound && ok
		return sound && len(out) <= watchesPerSession
	})
	if err != nil || !sound || len(out) > watchesPerSession {
		return nil, catalog.Errorf(catalog.Invalid, "subscriptions/listen: %s must be at most %d strings", member, watchesPerSession)
	}
	return out, nil
}

// Open begins what l, read from r, asks for: the acknowledgement is the first thing on outlet, changes follow, each tagged with the request's id. Resources that
// the caller may not watch, or whose upstream does not take subscriptions, are left out of what is acknowledged. What was acknowledged cannot be taken
// back, so ended is closed when the caller loses a right to any of it: the stream must be completed then. stop must be called in the end. The request is
// observed until it is acknowledged.
func (g *Gateway) Open(ctx context.Context, r *Request, l Listening, outlet *Outlet) (ended <-chan struct{}, stop func()) {
	e := newEvent(r)
	ctx = g.observer.Begin(ctx, e)
	p, id := r.Principal, slices.Clone(r.Message.ID.Of(r.Message.Data))
	over := make(chan struct{})
	lost := sync.OnceFunc(func() { close(over) })
	var stops []func()
	early := NewOutlet() // nothing goes before the acknowledgement
	// honoured keeps the names that watch takes.
	honoured := func(names []string, watch func(context.Context, policy.Principal, Watching) (func(), error), tell func(string, []byte, []byte) []byte) []string {
		kept := make([]string, 0, len(names))
		for _, name := range names {
			end, err := watch(ctx, p, Watching{
				Name: name, Updated: func(name string, params []byte) { early.Put(tell(name, params, id)) }, Lost: lost,
			})
			if err == nil {
				stops, kept = append(stops, end), append(kept, name)
			}
		}
		return kept
	}
	l.URIs, l.Tasks = honoured(l.URIs, g.Watch, ResourceUpdated), honoured(l.Tasks, g.watchTask, TaskUpdated)
	acknowledgement := l.Acknowledged(id)
	e.Duration, e.Out = time.Since(e.Start), len(acknowledgement)
	g.observer.End(ctx, e)
	outlet.Put(acknowledgement)
	early.Forward(outlet)
	stops = append(stops, g.Listen(p, func(k catalog.Kind) {
		if l.Takes(k) {
			outlet.Put(Tagged(k, id))
		}
	}))
	return over, func() {
		for _, end := range stops {
			end()
		}
	}
}

// Takes reports whether changes of kind's list were asked for.
func (l Listening) Takes(k catalog.Kind) bool {
	switch k {
	case catalog.Tool:
		return l.Tools
	case catalog.Prompt:
		return l.Prompts
	default:
		return l.Resources
	}
}

// Acknowledged is the first message of a listen stream: what of the filter is honoured. What was not asked for is left out.
func (l Listening) Acknowledged(id []byte) []byte {
	b := append([]byte(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{`), subscription(id)...)
	b = append(b, `,"notifications":{`...)
	key := func(on bool, name string) bool {
		if on {
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(rawjson.AppendString(b, name), ':')
		}
		return on
	}
	for _, f := range []struct {
		on  bool
		key string
	}{{l.Tools, "toolsListChanged"}, {l.Prompts, "promptsListChanged"}, {l.Resources, "resourcesListChanged"}} {
		if key(f.on, f.key) {
			b = append(b, `true`...)
		}
	}
	for _, f := range []struct {
		on    bool
		key   string
		names []string
	}{{l.asked, "resourceSubscriptions", l.URIs}, {l.askedTasks, "taskIds", l.Tasks}} {
		if !key(f.on, f.key) {
			continue
		}
		b = append(b, '[')
		for i, name := range f.names {
			if i > 0 {
				b = append(b, ',')
			}
			b = rawjson.AppendString(b, name)
		}
		b = append(b, ']')
	}
	return append(b, `}}}`...)
}

// subscription is the _meta of everything on a listen stream, whole.
func subscription(id []byte) []byte {
	return append(append([]byte(`"_meta":{"io.modelcontextprotocol/subscriptionId":`), id...), '}')
}

// Tagged is the list_changed notification of a kind on the listen stream that id opened.
func Tagged(k catalog.Kind, id []byte) []byte {
	b := []byte(`{"jsonrpc":"2.0","method":"` + listChangedMethod(k) + `","params":{`)
	return append(append(b, subscription(id)...), `}}`...)
}

// ListenEnded is the reply that completes a listen stream.
func ListenEnded(id []byte) *Reply {
	return ResultReply(id, append(append([]byte(`{"resultType":"complete",`), subscription(id)...), '}'))
}
