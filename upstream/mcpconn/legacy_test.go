package mcpconn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

func legacyCaller() *caller { return &caller{era: catalog.Legacy} }

func TestLegacyHandshake(t *testing.T) {
	tests := []struct {
		name     string
		server   upstreamtest.Config
		era      string
		version  string
		eras     Eras
		discover int
	}{
		{"a legacy server, asked", upstreamtest.Config{Era: upstreamtest.Legacy}, "", "2025-11-25", Eras{Legacy: true}, 1},
		{"a server of both eras, pinned", upstreamtest.Config{}, "legacy", "2025-11-25", Eras{Legacy: true}, 0},
		{"without sessions", upstreamtest.Config{Era: upstreamtest.Legacy, NoSessions: true}, "", "2025-11-25", Eras{Legacy: true}, 1},
		{"without GET", upstreamtest.Config{Era: upstreamtest.Legacy, NoGet: true}, "", "2025-11-25", Eras{Legacy: true}, 1},
		{"an old version", upstreamtest.Config{Era: upstreamtest.Legacy, LegacyVersions: []string{"2025-06-18"}}, "", "2025-06-18", Eras{Legacy: true}, 1},
		{"the oldest one", upstreamtest.Config{Era: upstreamtest.Legacy, LegacyVersions: []string{"2024-11-05"}}, "", "2024-11-05", Eras{Legacy: true}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := serve(t, tt.server)
			c := dial(t, config(up.URL, pinned(tt.era)))
			if c.Era() != catalog.Legacy || c.Version() != tt.version || c.Eras() != tt.eras {
				t.Errorf("era %v, version %s, eras %v", c.Era(), c.Version(), c.Eras())
			}
			if got := result(t, c, legacyCaller().call(t, "tools/call", "echo", "", `,"arguments":{"a":1}`)); !strings.Contains(got, "content") {
				t.Errorf("result %s", got)
			}
			l := up.Ledger()
			if n := l.Count("server/discover"); n != tt.discover {
				t.Errorf("%d probes, want %d", n, tt.discover)
			}
			version := l.Calls("tools/call")[0].Header["Mcp-Protocol-Version"]
			if sent := len(version) == 1; sent != (tt.version >= "2025-06-18") || sent && version[0] != tt.version {
				t.Errorf("MCP-Protocol-Version %q", version)
			}
			for _, name := range []string{"Mcp-Method", "Mcp-Name"} {
				if v := l.Calls("tools/call")[0].Header[name]; v != nil {
					t.Errorf("%s: %q to a legacy server", name, v)
				}
			}
			if b := l.Breaches(); b != nil {
				t.Error(b)
			}
		})
	}
}

