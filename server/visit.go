package server

import (
	"strconv"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// sendToURLs turns the refusal of a legacy upstream that wants its user to visit URLs first (spec 2025-11-25, client/elicitation, -32042) into what it is for a
// modern client: input_required, with the visits as requests and without a state, so that the retry is a call like the first. The ids of the
// visits go: no notification says to a modern client that one is complete. It returns nil for every other answer, and else releases it.
func (g *Gateway) sendToURLs(r *Request, e *Event, a *catalog.Answer) *Reply {
	m := a.Message
	if m.Kind != rawjson.Error || r.Client.Era != catalog.Modern {
		return nil
	}
	switch e.Method {
	case "tools/call", "prompts/get", "resources/read":
	default:
		return nil
	}
	object := m.Error.Of(m.Data)
	f, err := rawjson.Fields(object, "code", "data")
	if err != nil || string(f[0].Of(object)) != strconv.Itoa(CodeURLElicitation) {
		return nil
	}
	requests := visits(f[1].Of(object))
	if requests == nil {
		return nil
	}
	a.Release()
	if l := lacks(r.Client.Capabilities, catalog.Request{Method: "elicitation/create", Params: []byte(`{"mode":"url"}`)}); l != nil {
		e.Outcome = "rpc_error"
		return missing(r, l.required)
	}
	e.Outcome = "input_required"
	return g.inputRequired(r, append(append([]byte(`{"resultType":"input_required","inputRequests":`), requests...), '}'))
}

// visits makes the inputRequests of the elicitations in an error's data; nil when there are none.
func visits(data []byte) []byte {
	f, err := rawjson.Fields(data, "elicitations")
	if err != nil || f[0].Absent() {
		return nil
	}
	list := f[0].Of(data)
	b, n := []byte(`{`), 0
	err = rawjson.Elements(list, func(v rawjson.Span) bool {
		if n++; n > 1 {
			b = append(b, ',')
		}
		params := rawjson.AppendObject(nil, v.Of(list), func(key []byte) bool { return string(key) == "elicitationId" },
			rawjson.Member{Key: "mode", Value: []byte(`"url"`)})
		b = append(append(append(b, `"u`...), strconv.Itoa(n)...), `":{"method":"elicitation/create","params":`...)
		b = append(append(b, params...), '}')
		return true
	})
	if err != nil || n == 0 {
		return nil
	}
	return append(b, '}')
}
