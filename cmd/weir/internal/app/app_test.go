package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/upstream"
	"weir/upstream/process"
	"weir/upstream/upstreamtest"
)

func TestMain(m *testing.M) {
	process.MaybeGuard()
	upstreamtest.RunChild()
	goleak.VerifyTestMain(m)
}

// object is a JSON object.
type object = map[string]any

// within bounds every wait.
const within = 10 * time.Second

// tool is a tool of that name that takes anything.
func tool(name string) upstreamtest.Raw {
	return upstreamtest.Raw(fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}}`, name))
}

// place is a configuration on disk and the log of what reads it.
type place struct {
	path string
	env  app.Env
	log  *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newPlace(t *testing.T, content object) *place {
	t.Helper()
	p := &place{path: filepath.Join(t.TempDir(), "weir.json"), log: &syncBuffer{}}
	p.env = app.Env{
		Config:  config.Env{Lookup: func(string) (string, bool) { return "", false }, Dir: filepath.Dir(p.path)},
		Log:     slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Version: "test",
	}
	p.write(t, content)
	return p
}

func (p *place) write(t *testing.T, content any) {
	t.Helper()
	b, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// open reads the file and wires its gateway, which the test closes.
func (p *place) open(t *testing.T) (*config.File, *app.App) {
	t.Helper()
	file, err := config.Read(p.path, p.env.Config)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(file, p.env)
	if err != nil {
		t.Fatal(err)
	}
	return file, a
}

// start wires the gateway of the file; it is closed with the test.
func (p *place) start(t *testing.T) *app.App {
	t.Helper()
	_, a := p.open(t)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	return a
}

// settled waits for the upstreams.
func settled(t *testing.T, a *app.App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := a.Settled(ctx); err != nil {
		t.Fatal(err)
	}
}

// names are the public names of all visible entries.
func names(a *app.App) string {
	var all []string
	view := a.View()
	for _, e := range view.Snapshot().Entries() {
		if view.Visible(e) {
			all = append(all, e.Name)
		}
	}
	return strings.Join(all, " ")
}

// until polls a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
	}
}

func TestJoinsStdioAndHTTP(t *testing.T) {
	t.Parallel()
	web := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo")}})
	child := upstreamtest.Stdio(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo")}})
	a := newPlace(t, object{"mcpServers": object{
		"web": object{"url": web.URL}, "child": object{"command": child.Command, "args": child.Args},
	}}).start(t)
	settled(t, a)
	if got, want := names(a), "child__echo web__echo"; got != want {
		t.Errorf("entries %q, want %q", got, want)
	}
	for _, name := range []string{"web__echo", "child__echo"} {
		out, err := a.Call(t.Context(), name, []byte(`{"text":"hi"}`))
		if err != nil || out.Code != "" || !strings.Contains(string(out.Result), "hi") {
			t.Errorf("%s: %s %s %v", name, out.Result, out.Code, err)
		}
	}
	if n := web.Ledger().Count("tools/call"); n != 1 {
		t.Errorf("%d calls reached the upstream for one", n)
	}
}

func TestCallTellsWhoseFailureItIs(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{
		Tools: []upstreamtest.Raw{tool("fails"), tool("breaks"), tool("slow")},
		Script: []upstreamtest.Act{
			{On: "fails", Result: `{"content":[],"isError":true}`},
			{On: "breaks", Error: `{"code":-32000,"message":"it broke"}`},
			{On: "slow", Fault: upstreamtest.Hang},
		},
	})
	a := newPlace(t, object{"mcpServers": object{"up": object{"url": up.URL}, "hasty": object{"url": up.URL, "timeout": "50ms"}}}).start(t)
	settled(t, a)
	if out, err := a.Call(t.Context(), "up__fails", []byte(`{}`)); err != nil || out.Code != "" || !strings.Contains(string(out.Result), `"isError":true`) {
		t.Errorf("a tool's error: %s %q %v; want the result as it is", out.Result, out.Code, err)
	}
	if _, err := a.Call(t.Context(), "up__breaks", []byte(`{}`)); err == nil || err.Error() != "it broke" {
		t.Errorf("an upstream's JSON-RPC error: %v", err)
	}
	if out, err := a.Call(t.Context(), "hasty__slow", []byte(`{}`)); err != nil || out.Code != catalog.Timeout {
		t.Errorf("weir's own failure: %q %v, want timeout", out.Code, err)
	}
	var own *catalog.Error
	if _, err := a.Call(t.Context(), "up__none", []byte(`{}`)); !errors.As(err, &own) || own.Code != catalog.NotFound {
		t.Errorf("an unknown tool: %v", err)
	}
	if _, err := a.Call(t.Context(), "up__fails", []byte(`{"a":1,`)); !errors.As(err, &own) || own.Code != catalog.Invalid {
		t.Errorf("arguments that are no JSON: %v", err)
	}
}

// TestServe holds that a stopping gateway answers what is in flight, and that a reload on the way loses nothing.
func TestServe(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{
		Tools:  []upstreamtest.Raw{tool("slow")},
		Script: []upstreamtest.Act{{On: "slow", Delay: upstreamtest.Duration(300 * time.Millisecond)}},
	})
	p := newPlace(t, object{"listen": "127.0.0.1:0", "mcpServers": object{"up": object{"url": up.URL}}})
	a := p.start(t)
	ln, err := a.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, ln) }()
	settled(t, a)

	p.write(t, object{"listen": "127.0.0.1:0", "naming": "bare", "mcpServers": object{"up": object{"url": up.URL}}})
	until(t, "the file was read again", func() bool { return names(a) == "slow" })
	p.write(t, object{"listen": "127.0.0.1:0", "nameing": "bare"})
	until(t, "the mistake was reported", func() bool { return strings.Contains(p.log.String(), "last good one stays") })
	if names(a) != "slow" {
		t.Errorf("entries %q after a bad file", names(a))
	}

	answers := make(chan string, 1)
	go func() {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{"text":"late"}}}`
		resp, err := http.Post("http://"+ln.Addr().String()+"/mcp", "application/json", strings.NewReader(body))
		if err != nil {
			answers <- err.Error()
			return
		}
		b, _ := io.ReadAll(resp.Body) // what is missing shows
		_ = resp.Body.Close()
		answers <- string(b)
	}()
	up.Ledger().Wait(t, "tools/call", 1)
	stop()
	if got := <-answers; !strings.Contains(got, "late") {
		t.Errorf("the call in flight got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestStdio holds that standard output carries whole messages only, and that the end of the input waits for what is in flight.
func TestStdio(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Stdio(t, upstreamtest.Config{
		Greeting: []upstreamtest.Raw{"Welcome to this server"}, Complaint: []upstreamtest.Raw{"deprecated"},
		Tools:  []upstreamtest.Raw{tool("slow")},
		Script: []upstreamtest.Act{{On: "slow", Delay: upstreamtest.Duration(100 * time.Millisecond), Junk: []upstreamtest.Raw{"more noise"}}},
	})
	a := newPlace(t, object{"mcpServers": object{"up": object{"command": up.Command, "args": up.Args}}}).start(t)
	settled(t, a)
	in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"up__slow","arguments":{"text":"late"}}}
`)
	var out bytes.Buffer
	if err := a.Stdio(t.Context(), in, &out); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var m struct {
			JSONRPC string
			ID      json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.JSONRPC != "2.0" {
			t.Errorf("not a message: %q", lines.Text())
		}
		ids[string(m.ID)] = true
	}
	if !ids["1"] || !ids["2"] {
		t.Errorf("answers to %v, want 1 and 2", ids)
	}
}

func TestRequired(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{})
	deaf := upstreamtest.New(t, upstreamtest.Config{Deaf: true})
	a := newPlace(t, object{"mcpServers": object{
		"good": object{"url": up.URL, "required": true}, "deaf": object{"url": deaf.URL},
	}}).start(t)
	if err := a.Required(t.Context()); err != nil {
		t.Errorf("an upstream that is not required was waited for: %v", err)
	}
	b := newPlace(t, object{"mcpServers": object{"bad": object{"command": "no-such-program", "required": true}}}).start(t)
	var own *catalog.Error
	if err := b.Required(t.Context()); !errors.As(err, &own) || own.Code != catalog.Unavailable || !strings.HasPrefix(own.Msg, "bad: ") {
		t.Errorf("Required = %v", err)
	}
}

// TestReload holds that an upstream whose entry stays keeps its connection, and that one whose variable changed does not.
func TestReload(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Stdio(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a")}})
	more := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("b")}})
	first := object{"command": up.Command, "args": up.Args}
	p := newPlace(t, object{"naming": "prefix", "mcpServers": object{"up": first}})
	a := p.start(t)
	settled(t, a)
	began := up.Ledger().Count("server/discover") + up.Ledger().Count("initialize")
	p.write(t, object{"naming": "bare", "mcpServers": object{"up": first, "more": object{"url": more.URL}}})
	file, err := config.Read(p.path, p.env.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(file); err != nil {
		t.Fatal(err)
	}
	until(t, "both upstreams are there", func() bool { return names(a) == "a b" })
	if n := up.Ledger().Count("server/discover") + up.Ledger().Count("initialize"); n != began {
		t.Errorf("the upstream that stayed was connected again (%d handshakes, then %d)", began, n)
	}
	for _, s := range a.Status() {
		if s.State != upstream.Ready {
			t.Errorf("%s is %s: %s", s.Name, s.State, s.Reason)
		}
	}
}

func TestListenRefusesWhatOthersReach(t *testing.T) {
	t.Parallel()
	a := newPlace(t, object{"listen": "0.0.0.0:0", "mcpServers": object{}}).start(t)
	if ln, err := a.Listen(t.Context()); err == nil {
		_ = ln.Close()
		t.Error("an address that other machines can reach was opened without sign-in")
	}
	p := newPlace(t, object{"listen": "0.0.0.0:0", "mcpServers": object{}})
	p.env.Override = func(f *config.File) { f.Server.InsecureNoAuth = true }
	ln, err := p.start(t).Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
}