func TestLegacyCallParams(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy})
	c := dial(t, config(up.URL))
	const hop = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}`
	tests := []struct{ name, params, want string }{
		{"nothing to say", `{"name":"x"}`, `{"name":"echo"}`},
		{"empty meta stays", `{"name":"x","_meta":{}}`, `{"name":"echo","_meta":{}}`},
		{"only the hop's meta goes", `{"name":"x", "_meta" : {` + hop + `} , "arguments":{}}`, `{"name":"echo" , "arguments":{}}`},
		{"first member", `{"_meta":{` + hop + `}, "name":"x"}`, `{ "name":"echo"}`},
		{"escaped key", `{"name":"x","\u005fmeta":{` + hop + `}}`, `{"name":"echo"}`},
		{"others stay", `{"name":"x","_meta":{` + hop + `,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}`, `{"name":"echo","_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}`},
		{"token", `{"name":"x","_meta":{"progressToken":"a"}}`, `{"name":"echo","_meta":{"progressToken":«ID»}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result(t, c, modernCaller().raw(t, "tools/call", "echo", catalog.Tool, tt.params))
			calls := up.Ledger().Calls("tools/call")
			last := calls[len(calls)-1]
			if want := strings.ReplaceAll(tt.want, "«ID»", string(last.ID)); want != string(last.Params) {
				t.Errorf("got  %s\nwant %s", last.Params, want)
			}
		})
	}
	call := modernCaller().raw(t, "tools/call", "echo", catalog.Tool, `{"name":"x","_meta":{"progressToken":1}}`)
	call.Notify = nil
	result(t, c, call)
	calls := up.Ledger().Calls("tools/call")
	if got := calls[len(calls)-1].Params; got != `{"name":"echo"}` {
		t.Errorf("nobody takes progress, but %s was sent", got)
	}
}

// A server that restarts forgets its sessions. However many calls meet that, there is one new handshake and no failed call.
func TestLegacySessionIsRenewedOnce(t *testing.T) {
	for _, style := range []struct {
		name string
		act  upstreamtest.Act
	}{
		{name: "404"},
		{"404 with a page", upstreamtest.Act{On: "tools/call", Nth: 1, Status: 404, Type: "text/html", Body: "<p>no"}},
		{"400 without id", upstreamtest.Act{On: "tools/call", Nth: 1, Status: 400, Body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}`, Type: "application/json"}},
		{"400 with text", upstreamtest.Act{On: "tools/call", Nth: 1, Status: 400, Body: "Invalid session ID\n", Type: "text/plain"}},
	} {
		t.Run(style.name, func(t *testing.T) {
			up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy, NoGet: true})
			var changes atomic.Int32
			c := dial(t, config(up.URL, func(c *Config) { c.Changed = func() { changes.Add(1) } }))
			calls := 1
			if style.act.On == "" {
				up.ForgetSessions()
				calls = 32
			} else {
				up.Script(style.act)
			}
			var wg sync.WaitGroup
			for range calls {
				wg.Go(func() {
					a, err := c.Call(t.Context(), legacyCaller().call(t, "tools/call", "echo", "", ""))
					if err != nil {
						t.Error(err)
						return
					}
					if a.Message.Kind != rawjson.Result {
						t.Errorf("answer %s", a.Message.Data)
					}
					a.Release()
				})
			}
			wg.Wait()
			if n := up.Ledger().Count("initialize"); n != 2 {
				t.Errorf("%d handshakes, want 2", n)
			}
			if changes.Load() != 1 {
				t.Errorf("%d changes told, want 1", changes.Load())
			}
			done := 0
			for _, e := range up.Ledger().Calls("tools/call") {
				if e.Session != "" && e.Breach == "" && e.Outcome == "answered" && e.Session == up.Ledger().Calls("notifications/initialized")[1].Session {
					done++
				}
			}
			if done != calls {
				t.Errorf("%d calls executed in the new session, want %d", done, calls)
			}
		})
	}
}

func TestLegacySessionsThatAreForgottenAtOnce(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy, NoGet: true, Script: []upstreamtest.Act{{On: "tools/call", Fault: upstreamtest.Forget}}})
	c := dial(t, config(up.URL))
	_, err := c.Call(t.Context(), legacyCaller().call(t, "tools/call", "echo", "", ""))
	wantError(t, err, catalog.Unavailable, catalog.NotExecuted, "up: the server forgot its session twice in a row")
	if n := up.Ledger().Count("initialize"); n != 2 {
		t.Errorf("%d handshakes, want 2", n)
	}
	if n := up.Ledger().Count("tools/call"); n != 2 {
		t.Errorf("the call was sent %d times, want 2", n)
	}
}

func TestLegacyNotificationsAndLevel(t *testing.T) {
	up := serve(t, upstreamtest.Config{
		Era: upstreamtest.Legacy, Capabilities: `{"tools":{"listChanged":true},"logging":{}}`,
		Script: []upstreamtest.Act{{On: "tools/call", Progress: 2, Logs: 1}},
	})
	c := dial(t, config(up.URL))
	who := legacyCaller()
	result(t, c, who.call(t, "tools/call", "echo", `{"progressToken":"tok"}`, ""))
	want := []string{
		`notifications/progress {"progressToken":"tok","progress":1,"total":2,"message":"step 1"}`,
		`notifications/progress {"progressToken":"tok","progress":2,"total":2,"message":"step 2"}`,
	}
	if d := cmp.Diff(want, who.seen); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for i, tt := range []struct{ level, set string }{{"warning", "warning"}, {"error", ""}, {"debug", "debug"}, {"info", ""}} {
		who := &caller{era: catalog.Legacy, level: tt.level}
		before := up.Ledger().Count("logging/setLevel")
		result(t, c, who.call(t, "tools/call", "echo", "", ""))
		now := up.Ledger().Calls("logging/setLevel")
		if tt.set == "" && len(now) != before || tt.set != "" && (len(now) != before+1 || string(now[before].Params) != `{"level":"`+tt.set+`"}`) {
			t.Errorf("%d: %s: setLevel %v", i, tt.level, now)
		}
		if logged := len(who.seen) == 1; logged != (tt.level == "debug" || tt.level == "info") {
			t.Errorf("%s: saw %q", tt.level, who.seen)
		}
	}
	if b := up.Ledger().Breaches(); b != nil {
		t.Error(b)
	}
}

