package mcpconn

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

const (
	taskCaps    = `{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}`
	bothExtend  = `{"extensions":{"io.modelcontextprotocol/tasks":{"a":1},"io.modelcontextprotocol/ui":{"b":[1]},"com.example/own":{}},"roots":{}}`
	modernHopOf = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"weir","version":"test"},"io.modelcontextprotocol/clientCapabilities":`
)

// TestTaskMethods: the server's own id in the params and in Mcp-Name, and nothing of the tool's headers.
func TestTaskMethods(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Capabilities: taskCaps, Script: []upstreamtest.Act{
		{On: "tasks/get", Result: `{"status":"working","taskId":"tä"}`}, {On: "tasks/update", Result: `{}`}, {On: "tasks/cancel", Result: `{}`},
	}})
	c := dial(t, config(up.URL))
	client := &caller{era: catalog.Modern, caps: bothExtend}
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		call := client.raw(t, method, "tä", catalog.Tool, `{"x":1e400,"taskId":"sealed","inputResponses":{"q":{}}}`)
		call.Entry.Headers = []catalog.HeaderParam{{Header: "Mcp-Param-X"}}
		result(t, c, call)
		got := up.Ledger().Calls(method)
		want := `{"x":1e400,"taskId":"tä","inputResponses":{"q":{}},"_meta":{` + modernHopOf + `{"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{"a":1},"io.modelcontextprotocol/ui":{"b":[1]}}}}}`
		if len(got) != 1 || string(got[0].Params) != want || got[0].Header.Get("Mcp-Name") != "=?base64?dMOk?=" {
			t.Errorf("%s: %s\n%+v", method, got[0].Params, got[0].Header)
		}
	}
}

// TestExtensionsAreDeclared: what each server is told of a client's extensions.
func TestExtensionsAreDeclared(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server upstreamtest.Raw
		era    catalog.Era
		caps   string
		want   string
	}{
		{"a server without tasks", `{"tools":{}}`, catalog.Modern, bothExtend, `{"roots":{},"extensions":{"io.modelcontextprotocol/ui":{"b":[1]}}}`},
		{"a legacy client has no such tasks", taskCaps, catalog.Legacy, bothExtend, `{"extensions":{"io.modelcontextprotocol/ui":{"b":[1]}}}`},
		{"tasks of the old kind", taskCaps, catalog.Modern, `{"tasks":{"list":{}},"elicitation":{}}`, `{"elicitation":{}}`},
		{"escaped", taskCaps, catalog.Modern, `{"\u0065xtensions":{"com.example/own":{}}}`, `{"extensions":{}}`},
		{"none", taskCaps, catalog.Modern, `{"x":1e400}`, `{"x":1e400}`},
	} {
		up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Capabilities: tt.server})
		c := dial(t, config(up.URL))
		result(t, c, (&caller{era: tt.era, caps: tt.caps}).call(t, "tools/call", "echo", "", ""))
		got := string(up.Ledger().Calls("tools/call")[0].Params)
		if want := `{"name":"echo","_meta":{` + modernHopOf + tt.want + `}}`; got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, want)
		}
	}
}

// TestListsAreReadWithEveryCapability: a modern server that lists tools only to who can serve them lists them all to weir.
func TestListsAreReadWithEveryCapability(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern})
	c := dial(t, config(up.URL, func(c *Config) { c.Capabilities = []byte(`{"sampling":{}}`) }))
	if _, _, err := c.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(up.Ledger().Calls("tools/list")[0].Params); !strings.Contains(got, `clientCapabilities":{"sampling":{}}}`) {
		t.Error(got)
	}
}

