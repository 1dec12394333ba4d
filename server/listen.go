package server

import (
	"weir/catalog"
	"weir/catalog/rawjson"
)

// Listening is what a subscriptions/listen request asks for, of what weir serves (spec 2026-07-28, basic/patterns/subscriptions).
type Listening struct{ Tools, Prompts, Resources bool }

// ReadListen reads params.notifications.
func ReadListen(m *rawjson.Message) (l Listening, err error) {
	params := m.Params.Of(m.Data)
	f, err := rawjson.Fields(params, "notifications")
	if err != nil || f[0].Absent() {
		return l, catalog.Errorf(catalog.Invalid, "subscriptions/listen: params.notifications is missing")
	}
	want := f[0].Of(params)
	f, err = rawjson.Fields(want, "toolsListChanged", "promptsListChanged", "resourcesListChanged")
	if err != nil {
		return l, catalog.Errorf(catalog.Invalid, "subscriptions/listen: params.notifications is not an object")
	}
	is := func(s rawjson.Span) bool { return string(s.Of(want)) == "true" }
	return Listening{is(f[0]), is(f[1]), is(f[2])}, nil
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