func TestLegacyListensForChanges(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy})
	changed := make(chan struct{}, 100)
	c := dial(t, config(up.URL, func(c *Config) { c.Changed = func() { changed <- struct{}{} } }))
	up.Ledger().Wait(t, "GET", 1)
	upstreamtest.Eventually(t, func() bool {
		up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{`{"name":"b","inputSchema":{"type":"object"}}`}})
		return len(changed) > 0
	}, "a change heard of")

	// A ping on that stream is answered, and so is a request that weir does not take.
	up.Notify(`{"jsonrpc":"2.0","id":"p","method":"ping"}`)
	up.Notify(`{"jsonrpc":"2.0","id":77,"method":"roots/list"}`)
	upstreamtest.Eventually(t, func() bool {
		var got []string
		for _, e := range up.Ledger().Entries() {
			if e.Verb == "POST" && e.Method == "" {
				got = append(got, string(e.Body))
			}
		}
		return slices.Contains(got, `{"jsonrpc":"2.0","id":"p","result":{}}`) && len(got) == 2 &&
			slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, `{"jsonrpc":"2.0","id":77,"error":{"code":-32601,`) })
	}, "both answered")

	// The stream comes back with the session: nobody has to call first.
	up.ForgetSessions()
	up.Ledger().Wait(t, "initialize", 2)
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

