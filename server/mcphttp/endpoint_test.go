package mcphttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/server"
)

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// modernCall is tools/call of a modern client with all its headers.
func modernCall(id, name, extra string) (string, []string) {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + name + `",` + meta + extra + `}}`,
		[]string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", name}
}

func echo(t *testing.T) upstreamFunc {
	return func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
		args := string(c.Message.Arguments.Of(c.Message.Data))
		if args == "" {
			args = "null"
		}
		return result(t, catalog.Modern, `{"content":[],"structuredContent":`+args+`,"x-odd":[1e400,{}],"resultType":"complete"}`), nil
	}
}

func TestModernCall(t *testing.T) {
	f := start(t, echo(t), nil)
	body, header := modernCall(`9007199254740993`, "up__echo", `,"arguments":{"a":1e400,"b":[]}`)
	got, _ := f.do("POST", body, header...)
	want := answer{200, "application/json", `{"jsonrpc":"2.0","id":9007199254740993,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":` +
		`{"name":"weir","title":"weir MCP gateway","version":"1.2.3"}},"content":[],"structuredContent":{"a":1e400,"b":[]},"x-odd":[1e400,{}],"resultType":"complete"}}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestModernRefusals(t *testing.T) {
	reached := func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		t.Error("a refused request reached the upstream")
		return result(t, catalog.Modern, `{}`), nil
	}
	f := start(t, reached, nil)
	body, header := modernCall(`1`, "up__echo", "")
	with := func(kv ...string) []string { return append(append([]string(nil), header...), kv...) }
	tests := []struct {
		name   string
		body   string
		header []string
		status int
		code   string
	}{
		{"method header missing", body, with("Mcp-Method", ""), 400, "-32020"},
		{"method header differs", body, with("Mcp-Method", "tools/list"), 400, "-32020"},
		{"name header missing", body, with("Mcp-Name", ""), 400, "-32020"},
		{"name header names another tool", body, with("Mcp-Name", "up__other"), 400, "-32020"},
		{"name header in other case", body, with("Mcp-Name", "UP__ECHO"), 400, "-32020"},
		{"encoded name header differs", body, with("Mcp-Name", "=?base64?eA==?="), 400, "-32020"},
		{"version header missing", body, with("Mcp-Protocol-Version", ""), 400, "-32020"},
		{"version header differs", body, with("Mcp-Protocol-Version", "2025-11-25"), 400, "-32020"},
		{"version unknown", strings.ReplaceAll(body, "2026-07-28", "2027-01-01"), with("Mcp-Protocol-Version", "2027-01-01"), 400, "-32022"},
		{"no version in the body", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo"}}`, header, 400, "-32602"},
		{"no capabilities", strings.Replace(body, `,"io.modelcontextprotocol/clientCapabilities":{}`, "", 1), header, 400, "-32602"},
		{"unknown tool", strings.ReplaceAll(body, "up__echo", "up__none"), with("Mcp-Name", "up__none"), 200, "-32602"},
		{"removed method", strings.Replace(body, "tools/call", "ping", 1), with("Mcp-Method", "ping"), 404, "-32601"},
		{"unknown method", strings.Replace(body, "tools/call", "tools/fly", 1), with("Mcp-Method", "tools/fly"), 404, "-32601"},
		{"mirrored argument without header", strings.Replace(body, `"name":`, `"arguments":{"region":"eu"},"name":`, 1), header, 400, "-32020"},
		{"mirrored argument with another header", strings.Replace(body, `"name":`, `"arguments":{"region":"eu"},"name":`, 1), with("Mcp-Param-Region", "us"), 400, "-32020"},
		{"header without its argument", body, with("Mcp-Param-Region", "us"), 400, "-32020"},
		{"two names", strings.Replace(body, `"name":`, `"name":"up__other","name":`, 1), header, 400, "-32600"},
		{"name in another case as well", strings.Replace(body, `"name":`, `"NAME":"up__other","name":`, 1), header, 400, "-32600"},
		{"two params", strings.Replace(body, `"params":`, `"Params":{"name":"up__other"},"params":`, 1), header, 400, "-32600"},
		{"not JSON", `{"jsonrpc":"2.0",`, header, 400, "-32700"},
		{"empty body", ``, header, 400, "-32600"},
		{"batch", `[` + body + `]`, header, 400, "-32600"},
		{"too deep", strings.Replace(body, `"name":`, `"arguments":{"a":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2000)+`},"name":`, 1), header, 400, "-32600"},
		{"wrong content type", body, with("Content-Type", "text/plain"), 415, ""},
		{"accepts neither form", body, with("Accept", "image/png"), 406, ""},
		{"foreign page", body, with("Origin", "https://evil.example"), 403, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := f.do("POST", tt.body, tt.header...)
			if got.Status != tt.status || !strings.Contains(got.Body, tt.code) {
				t.Errorf("got %d %s, want %d with %s", got.Status, got.Body, tt.status, tt.code)
			}
		})
	}
}

// session opens a legacy session.
func (f *fixture) session(version string) []string {
	f.t.Helper()
	got, h := f.do("POST", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"`+version+`","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	if got.Status != 200 || !strings.Contains(got.Body, `"protocolVersion":"`+version+`"`) {
		f.t.Fatalf("initialize: %d %s", got.Status, got.Body)
	}
	return []string{"Mcp-Session-Id", h.Get("Mcp-Session-Id"), "Mcp-Protocol-Version", version}
}

func TestLegacySession(t *testing.T) {
	f := start(t, echo(t), nil)
	for _, version := range []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"} {
		s := f.session(version)
		got, _ := f.do("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, s...)
		if got.Status != 202 {
			t.Errorf("%s: initialized: %d %s", version, got.Status, got.Body)
		}
		got, _ = f.do("POST", `{"jsonrpc":"2.0","id":"a\u00e9","method":"tools/call","params":{"name":"up__echo","arguments":{"x":1}}}`, s...)
		want := answer{200, "application/json", `{"jsonrpc":"2.0","id":"a\u00e9","result":{"content":[],"structuredContent":{"x":1},"x-odd":[1e400,{}]}}`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
		got, _ = f.do("POST", `{"jsonrpc":"2.0","id":2,"method":"ping"}`, s...)
		if got.Body != `{"jsonrpc":"2.0","id":2,"result":{}}` {
			t.Errorf("%s: ping: %s", version, got.Body)
		}
		if got, _ = f.do("DELETE", "", s...); got.Status != 204 {
			t.Errorf("%s: DELETE: %d", version, got.Status)
		}
		if got, _ = f.do("POST", `{"jsonrpc":"2.0","id":3,"method":"ping"}`, s...); got.Status != 404 {
			t.Errorf("%s: after DELETE: %d %s", version, got.Status, got.Body)
		}
	}
	got, _ := f.do("POST", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"1999-01-01","capabilities":{}}}`)
	if !strings.Contains(got.Body, `"protocolVersion":"2025-11-25"`) {
		t.Errorf("unknown revision: %s", got.Body)
	}
}

