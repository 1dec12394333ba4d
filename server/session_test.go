package server

import (
	"slices"
	"strings"
	"testing"

	"weir/catalog"
	"weir/policy"
)

// TestSessionsAreReachedBetweenCalls: what an upstream asks and says outside of calls goes to the stream that the session's client keeps for that, and that
// a client's roots changed is told once, under its own session.
func TestSessionsAreReachedBetweenCalls(t *testing.T) {
	var changed []string
	g, _ := watched(t)
	g.rootsChanged = func(session string) { changed = append(changed, session) }
	s := NewSession(policy.LocalUser(), catalog.Client{Era: catalog.Legacy, Capabilities: []byte(`{"roots":{}}`)})
	t.Cleanup(s.End)
	outside := s.Client().Outside
	if _, err := outside.AskOutside(t.Context(), catalog.Request{Method: "roots/list"}); err == nil {
		t.Error("asked without a stream")
	}
	o := NewOutlet()
	s.Attach(o)
	outside.Tell(catalog.Notification{Method: "notifications/elicitation/complete", Params: []byte("{\n\"elicitationId\":\"e\"}")})
	if got := texts(o); !slices.Equal(got, []string{`{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e"}}`}) {
		t.Errorf("told %q", got)
	}
	<-o.Wake()
	answer := make(chan string)
	go func() {
		got, err := outside.AskOutside(t.Context(), catalog.Request{Method: "roots/list"})
		if err != nil {
			t.Error(err)
		}
		answer <- string(got)
	}()
	<-o.Wake()
	question := strings.Join(texts(o), "")
	id, _, _ := strings.Cut(strings.TrimPrefix(question, `{"jsonrpc":"2.0","id":"`), `"`)
	s.Answer(scan(t, `{"jsonrpc":"2.0","id":"`+id+`","result":{"roots":[1]}}`))
	if got := <-answer; got != `{"roots":[1]}` {
		t.Errorf("%s after %s", got, question)
	}
	for _, method := range []string{"notifications/roots/list_changed", "notifications/other", "notifications/initialized"} {
		g.Noted(s, scan(t, `{"jsonrpc":"2.0","method":"`+method+`"}`))
	}
	if !slices.Equal(changed, []string{s.ID}) {
		t.Errorf("roots changed of %q", changed)
	}
}
