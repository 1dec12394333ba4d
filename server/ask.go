package server

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// errNoAnswer is why an upstream's request to a client fails that left without answering.
var errNoAnswer = errors.New("the client did not answer")

// answered is what a client said to one request: a raw result or a raw error object.
type answered struct{ result, fault []byte }

// Ask sends an upstream's request to the session's client with send, and waits for the answer, as long as a parked call would. It ends early with ctx
// or the session; the client is then told that nobody waits. An error answer is a *catalog.RPCError.
func (s *Session) Ask(ctx context.Context, r catalog.Request, send func(message []byte) bool) ([]byte, error) {
	if l := lacks(s.Client().Capabilities, r); l != nil {
		return nil, l.refusal(r.Method)
	}
	id, answer := s.expect()
	defer s.forget(id)
	m := rawjson.AppendString([]byte(`{"jsonrpc":"2.0","id":"`+id+`","method":`), r.Method)
	if r.Params != nil {
		m = rawjson.Compact(append(m, `,"params":`...), legacyParams(r))
	}
	if !send(append(m, '}')) {
		return nil, errNoAnswer
	}
	patience := time.NewTimer(parkedFor) // a client that is gone for ever must not hold the call for ever: no deadline of the upstream runs meanwhile
	defer patience.Stop()
	withdraw := func() {
		send([]byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"` + id + `"}}`))
	}
	select {
	case a := <-answer:
		if a.fault != nil {
			return nil, &catalog.RPCError{Object: a.fault}
		}
		return a.result, nil
	case <-ctx.Done():
		withdraw()
		return nil, context.Cause(ctx)
	case <-patience.C:
		withdraw()
		return nil, errNoAnswer
	case <-s.done:
		return nil, errNoAnswer
	}
}

// legacyParams are the params of a request as revisions with a handshake know them: there an elicitation by URL has an id, under which a server
// may tell later that it is complete (spec 2025-11-25, client/elicitation). Modern servers give none, and tell nothing.
func legacyParams(r catalog.Request) []byte {
	if r.Method != "elicitation/create" {
		return r.Params
	}
	f, err := rawjson.Fields(r.Params, "mode", "elicitationId")
	if err != nil || string(f[0].Of(r.Params)) != `"url"` || !f[1].Absent() {
		return r.Params
	}
	return rawjson.AppendObject(nil, r.Params, nil, rawjson.Member{Key: "elicitationId", Value: rawjson.AppendString(nil, rand.Text())})
}

// AskOutside asks the client on the stream for what belongs to none of its requests.
func (s *Session) AskOutside(ctx context.Context, r catalog.Request) ([]byte, error) {
	ask := func(ctx context.Context, r catalog.Request) ([]byte, error) { return s.Ask(ctx, r, s.Send) }
	if s.sieve != nil {
		if v := s.sieve(catalog.Ref{Upstream: r.Upstream}); v != nil {
			ask = v.ask(ask)
		}
	}
	return ask(ctx, r)
}

// Tell passes a notification to the client on that stream.
func (s *Session) Tell(n catalog.Notification) {
	m := rawjson.AppendString([]byte(`{"jsonrpc":"2.0","method":`), n.Method)
	if n.Params != nil {
		m = rawjson.Compact(append(m, `,"params":`...), n.Params)
	}
	s.Send(append(m, '}'))
}

// expect enters a question of a new id, which says nothing to anybody else: answers are looked up within the session only.
func (s *Session) expect() (id string, answer chan answered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	id = "weir-" + strconv.FormatUint(s.asked, 10)
	answer = make(chan answered, 1)
	s.asking[id] = answer
	return id, answer
}

func (s *Session) forget(id string) {
	s.mu.Lock()
	delete(s.asking, id)
	s.mu.Unlock()
}

// Answer hands a client's response to who asked. A response to nothing, or to something that was answered already, is dropped.
func (s *Session) Answer(m *rawjson.Message) {
	id, _ := rawjson.String(m.ID.Of(m.Data))
	s.mu.Lock()
	answer := s.asking[id]
	delete(s.asking, id)
	s.mu.Unlock()
	if answer == nil {
		return
	}
	if m.Kind == rawjson.Error {
		answer <- answered{fault: slices.Clone(m.Error.Of(m.Data))}
		return
	}
	answer <- answered{result: slices.Clone(m.Result.Of(m.Data))}
}