func TestLegacyNotificationsOnTheGetStream(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy, Script: []upstreamtest.Act{{On: "tools/call", Delay: upstreamtest.Duration(300 * time.Millisecond)}}})
	c := dial(t, config(up.URL))
	who := &caller{era: catalog.Legacy, level: "debug", caps: `{"elicitation":{}}`}
	call := who.call(t, "tools/call", "echo", `{"progressToken":"tok"}`, "")
	call.Ask = func(context.Context, catalog.Request) ([]byte, error) { return nil, errors.New("no") } // who may be asked waits for the stream
	done := make(chan struct{})
	go func() {
		defer close(done)
		result(t, c, call)
	}()
	id := string(up.Ledger().Wait(t, "tools/call", 1)[0].ID)
	up.Notify(upstreamtest.Raw(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + id + `,"progress":1}}`))
	up.Notify(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":123456,"progress":1}}`)
	up.Notify(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}`)
	<-done
	want := []string{`notifications/progress {"progressToken":"tok","progress":1}`, `notifications/message {"level":"info","data":"x"}`}
	if d := cmp.Diff(want, who.seen); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestLegacyCancelIsSaid(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy, Script: []upstreamtest.Act{{On: "tools/call", Fault: upstreamtest.Hang}}})
	c := dial(t, config(up.URL))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		up.Ledger().Wait(t, "tools/call", 1)
		cancel()
	}()
	_, err := c.Call(ctx, legacyCaller().call(t, "tools/call", "echo", "", ""))
	wantError(t, err, catalog.Canceled, catalog.Unknown, "up: the call was canceled")
	got := up.Ledger().Wait(t, "notifications/cancelled", 1)[0]
	want := fmt.Sprintf(`{"requestId":%s,`, up.Ledger().Calls("tools/call")[0].ID)
	if !strings.HasPrefix(string(got.Params), want) {
		t.Errorf("got %s", got.Params)
	}

	late, expire := context.WithCancelCause(t.Context())
	go func() {
		up.Ledger().Wait(t, "tools/call", 2)
		expire(&catalog.Error{Code: catalog.Timeout, Msg: "up/echo: no answer in 20ms"})
	}()
	_, err = c.Call(late, legacyCaller().call(t, "tools/call", "echo", "", ""))
	wantError(t, err, catalog.Timeout, catalog.Unknown, "up/echo: no answer in 20ms")
	up.Ledger().Wait(t, "notifications/cancelled", 2)
}

// TestLegacyQuestionsOnTheSessionsStream: a server that asks on the GET stream, in the first call of a session, asks who made the call.
func TestLegacyQuestionsOnTheSessionsStream(t *testing.T) {
	ask := upstreamtest.Ask{Method: "elicitation/create", Params: `{"message":"who?"}`, OnGet: true}
	for range 10 {
		up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy, Script: []upstreamtest.Act{{On: "tools/call", Ask: []upstreamtest.Ask{ask}}}})
		c := dial(t, config(up.URL))
		who := legacyCaller()
		who.caps = `{"elicitation":{}}`
		call := who.call(t, "tools/call", "echo", "", "")
		call.Ask = func(context.Context, catalog.Request) ([]byte, error) { return []byte(`{"action":"accept"}`), nil }
		if got := result(t, c, call); !strings.Contains(got, `{"answers":[{"action":"accept"}]}`) {
			t.Fatal(got)
		}
	}
}

func TestLegacyQuestions(t *testing.T) {
	ask := upstreamtest.Ask{Method: "elicitation/create", Params: `{"message":"who?"}`}
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy, Script: []upstreamtest.Act{{On: "tools/call", Ask: []upstreamtest.Ask{ask, ask, ask}, Progress: 1}}})
	c := dial(t, config(up.URL))
	var asked []string
	call := legacyCaller().call(t, "tools/call", "echo", "", "")
	call.Ask = func(_ context.Context, r catalog.Request) ([]byte, error) {
		asked = append(asked, r.Method+" "+string(r.Params))
		switch len(asked) {
		case 2:
			return nil, errors.New("no")
		case 3:
			return nil, fmt.Errorf("asking: %w", &catalog.RPCError{Object: []byte(`{"code":-1,"message":"User rejected","data":{"n":9007199254740993}}`)})
		}
		return []byte(`{"action":"accept"}`), nil
	}
	result(t, c, call)
	if d := cmp.Diff(slices.Repeat([]string{`elicitation/create {"message":"up: who?"}`}, 3), asked); d != "" {
		t.Error(d)
	}
	replies := func() (list []string) {
		for _, e := range up.Ledger().Entries() {
			if e.Verb == "POST" && e.Method == "" {
				_, text, _ := strings.Cut(string(e.Body), `,"id":`)
				_, text, _ = strings.Cut(text, ",")
				list = append(list, text)
			}
		}
		return list
	}
	want := []string{
		`"result":{"action":"accept"}}`, `"error":{"code":-32603,"message":"elicitation/create: the client did not answer"}}`,
		`"error":{"code":-1,"message":"User rejected","data":{"n":9007199254740993}}}`,
	}
	if d := cmp.Diff(want, replies()); d != "" {
		t.Error(d)
	}
	// A caller that cannot be asked: the server hears so at once.
	result(t, c, legacyCaller().call(t, "tools/call", "echo", "", ""))
	if got := replies(); len(got) != 6 || !strings.HasPrefix(got[3], `"error":{"code":-32601,`) {
		t.Errorf("replies %q", got)
	}
}

// resumable is a server that closes the stream of a call before its answer is there (spec 2025-11-25, resumability).
func resumable(t *testing.T, gets *atomic.Int32) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch {
		case r.Method == http.MethodGet && r.Header.Get("Last-Event-Id") == "":
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.Method == http.MethodGet:
			n := gets.Add(1)
			if got := r.Header.Get("Last-Event-Id"); got != fmt.Sprint("e", n) {
				t.Errorf("Last-Event-ID %q after %d events", got, n)
			}
			if n < 3 {
				_, _ = fmt.Fprintf(w, "id: e%d\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":2,\"progress\":%d}}\n\ndata: half", n+1, n)
				return
			}
			_, _ = fmt.Fprint(w, "id: e4\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[]}}\n\n")
		case r.Method == http.MethodDelete:
		default:
			body := make([]byte, 4096)
			n, _ := r.Body.Read(body)
			switch s := string(body[:n]); {
			case strings.Contains(s, `"initialize"`):
				_, _ = fmt.Fprint(w, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"serverInfo\":{\"name\":\"r\",\"version\":\"1\"}}}\n\n")
			case strings.Contains(s, "tools/call"):
				_, _ = fmt.Fprint(w, "id: e1\nretry: 5\ndata:\n\n")
			default:
				w.WriteHeader(http.StatusAccepted)
			}
		}
	}
}

func TestLegacyStreamIsResumed(t *testing.T) {
	var gets atomic.Int32
	up := httpServer(t, resumable(t, &gets))
	c := dial(t, config(up.URL, pinned("legacy")))
	who := legacyCaller()
	if got := result(t, c, who.call(t, "tools/call", "echo", `{"progressToken":"t"}`, "")); got != `{"content":[]}` {
		t.Errorf("result %s", got)
	}
	want := []string{`notifications/progress {"progressToken":"t","progress":1}`, `notifications/progress {"progressToken":"t","progress":2}`}
	if d := cmp.Diff(want, who.seen); d != "" {
		t.Error(d)
	}
}
