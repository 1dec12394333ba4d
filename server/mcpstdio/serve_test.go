package mcpstdio

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type upstreamFunc func(context.Context, *catalog.Call) (*catalog.Answer, error)

func (f upstreamFunc) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	return f(ctx, c)
}

func result(t *testing.T, raw string) *catalog.Answer {
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"result":`+raw+`}`)); err != nil {
		t.Errorf("scan %s: %v", raw, err)
	}
	return catalog.NewAnswer(m, catalog.Modern, nil)
}

func options(t *testing.T, up upstreamFunc) Options {
	t.Helper()
	engine, err := policy.New()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	c := catalog.New()
	c.Publish(catalog.Build([]*catalog.Source{{
		Upstream: "up", Capabilities: []byte(`{"tools":{}}`),
		Tools: [][]byte{[]byte(`{"name":"echo","inputSchema":{"type":"object"}}`)},
	}}, catalog.Options{Naming: catalog.Prefix}))
	g := server.New(server.Options{Catalog: c, Policy: engine, Upstream: up, Log: log, Version: "1"})
	return Options{Gateway: g, Principal: policy.LocalUser(), Log: log, MaxMessage: 1 << 20, DrainTimeout: 10 * time.Second}
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// talk sends lines and returns what came back by the end of input.
func talk(t *testing.T, o Options, in string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := Serve(t.Context(), o, strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestBothErasOnOneConnection(t *testing.T) {
	o := options(t, func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		return result(t, "{\n\"content\":[],\r\n\"n\":1e400}"), nil
	})
	tests := []struct{ name, in, want string }{
		{"ping", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"legacy call", `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"up__echo"}}`, `{"jsonrpc":"2.0","id":"x","result":{"content":[],"n":1e400}}`},
		{
			"modern call", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"up__echo",` + meta + `}}`,
			`{"jsonrpc":"2.0","id":2,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"weir","title":"weir MCP gateway","version":"1"}},"content":[],"n":1e400}}`,
		},
		{"garbage", `hello`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"json: byte 0: not a value"}}`},
		{"a shape fault keeps the id", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":1}}`, `{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"json: byte 63: name in params must be a string"}}`},
		{"unknown method", `{"jsonrpc":"2.0","id":3,"method":"tools/fly"}`, `{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"method not found: tools/fly"}}`},
		{"discover without its _meta", `{"jsonrpc":"2.0","id":4,"method":"server/discover"}`, `{"jsonrpc":"2.0","id":4,"error":{"code":-32602,"message":"params._meta lacks io.modelcontextprotocol/protocolVersion"}}`},
		{"too long", `{"jsonrpc":"2.0","id":5,"method":"ping","params":{"x":"` + strings.Repeat("a", 2<<20) + `"}}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"message is larger than the limit (maxBody)"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff([]string{tt.want}, talk(t, o, tt.in+"\n\r\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTrap5_10_EOFDropsNothing: calls in flight at the end of input are answered, and progress comes before its result.
func TestTrap5_10_EOFDropsNothing(t *testing.T) {
	o := options(t, func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
		for i := range 5 {
			c.Notify(catalog.Notification{Method: "notifications/progress", Params: []byte(`{"of":` + string(c.Message.ID.Of(c.Message.Data)) + `,"progress":` + strconv.Itoa(i) + `}`)})
		}
		return result(t, `{"content":[]}`), nil
	})
	var in strings.Builder
	for i := range 200 {
		in.WriteString(`{"jsonrpc":"2.0","id":` + strconv.Itoa(i) + `,"method":"tools/call","params":{"name":"up__echo"}}` + "\n")
	}
	next := make(map[string]int) // progress of each id
	for _, l := range talk(t, o, in.String()) {
		if _, rest, ok := strings.Cut(l, `"of":`); ok {
			id, n, _ := strings.Cut(rest, `,"progress":`)
			if n != strconv.Itoa(next[id])+"}}" {
				t.Fatalf("id %s: progress %s, want %d", id, n, next[id])
			}
			next[id]++
			continue
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(l, `{"jsonrpc":"2.0","id":`), ",")
		if next[id] != 5 {
			t.Errorf("id %s: result after %d notifications", id, next[id])
		}
		next[id] = -1
	}
	if len(next) != 200 {
		t.Errorf("%d answers", len(next))
	}
}

// TestSignalDropsNothing: when weir is told to stop, calls in flight are answered first.
func TestSignalDropsNothing(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	o := options(t, func(ctx context.Context, _ *catalog.Call) (*catalog.Answer, error) {
		close(started)
		select {
		case <-release:
			return result(t, `{"content":[]}`), nil
		case <-ctx.Done():
			return nil, &catalog.Error{Code: catalog.Canceled, Msg: "cancelled"}
		}
	})
	inR, inW := io.Pipe()
	defer func() { _ = inW.Close() }()
	var out bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, o, inR, &out) }()
	if _, err := io.WriteString(inW, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo"}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	<-started
	stop()
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := out.String(); got != `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`+"\n" {
		t.Errorf("got %q", got)
	}
}

// client is the far end of a connection that stays open.
type client struct {
	t     *testing.T
	in    *io.PipeWriter
	lines chan string
	ended chan error
}

func connect(t *testing.T, o Options) *client {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := &client{t: t, in: inW, lines: make(chan string, 100), ended: make(chan error, 1)}
	go func() {
		c.ended <- Serve(t.Context(), o, inR, outW)
		_ = outW.Close()
	}()
	go func() {
		s := bufio.NewScanner(outR)
		for s.Scan() {
			c.lines <- s.Text()
		}
		close(c.lines)
	}()
	t.Cleanup(func() {
		_ = inW.Close()
		for range c.lines {
		}
	})
	return c
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive() string {
	c.t.Helper()
	select {
	case l := <-c.lines:
		return l
	case <-time.After(10 * time.Second):
		c.t.Fatal("nothing came back")
		return ""
	}
}

// TestCancel: the call ends, nothing is sent for it, and others go on.
func TestCancel(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	o := options(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		close(started)
		<-ctx.Done()
		c.Notify(catalog.Notification{Method: "notifications/progress"})
		ended <- context.Cause(ctx)
		return nil, &catalog.Error{Code: catalog.Canceled, Msg: "cancelled"}
	})
	c := connect(t, o)
	c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo"}}`)
	<-started
	c.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if got := c.receive(); !strings.Contains(got, "still open") {
		t.Errorf("an id twice: %s", got)
	}
	c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	if err := <-ended; !errors.Is(err, server.ErrCanceled) {
		t.Errorf("ended with %v", err)
	}
	c.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	if got := c.receive(); got != `{"jsonrpc":"2.0","id":2,"result":{}}` {
		t.Errorf("after the cancellation: %s", got)
	}
}

// TestListen: acknowledged first, completed at the end of input.
func TestListen(t *testing.T) {
	c := connect(t, options(t, nil))
	c.send(`{"jsonrpc":"2.0","id":9,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"promptsListChanged":false},` + meta + `}}`)
	want := `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":9},"notifications":{"toolsListChanged":true}}}`
	if got := c.receive(); got != want {
		t.Errorf("acknowledgement: %s", got)
	}
	_ = c.in.Close()
	want = `{"jsonrpc":"2.0","id":9,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":9}}}`
	if got := c.receive(); got != want {
		t.Errorf("completion: %s", got)
	}
	if err := <-c.ended; err != nil {
		t.Error(err)
	}
}