func TestLegacyBatch(t *testing.T) {
	f := start(t, echo(t), nil)
	batch := `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":2,"method":"nope"}]`
	got, _ := f.do("POST", batch, f.session("2025-03-26")...)
	want := answer{200, "application/json", `[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"method not found: nope"}}]`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, _ = f.do("POST", batch, f.session("2025-06-18")...); got.Status != 400 {
		t.Errorf("a batch in 2025-06-18: %d %s", got.Status, got.Body)
	}
}

// TestNotificationsComeFirst: what the upstream says during a call is on the stream before the result, in order, and in an event each.
func TestNotificationsComeFirst(t *testing.T) {
	f := start(t, func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
		for i := range 50 {
			c.Notify(catalog.Notification{Method: "notifications/progress", Params: fmt.Appendf(nil, "{\n\"progress\":%d}", i)})
		}
		return result(t, catalog.Modern, "{\n\"content\":[]\r\n}"), nil
	}, nil)
	body, header := modernCall(`1`, "up__echo", "")
	for name, send := range map[string]func() answer{
		"modern": func() answer { a, _ := f.do("POST", body, header...); return a },
		"legacy": func() answer {
			a, _ := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo"}}`, f.session("2025-06-18")...)
			return a
		},
	} {
		got := send()
		if got.Type != "text/event-stream" {
			t.Fatalf("%s: %v", name, got)
		}
		events := strings.Split(strings.TrimSuffix(got.Body, "\n\n"), "\n\n")
		if len(events) != 51 {
			t.Fatalf("%s: %d events", name, len(events))
		}
		for i, event := range events {
			if id, rest, ok := strings.Cut(event, "\n"); ok && strings.HasPrefix(id, "id: ") {
				events[i] = rest // a legacy stream has those
			}
		}
		for i, event := range events[:50] {
			want := fmt.Sprintf("event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":%d}}", i)
			if event != want {
				t.Errorf("%s: event %d is %q", name, i, event)
			}
		}
		if !strings.HasPrefix(events[50], "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{") || strings.Count(events[50], "\n") != 1 {
			t.Errorf("%s: result event %q", name, events[50])
		}
	}
}

