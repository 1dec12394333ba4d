package server

import (
	"crypto/rand"
	"strconv"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// sendToURLs turns the refusal of a legacy upstream that wants its user to visit URLs first (spec 2025-11-25, client/elicitation, -32042) into what it is for a
// modern client: input_required, with the visits as requests and without a state, so that the retry is a call like the first. The ids of the
// visits go: no notification says to a modern client that one is complete. It returns nil for every other answer, and else releases it.
func (g *Gateway) sendToURLs(r *Request, e *Event, a *catalog.Answer) *Reply {
	if r.Client.Era != catalog.Modern {
		return nil
	}
	switch e.Method {
	case "tools/call", "prompts/get", "resources/read":
	default:
		return nil
	}
	data, wanted := wantsVisits(a.Message)
	if !wanted {
		return nil
	}
	requests := visits(data)
	if requests == nil {
		return nil
	}
	e.Answer = nil // it is none: the call was not executed
	a.Release()
	if l := lacks(r.Client.Capabilities, catalog.Request{Method: "elicitation/create", Params: []byte(`{"mode":"url"}`)}); l != nil {
		e.Outcome = "rpc_error"
		return missing(r, l.required)
	}
	e.Outcome = "input_required"
	return g.inputRequired(r, append(append([]byte(`{"resultType":"input_required","inputRequests":`), requests...), '}'))
}

// wantsVisits reports whether an answer is such a refusal, and returns what it says of the visits.
func wantsVisits(m *rawjson.Message) (data []byte, wanted bool) {
	if m.Kind != rawjson.Error {
		return nil, false
	}
	object := m.Error.Of(m.Data)
	f, err := rawjson.Fields(object, "code", "data")
	if err != nil || string(f[0].Of(object)) != strconv.Itoa(CodeURLElicitation) {
		return nil, false
	}
	return f[1].Of(object), true
}

// sendToLogin asks the user of a client that can show URLs to sign in to an upstream: a legacy client by -32042, a modern one by input_required, whose
// retry is a call like the first. Nil for other errors and clients.
func (g *Gateway) sendToLogin(r *Request, e *Event, err *catalog.Error) *Reply {
	if err.Code != catalog.NeedsLogin || err.URL == "" || lacks(r.Client.Capabilities, catalog.Request{Method: "elicitation/create", Params: []byte(`{"mode":"url"}`)}) != nil {
		return nil
	}
	b := rawjson.AppendString([]byte(`{"elicitations":[{"mode":"url","elicitationId":`), rand.Text())
	b = rawjson.AppendString(append(b, `,"url":`...), err.URL)
	b = append(rawjson.AppendString(append(b, `,"message":`...), err.Msg), `}]}`...)
	if r.Client.Era == catalog.Legacy {
		return ErrorReply(statusOK, r.Message.ID.Of(r.Message.Data), CodeURLElicitation, err.Msg, b)
	}
	e.Outcome = "input_required"
	return g.inputRequired(r, append(append([]byte(`{"resultType":"input_required","inputRequests":`), visits(b)...), '}'))
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