// TestWishesOfOneEraStayInIt: what a legacy server must not see of a call, and that what it does see is otherwise the caller's.
func TestWishesOfOneEraStayInIt(t *testing.T) {
	const (
		rest = `,"task":{"ttl":1},"inputResponses":{"q":{}},"requestState":"s","x":1e400`
		hop  = `,"_meta":{` + modernHopOf + `{}}}`
	)
	for _, tt := range []struct {
		client *caller
		server upstreamtest.Era
		rest   string
		want   string
	}{
		{modernCaller(), upstreamtest.Legacy, rest, `{"name":"echo","x":1e400}`},
		{modernCaller(), upstreamtest.Modern, rest, `{"name":"echo"` + rest + hop},
		{legacyCaller(), upstreamtest.Legacy, rest, `{"name":"echo","x":1e400}`},
		{legacyCaller(), upstreamtest.Modern, `,"task":{},"y":1`, `{"name":"echo","y":1` + hop},
		{legacyCaller(), upstreamtest.Legacy, `,"task":null`, `{"name":"echo","task":null}`},
	} {
		up := serve(t, upstreamtest.Config{Era: tt.server})
		result(t, dial(t, config(up.URL)), tt.client.call(t, "tools/call", "echo", "", tt.rest))
		if got := string(up.Ledger().Calls("tools/call")[0].Params); got != tt.want {
			t.Errorf("%s to %s:\n got %s\nwant %s", tt.client.era, tt.server, got, tt.want)
		}
	}
}

func onlyTask(t *testing.T, c *caller) *catalog.Call {
	t.Helper()
	call := c.call(t, "tools/call", "echo", `{"progressToken":"p"}`, `,"arguments":{"n":1}`)
	call.Entry.OnlyTask = true
	return call
}

// TestTaskToolsAreAwaited: a tool that runs as a task alone is called as one, asks on the stream of its result, and answers like any other.
func TestTaskToolsAreAwaited(t *testing.T) {
	const created = `{"task":{"taskId":"7","status":"working","createdAt":"2025-11-25T10:30:00Z","ttl":null}}`
	up := serve(t, upstreamtest.Config{
		Era: upstreamtest.Legacy, Capabilities: `{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}`,
		Script: []upstreamtest.Act{
			{On: "tools/call", Result: created},
			{
				On: "tasks/result", Ask: []upstreamtest.Ask{{Method: "elicitation/create", Params: `{"message":"who?"}`}},
				Before: []upstreamtest.Raw{`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}}`},
				Result: `{"content":[{"type":"text","text":"done"}],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"7"},"x":1e400}}`,
			},
		},
	})
	c := dial(t, config(up.URL, pinned("legacy"), func(c *Config) { c.Capabilities = []byte(`{"elicitation":{}}`) }))
	client := legacyCaller()
	call := onlyTask(t, client)
	asked := 0
	call.Ask = func(context.Context, catalog.Request) ([]byte, error) {
		asked++
		return []byte(`{"action":"decline"}`), nil
	}
	if got, want := result(t, c, call), `{"content":[{"type":"text","text":"done"}],"_meta":{"x":1e400}}`; got != want || asked != 1 {
		t.Errorf("%s, asked %d times", got, asked)
	}
	if d := cmp.Diff([]string{`notifications/progress {"progressToken":"p","progress":1}`}, client.seen); d != "" {
		t.Error(d)
	}
	if got := string(up.Ledger().Calls("tools/call")[0].Params); got != `{"name":"echo","arguments":{"n":1},"_meta":{"progressToken":2},"task":{}}` {
		t.Errorf("called with %s", got)
	}
	if got := string(up.Ledger().Calls("tasks/result")[0].Params); got != `{"taskId":"7"}` {
		t.Errorf("awaited with %s", got)
	}
}

