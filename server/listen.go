package server

import (
	"context"
	"slices"
	"sync"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

// Listening is what a subscriptions/listen request asks for, of what weir serves (spec 2026-07-28, basic/patterns/subscriptions).
type Listening struct {
	Tools, Prompts, Resources bool
	URIs                      []string // resources whose updates are wanted

	asked bool // resourceSubscriptions was there
}

// ReadListen reads params.notifications.
func ReadListen(m *rawjson.Message) (l Listening, err error) {
	params := m.Params.Of(m.Data)
	f, err := rawjson.Fields(params, "notifications")
	if err != nil || f[0].Absent() {
		return l, catalog.Errorf(catalog.Invalid, "subscriptions/listen: params.notifications is missing")
	}
	want := f[0].Of(params)
	f, err = rawjson.Fields(want, "toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions")
	if err != nil {
		return l, catalog.Errorf(catalog.Invalid, "subscriptions/listen: params.notifications is not an object")
	}
	is := func(s rawjson.Span) bool { return string(s.Of(want)) == "true" }
	l = Listening{Tools: is(f[0]), Prompts: is(f[1]), Resources: is(f[2])}
	if f[3].Absent() {
		return l, nil
	}
	l.asked = true
	list := f[3].Of(want)
	texts := true
	err = rawjson.Elements(list, func(v rawjson.Span) bool {
		uri, ok := rawjson.String(v.Of(list))
		l.URIs = append(l.URIs, uri)
		texts = texts && ok
		return texts && len(l.URIs) <= watchesPerSession
	})
	if err != nil || !texts || len(l.URIs) > watchesPerSession {
		return l, catalog.Errorf(catalog.Invalid, "subscriptions/listen: resourceSubscriptions must be at most %d URIs", watchesPerSession)
	}
	return l, nil
}

// Open begins what l asks for on behalf of p: the acknowledgement is the first thing on outlet, changes follow, each tagged with id. Resources that p may
// not watch, or whose upstream does not take subscriptions, are left out of what is acknowledged. What was acknowledged cannot be taken back, so ended is
// closed when p loses a right to any of it: the stream must be completed then. stop must be called in the end.
func (g *Gateway) Open(ctx context.Context, p policy.Principal, l Listening, id []byte, outlet *Outlet) (ended <-chan struct{}, stop func()) {
	id = slices.Clone(id)
	over := make(chan struct{})
	lost := sync.OnceFunc(func() { close(over) })
	var stops []func()
	watched := make([]string, 0, len(l.URIs))
	early := NewOutlet() // nothing goes before the acknowledgement
	for _, uri := range l.URIs {
		end, err := g.Watch(ctx, p, Watching{
			Name: uri, Updated: func(uri string, params []byte) { early.Put(ResourceUpdated(uri, params, id)) }, Lost: lost,
		})
		if err == nil {
			stops, watched = append(stops, end), append(watched, uri)
		}
	}
	l.URIs = watched
	outlet.Put(l.Acknowledged(id))
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
	for _, f := range []struct {
		on  bool
		key string
	}{{l.Tools, `"toolsListChanged":true`}, {l.Prompts, `"promptsListChanged":true`}, {l.Resources, `"resourcesListChanged":true`}} {
		if !f.on {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, f.key...)
	}
	if l.asked {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, `"resourceSubscriptions":[`...)
		for i, uri := range l.URIs {
			if i > 0 {
				b = append(b, ',')
			}
			b = rawjson.AppendString(b, uri)
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