// blocking is an upstream whose calls wait for their context or for release.
type blocking struct {
	started chan string
	ended   chan error
	release chan struct{}
}

func newBlocking() *blocking {
	return &blocking{started: make(chan string, 10), ended: make(chan error, 10), release: make(chan struct{})}
}

func (b *blocking) call(t *testing.T) upstreamFunc {
	return func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		b.started <- c.Entry.Ref.String()
		select {
		case <-ctx.Done():
			b.ended <- context.Cause(ctx)
			return nil, &catalog.Error{Code: catalog.Canceled, Msg: "cancelled"}
		case <-b.release:
			b.ended <- nil
			return result(t, catalog.Modern, `{"content":[]}`), nil
		}
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("timed out waiting for " + what)
		panic("unreachable")
	}
}

// TestTrap5_1_CancelStaysWithItsSession: a cancellation with the right id from another session, or from none, ends nothing.
func TestTrap5_1_CancelStaysWithItsSession(t *testing.T) {
	b := newBlocking()
	f := start(t, b.call(t), nil)
	victim, attacker := f.session("2025-11-25"), f.session("2025-11-25")
	done := make(chan answer, 1)
	go func() {
		a, _ := f.do("POST", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"up__echo"}}`, victim...)
		done <- a
	}()
	receive(t, b.started, "the call")
	cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`
	for _, from := range [][]string{attacker, nil, {"Mcp-Protocol-Version", "2025-11-25"}} {
		if got, _ := f.do("POST", cancel, from...); got.Status != 202 {
			t.Fatalf("cancel: %v", got)
		}
	}
	modern := strings.Replace(cancel, `"requestId":7`, `"requestId":7,`+meta, 1)
	f.do("POST", modern, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "notifications/cancelled")
	select {
	case err := <-b.ended:
		t.Fatalf("somebody else's cancellation ended the call: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	f.do("POST", cancel, victim...)
	if err := receive(t, b.ended, "the end of the call"); !errors.Is(err, server.ErrCanceled) {
		t.Errorf("ended with %v", err)
	}
	if got := receive(t, done, "the end of the answer"); got.Body != "" {
		t.Errorf("after its cancellation the call was answered: %s", got.Body)
	}
}

// TestDisconnect: for a modern client it is the cancellation, for a legacy client it is not.
func TestDisconnect(t *testing.T) {
	b := newBlocking()
	f := start(t, b.call(t), nil)
	leave := func(body string, header []string) {
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "POST", f.url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		go func() {
			receive(t, b.started, "the call")
			cancel()
		}()
		if resp, err := f.client.Do(r); err == nil {
			_ = resp.Body.Close()
			t.Error("the request was answered")
		}
	}
	body, header := modernCall(`1`, "up__echo", "")
	leave(body, header)
	if err := receive(t, b.ended, "the modern call's end"); err == nil {
		t.Error("the modern call was not cancelled")
	}
	leave(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo"}}`, f.session("2025-11-25"))
	select {
	case err := <-b.ended:
		t.Errorf("the legacy call ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(b.release)
	if err := receive(t, b.ended, "the legacy call's end"); err != nil {
		t.Error(err)
	}
}

// TestSessionsBelongToTheirPrincipal and time out; an unknown id is 404.
func TestSessionExpiry(t *testing.T) {
	f := start(t, echo(t), func(s *server.Spec) { s.SessionIdle = 50 * time.Millisecond })
	s := f.session("2025-11-25")
	f.end.sessions.Sweep(time.Now().Add(time.Second))
	if got, _ := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, s...); got.Status != 404 {
		t.Errorf("expired: %d", got.Status)
	}
	if got, _ := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "Mcp-Session-Id", "guess"); got.Status != 404 {
		t.Errorf("guessed: %d", got.Status)
	}
}

// TestBodyLimit: a body over the limit is refused whether its length is told or not.
func TestBodyLimit(t *testing.T) {
	f := start(t, echo(t), func(s *server.Spec) { s.MaxBody = 1000 })
	big := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("a", 2000) + `"}}`
	if got, _ := f.do("POST", big); got.Status != 413 || !strings.Contains(got.Body, "1000") {
		t.Errorf("told length: %v", got)
	}
	r, _ := http.NewRequestWithContext(t.Context(), "POST", f.url, io.MultiReader(strings.NewReader(big)))
	r.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("chunked: %d", resp.StatusCode)
	}
}

// events opens a stream and returns its data lines.
func (f *fixture) events(method, body string, header ...string) (<-chan string, func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	r, _ := http.NewRequestWithContext(ctx, method, f.url, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		f.t.Fatalf("stream: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	out := make(chan string, 100)
	go func() {
		defer close(out)
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "" {
				out <- data
			}
		}
	}()
	return out, cancel
}

// TestListChangedReachesBothEras: once per change, only for the list that changed, and only what was asked for.
func TestListChangedReachesBothEras(t *testing.T) {
	f := start(t, echo(t), nil)
	legacy, stop := f.events("GET", "", f.session("2025-11-25")...)
	defer stop()
	modern, stop2 := f.events("POST", `{"jsonrpc":"2.0","id":"L1","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+meta+`}}`,
		"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
	defer stop2()
	want := `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"L1"},"notifications":{"toolsListChanged":true}}}`
	if got := receive(t, modern, "the acknowledgement"); got != want {
		t.Errorf("acknowledgement: %s", got)
	}
	publish := func(tools ...string) {
		s := source(tools...)
		s.Prompts = [][]byte{[]byte(`{"name":"p` + tools[0] + `"}`)}
		f.catalog.Publish(catalog.Build([]*catalog.Source{s}, catalog.Options{Naming: catalog.Prefix}))
	}
	publish("echo", "other") // the prompts change, the tools do not
	publish("new")           // both change
	for _, want := range []string{"prompts", "tools"} {
		if got := receive(t, legacy, "list_changed"); got != `{"jsonrpc":"2.0","method":"notifications/`+want+`/list_changed"}` && want == "prompts" {
			t.Errorf("legacy: %s", got)
		}
	}
	want = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"L1"}}}`
	if got := receive(t, modern, "tools list_changed"); got != want {
		t.Errorf("modern: %s", got)
	}
	f.end.Drain()
	want = `{"jsonrpc":"2.0","id":"L1","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"L1"}}}`
	if got := receive(t, modern, "completion"); got != want {
		t.Errorf("completion: %s", got)
	}
}