// TestTaskProgressOnSharedChannels: progress of a task, which names the request that began it, reaches the one that waits for its result.
func TestTaskProgressOnSharedChannels(t *testing.T) {
	await := &request{id: 5, token: 2, onMessage: func(*rawjson.Message) {}}
	other := &request{id: 6, onMessage: await.onMessage}
	child := &stdio{open: map[int64]*pending{5: {request: await}, 6: {request: other}}}
	var shared openRequests
	for _, r := range []*request{await, other} {
		shared.add(r)
	}
	for token, want := range map[string]int64{"2": 5, "5": 5, "6": 6, "3": 0, "0": 0} {
		var m rawjson.Message
		if err := rawjson.Scan(&m, []byte(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`+token+`}}`)); err != nil {
			t.Fatal(err)
		}
		var got, get int64
		if to, _ := child.addressees(&m, m.MethodName()); len(to) == 1 {
			got = to[0].id
		}
		if one := shared.byToken(m.ProgressToken.Of(m.Data)); one != nil {
			get = one.id
		}
		if got != want || get != want {
			t.Errorf("token %s went to %d on stdio and %d on a GET stream, want %d", token, got, get, want)
		}
	}
}

// TestTaskToolsThatAreNoTasks: a server that lets no call ask for a task is not asked for one, and one that answers at once has answered.
func TestTaskToolsThatAreNoTasks(t *testing.T) {
	for _, caps := range []upstreamtest.Raw{`{"tools":{}}`, `{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}`} {
		up := serve(t, upstreamtest.Config{Era: upstreamtest.Legacy, Capabilities: caps})
		result(t, dial(t, config(up.URL)), onlyTask(t, legacyCaller()))
		if got := string(up.Ledger().Calls("tools/call")[0].Params); strings.Contains(got, `"task"`) != strings.Contains(string(caps), "tasks") {
			t.Errorf("%s: %s", caps, got)
		}
		if n := up.Ledger().Count("tasks/result"); n != 0 {
			t.Errorf("awaited %d times", n)
		}
	}
}

// TestTaskToolsAreCancelled: who does not wait any more ends the task, and its failure never says that it was not executed.
func TestTaskToolsAreCancelled(t *testing.T) {
	up := serve(t, upstreamtest.Config{
		Era: upstreamtest.Legacy, Capabilities: `{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}`,
		Script: []upstreamtest.Act{{On: "tools/call", Result: `{"task":{"taskId":"7"}}`}, {On: "tasks/result", Fault: upstreamtest.Hang}, {On: "tasks/cancel", Result: `{}`}},
	})
	c := dial(t, config(up.URL))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		up.Ledger().Wait(t, "tasks/result", 1)
		cancel()
	}()
	_, err := c.Call(ctx, onlyTask(t, legacyCaller()))
	if f := failed(t, err); f.Execution != catalog.Unknown {
		t.Errorf("%+v", f)
	}
	eventually(t, "the task to be cancelled", func() bool { return up.Ledger().Count("tasks/cancel") == 1 })
	if got := string(up.Ledger().Calls("tasks/cancel")[0].Params); got != `{"taskId":"7"}` {
		t.Error(got)
	}
}

// TestWatchTask: a task is watched by a listen stream of its own, and what the server tells of it arrives without what is per hop.
func TestWatchTask(t *testing.T) {
	asked := make(chan string, 1)
	web := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, id, _ := strings.Cut(string(body), `"id":`)
		id, _, _ = strings.Cut(id, ",")
		if !strings.Contains(string(body), "subscriptions/listen") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":%s,"ttlMs":0,"cacheScope":"private"}}`, id, taskCaps)
			return
		}
		asked <- string(body)
		w.Header().Set("Content-Type", "text/event-stream")
		meta := `"_meta":{"io.modelcontextprotocol/subscriptionId":` + id + `}`
		taken := `"7"`
		if strings.Contains(string(body), `"gone"`) {
			taken = ""
		}
		_, _ = fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{%s,\"notifications\":{\"taskIds\":[%s]}}}\n\n", meta, taken)
		_, _ = fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\",\"params\":{%s,\"taskId\":\"7\",\"status\":\"working\",\"x\":1e400}}\n\n", meta)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	n := &noted{}
	c := dial(t, config(web.URL, func(c *Config) { c.Updated, c.Capabilities = n.note, []byte(`{"extensions":{}}`) }))
	if err := c.Watch(t.Context(), catalog.Topic{Task: true, ID: "7"}); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; !strings.Contains(got, `"notifications":{"taskIds":["7"]}`) || !strings.Contains(got, `clientCapabilities":{"extensions":{}}`) {
		t.Error(got)
	}
	if d := cmp.Diff([]string{`task "7" {"taskId":"7","status":"working","x":1e400}`}, n.wait(t, 1)); d != "" {
		t.Error(d)
	}
	if err := c.Watch(t.Context(), catalog.Topic{Task: true, ID: "gone"}); err == nil {
		t.Error("a task that the server does not know is watched")
	}
	<-asked
	old := dial(t, config(serve(t, upstreamtest.Config{Era: upstreamtest.Legacy}).URL))
	if err := old.Watch(t.Context(), catalog.Topic{Task: true, ID: "7"}); err == nil {
		t.Error("a legacy server has such tasks")
	}
}
