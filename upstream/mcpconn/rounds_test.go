package mcpconn

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

// TestRounds: a legacy caller is asked what a modern server asks, and the server gets the answers with its state, byte for byte, under a new id.
func TestRounds(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Script: []upstreamtest.Act{{
		On: "tools/call", State: `s=ä\u00e9"`, Ask: []upstreamtest.Ask{
			{Method: "elicitation/create", Params: `{"message":"who?","requestedSchema":{"type":"object"}}`},
			{Method: "roots/list"},
		},
	}}})
	c := dial(t, config(up.URL))
	call := (&caller{era: catalog.Legacy, caps: `{"elicitation":{},"roots":{"listChanged":true}}`}).call(t, "tools/call", "echo", "", `,"arguments":{"n":1e400}`)
	var mu sync.Mutex
	asked := map[string]string{}
	call.Ask = func(_ context.Context, r catalog.Request) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.Method] = string(r.Params)
		return fmt.Appendf(nil, `{"for":%q,"big":9007199254740993}`, r.Method), nil
	}
	if got := result(t, c, call); strings.Contains(got, "input_required") {
		t.Fatal(got)
	}
	if len(asked) != 2 || !strings.Contains(asked["elicitation/create"], `"message":"up: who?"`) {
		t.Errorf("asked %q", asked)
	}
	calls := up.Ledger().Calls("tools/call")
	if len(calls) != 2 {
		t.Fatalf("%d requests", len(calls))
	}
	second := string(calls[1].Body)
	for _, want := range []string{`"big":9007199254740993`, `"arguments":{"n":1e400}`, `"requestState":`, `"inputResponses":{`} {
		if !strings.Contains(second, want) {
			t.Errorf("the second request lacks %s: %s", want, second)
		}
	}
	if !strings.Contains(string(calls[0].Body), `clientCapabilities":{"elicitation":{},"roots":{"listChanged":true}}`) {
		t.Errorf("the first request declares something else: %s", calls[0].Body)
	}
	if b := up.Ledger().Breaches(); b != nil {
		t.Error(b)
	}
}

// TestRoundsEnd: a server that never stops asking, asks nonsense, or asks a client that does not answer costs the call and nothing else.
func TestRoundsEnd(t *testing.T) {
	refuse := func(context.Context, catalog.Request) ([]byte, error) {
		return nil, &catalog.RPCError{Object: []byte(`{"code":-1,"message":"no"}`)}
	}
	accept := func(context.Context, catalog.Request) ([]byte, error) { return []byte(`{}`), nil }
	tests := []struct {
		name, result string
		ask          func(context.Context, catalog.Request) ([]byte, error)
		want         string
	}{
		{"asks for ever", `{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}`, accept, "asked 10 times"},
		{"asks for what does not exist", `{"resultType":"input_required","inputRequests":{"a":{"method":"shell/run"}}}`, accept, "in a form that is not MCP's"},
		{"asks twice under one key", `{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list","method":"roots/list"}}}`, accept, "in a form that is not MCP's"},
		{"the client refuses", `{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}`, refuse, "needs roots/list, and the client did not give it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Script: []upstreamtest.Act{{On: "tools/call", Result: upstreamtest.Raw(tt.result)}}})
			c := dial(t, config(up.URL))
			call := (&caller{era: catalog.Legacy, caps: `{"roots":{}}`}).call(t, "tools/call", "echo", "", "")
			call.Ask = tt.ask
			_, err := c.Call(t.Context(), call)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q", err, tt.want)
			}
			if n := up.Ledger().Count("tools/call"); n > maxRounds+1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}
