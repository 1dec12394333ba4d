package mcpconn

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

func TestSSEIsFoundAndSpoken(t *testing.T) {
	for _, edit := range []func(*Config){pinned("auto"), pinned("legacy"), func(c *Config) { c.Transport = "sse" }} {
		up := serve(t, upstreamtest.Config{SSE: true, LegacyVersions: []string{upstreamtest.SSEVersion}, Capabilities: `{"tools":{"listChanged":true},"logging":{}}`, Script: []upstreamtest.Act{{On: "tools/call", Progress: 2, Logs: 1}}})
		changed := make(chan struct{}, 100)
		c := dial(t, config(up.URL, edit, func(c *Config) { c.Changed = func() { changed <- struct{}{} } }))
		if c.Transport() != "sse" || c.Era() != catalog.Legacy || c.Version() != "2024-11-05" {
			t.Errorf("transport %s, era %v, version %s", c.Transport(), c.Era(), c.Version())
		}
		src, faults, err := c.List(t.Context())
		if err != nil || faults != nil || len(src.Tools) != 1 {
			t.Errorf("%+v, %v, %v", src, faults, err)
		}
		who := &caller{era: catalog.Legacy, level: "info"}
		result(t, c, who.call(t, "tools/call", "echo", `{"progressToken":"tok"}`, ""))
		want := []string{
			`notifications/progress {"progressToken":"tok","progress":1,"total":2,"message":"step 1"}`,
			`notifications/progress {"progressToken":"tok","progress":2,"total":2,"message":"step 2"}`,
			`notifications/message {"level":"info","logger":"fake","data":{"n":1}}`,
		}
		if d := cmp.Diff(want, who.seen); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{`{"name":"b","inputSchema":{"type":"object"}}`}})
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Error("no change heard of")
		}
		if b := up.Ledger().Breaches(); b != nil && c.cfg.Transport == "sse" { // what finds out the transport may not be to the server's taste
			t.Error(b)
		}
	}
}

func TestSSECancelAndLoss(t *testing.T) {
	up := serve(t, upstreamtest.Config{SSE: true, Script: []upstreamtest.Act{{On: "tools/call", Fault: upstreamtest.Hang}}})
	c := dial(t, config(up.URL))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		up.Ledger().Wait(t, "tools/call", 1)
		cancel()
	}()
	_, err := c.Call(ctx, legacyCaller().call(t, "tools/call", "echo", "", ""))
	wantError(t, err, catalog.Canceled, catalog.Unknown, "up: the call was canceled")
	up.Ledger().Wait(t, "notifications/cancelled", 1)

	go func() {
		up.Ledger().Wait(t, "tools/call", 2)
		up.Refuse()
	}()
	_, err = c.Call(t.Context(), legacyCaller().call(t, "tools/call", "echo", "", ""))
	wantError(t, err, catalog.Unavailable, catalog.Unknown, "up: the event stream ended")
	<-c.Done()
	_, err = c.Call(t.Context(), legacyCaller().call(t, "tools/call", "echo", "", ""))
	wantError(t, err, catalog.Unavailable, catalog.NotExecuted, "up: the event stream ended")
}

func TestSSECallsDoNotMix(t *testing.T) {
	up := serve(t, upstreamtest.Config{SSE: true, Script: []upstreamtest.Act{{On: "tools/call", Progress: 3}}})
	c := dial(t, config(up.URL))
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			for j := range 20 {
				who := legacyCaller()
				text := fmt.Sprintf("call %d-%d", i, j)
				a, err := c.Call(t.Context(), who.call(t, "tools/call", "echo", fmt.Sprintf(`{"progressToken":"%s"}`, text), `,"arguments":{"text":"`+text+`"}`))
				if err != nil {
					t.Error(err)
					return
				}
				if !strings.Contains(string(a.Message.Data), text) {
					t.Errorf("%s: answer %s", text, a.Message.Data)
				}
				a.Release()
				if len(who.seen) != 3 || !strings.Contains(who.seen[2], text) || !strings.Contains(who.seen[2], `"progress":3`) {
					t.Errorf("%s: %q", text, who.seen)
				}
			}
		})
	}
	wg.Wait()
	if n := up.Ledger().Count("tools/call"); n != 200 {
		t.Errorf("%d requests for 200 calls", n)
	}
}

// Credentials go to the endpoint that the stream names, so it must be the same server.
func TestSSEEndpointOfAnotherOrigin(t *testing.T) {
	for _, data := range []string{"http://elsewhere.example/messages", "//elsewhere.example/x", "https://127.0.0.1/x", "::"} {
		up := httpServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprintf(w, "event: endpoint\ndata: %s\n\n", data)
		})
		_, err := Dial(t.Context(), config(up.URL, func(c *Config) { c.Transport = "sse" }))
		wantError(t, err, catalog.Unavailable, catalog.Unknown, "up: its event stream names an endpoint of another origin")
	}
	up := httpServer(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) })
	_, err := Dial(t.Context(), config(up.URL, func(c *Config) { c.Transport = "sse" }))
	wantError(t, err, catalog.Unavailable, catalog.NotExecuted, "up: no MCP endpoint at its URL (HTTP 404")
	_, err = Dial(t.Context(), config(up.URL))
	wantError(t, err, catalog.Unavailable, catalog.NotExecuted, "up: no MCP endpoint at its URL (HTTP 404")
}
