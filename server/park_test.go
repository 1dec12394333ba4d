package server

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type upstreamFunc func(context.Context, *catalog.Call) (*catalog.Answer, error)

func (f upstreamFunc) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	return f(ctx, c)
}

func scan(t *testing.T, text string) *rawjson.Message {
	t.Helper()
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(text)); err != nil {
		t.Fatalf("scan %s: %v", text, err)
	}
	return m
}

func answerOf(t *testing.T, raw string) *catalog.Answer {
	return catalog.NewAnswer(scan(t, `{"jsonrpc":"2.0","id":1,"result":`+raw+`}`), catalog.Legacy, nil)
}

func gateway(t *testing.T, up upstreamFunc) *Gateway {
	t.Helper()
	engine, err := policy.New()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New()
	c.Publish(catalog.Build([]*catalog.Source{{
		Upstream: "old", Legacy: true, Capabilities: []byte(`{"tools":{}}`),
		Tools: [][]byte{[]byte(`{"name":"ask","inputSchema":{"type":"object"}}`), []byte(`{"name":"other","inputSchema":{"type":"object"}}`)},
	}}, catalog.Options{Naming: catalog.Bare}))
	g := New(Options{Catalog: c, Policy: engine, Upstream: up, Log: slog.New(slog.DiscardHandler), Version: "1"})
	t.Cleanup(g.Close)
	return g
}

const askable = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{}}`

// call serves one tools/call of a modern client that can be asked, and returns the reply's text.
func call(ctx context.Context, t *testing.T, g *Gateway, name, extra, token string) string {
	t.Helper()
	m := scan(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`"`+extra+`,`+askable+token+`}}}`)
	client, refused := g.ModernClient(m)
	if refused != nil {
		t.Fatalf("refused: %s", refused.AppendLine(nil))
	}
	var mu sync.Mutex
	var notes strings.Builder
	reply := g.Serve(ctx, &Request{Principal: policy.LocalUser(), Client: client, Message: m, Notify: func(n catalog.Notification) {
		mu.Lock()
		defer mu.Unlock()
		notes.WriteString(string(n.Params) + ";")
	}})
	defer reply.Release()
	mu.Lock()
	defer mu.Unlock()
	return notes.String() + string(reply.AppendLine(nil))
}

// state cuts the requestState out of a reply.
func state(t *testing.T, reply string) string {
	t.Helper()
	_, rest, ok := strings.Cut(reply, `"requestState":"`)
	if !ok {
		t.Fatalf("no requestState in %s", reply)
	}
	token, _, _ := strings.Cut(rest, `"`)
	return token
}

const accept = `{"action":"accept","content":{"n":9007199254740993}}`

// asking is an upstream that asks once, with progress before and after, and answers with what it got.
func asking(t *testing.T) upstreamFunc {
	return func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		c.Notify(catalog.Notification{Method: "notifications/progress", Params: []byte(`{"progressToken":` + string(c.Message.Meta.ProgressToken.Of(c.Message.Data)) + `,"progress":1}`)})
		got, err := c.Ask(ctx, catalog.Request{Method: "elicitation/create", Params: []byte(`{"message":"how many?","requestedSchema":{}}`)})
		if err != nil {
			return nil, &catalog.Error{Code: catalog.Canceled, Msg: err.Error()}
		}
		c.Notify(catalog.Notification{Method: "notifications/progress", Params: []byte(`{"progressToken":` + string(c.Message.Meta.ProgressToken.Of(c.Message.Data)) + `,"progress":2}`)})
		return answerOf(t, `{"content":[],"structuredContent":`+string(got)+`}`), nil
	}
}

func TestParkedCallGoesOnWithTheAnswer(t *testing.T) {
	g := gateway(t, asking(t))
	first := call(t.Context(), t, g, "ask", "", `,"progressToken":"a"`)
	want := `{"progressToken":"a","progress":1};{"jsonrpc":"2.0","id":1,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"weir","title":"weir MCP gateway","version":"1"}},` +
		`"resultType":"input_required","inputRequests":{"q1":{"method":"elicitation/create","params":{"message":"how many?","requestedSchema":{}}}},"requestState":"`
	if !strings.HasPrefix(first, want) {
		t.Fatalf("first round: %s", first)
	}
	token := state(t, first)
	second := call(t.Context(), t, g, "ask", `,"inputResponses":{"q1":`+accept+`,"unasked":{}},"requestState":"`+token+`"`, `,"progressToken":2`)
	if !strings.HasPrefix(second, `{"progressToken":2,"progress":2};`) || !strings.Contains(second, `"structuredContent":`+accept) || !strings.Contains(second, `"resultType":"complete"`) {
		t.Errorf("second round: %s", second)
	}
	if len(g.parking.slots) != 0 || len(g.parking.count) != 0 {
		t.Error("the slot is still there")
	}
}

// TestRequestStateRefusals: a token is good for one caller, one entry, one set of arguments, one round, one time.
func TestRequestStateRefusals(t *testing.T) {
	g := gateway(t, asking(t))
	token := state(t, call(t.Context(), t, g, "ask", `,"arguments":{"a":1}`, ""))
	retry := func(name, arguments, token string) string {
		return call(t.Context(), t, g, name, arguments+`,"inputResponses":{"q1":`+accept+`},"requestState":"`+token+`"`, "")
	}
	refused := func(what, reply string) {
		t.Helper()
		if !strings.Contains(reply, "requestState is not valid here") {
			t.Errorf("%s: %s", what, reply)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for _, bit := range []byte{1, 0x80} {
			raw[i] ^= bit
			refused("a flipped bit", retry("ask", `,"arguments":{"a":1}`, base64.RawURLEncoding.EncodeToString(raw)))
			raw[i] ^= bit
		}
	}
	refused("another tool", retry("other", `,"arguments":{"a":1}`, token))
	refused("other arguments", retry("ask", `,"arguments":{"a":2}`, token))
	refused("no arguments", retry("ask", ``, token))
	for _, bad := range []string{"", "x", token[1:], token + "A", token + "=", strings.ToLower(token), strings.Repeat("A", 1<<16)} {
		refused("a mangled token", retry("ask", `,"arguments":{"a":1}`, bad))
	}
	stranger := gateway(t, asking(t))
	refused("another process", call(t.Context(), t, stranger, "ask", `,"arguments":{"a":1},"requestState":"`+token+`"`, ""))
	entry, _ := g.catalog.Snapshot().Resolve(catalog.Tool, "ask", nil)
	if _, err := g.parking.sealer.open(token, bind(policy.Principal{}, "tools/call", entry, "ask", []byte(`{"a":1}`))); err == nil {
		t.Error("another principal's binding opened the token")
	}
	if reply := retry("ask", `,"arguments":{"a":1}`, token); !strings.Contains(reply, `"structuredContent"`) {
		t.Errorf("the right one: %s", reply)
	}
	refused("the same once more", retry("ask", `,"arguments":{"a":1}`, token))
}

func TestRequestStateExpires(t *testing.T) {
	ended := make(chan error, 1)
	g := gateway(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		_, err := c.Ask(ctx, catalog.Request{Method: "elicitation/create", Params: []byte(`{}`)})
		ended <- err
		return nil, &catalog.Error{Code: catalog.Canceled, Msg: "cancelled"}
	})
	g.parking.after = 20 * time.Millisecond
	token := state(t, call(t.Context(), t, g, "ask", "", ""))
	select {
	case err := <-ended:
		if !errors.Is(err, errParkExpired) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the upstream call was not cancelled")
	}
	if reply := call(t.Context(), t, g, "ask", `,"inputResponses":{"q1":{}},"requestState":"`+token+`"`, ""); !strings.Contains(reply, "not valid") {
		t.Error(reply)
	}
}

// TestQuestionsAtOnceMakeOneRound, and what is not answered is asked again.
func TestQuestionsAtOnceMakeOneRound(t *testing.T) {
	g := gateway(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		var wg sync.WaitGroup
		got := make([]string, 2)
		for i, method := range []string{"elicitation/create", "sampling/createMessage"} {
			wg.Go(func() {
				a, err := c.Ask(ctx, catalog.Request{Method: method, Params: []byte(`{}`)})
				if err != nil {
					t.Error(err)
				}
				got[i] = string(a)
			})
		}
		if _, err := c.Ask(ctx, catalog.Request{Method: "roots/list"}); err == nil {
			t.Error("a client without roots was asked for them")
		}
		wg.Wait()
		return answerOf(t, `{"content":[],"e":`+got[0]+`,"s":`+got[1]+`}`), nil
	})
	first := call(t.Context(), t, g, "ask", "", "")
	if strings.Count(first, `"method"`) != 2 {
		t.Fatalf("first round: %s", first)
	}
	key := "q1"
	if strings.Contains(first, `"q2":{"method":"elicitation/create"`) {
		key = "q2"
	}
	second := call(t.Context(), t, g, "ask", `,"inputResponses":{"`+key+`":{"action":"decline"}},"requestState":"`+state(t, first)+`"`, "")
	if strings.Count(second, `"method"`) != 1 || !strings.Contains(second, "sampling/createMessage") {
		t.Fatalf("second round: %s", second)
	}
	other := map[string]string{"q1": "q2", "q2": "q1"}[key]
	third := call(t.Context(), t, g, "ask", `,"inputResponses":{"`+other+`":{"role":"assistant"}},"requestState":"`+state(t, second)+`"`, "")
	if !strings.Contains(third, `"e":{"action":"decline"},"s":{"role":"assistant"}`) {
		t.Errorf("third round: %s", third)
	}
}

func TestParkedCallEndsWithItsClient(t *testing.T) {
	started := make(chan struct{})
	g := gateway(t, func(ctx context.Context, _ *catalog.Call) (*catalog.Answer, error) {
		close(started)
		<-ctx.Done()
		return nil, &catalog.Error{Code: catalog.Canceled, Msg: context.Cause(ctx).Error()}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	if reply := call(ctx, t, g, "ask", "", ""); !strings.Contains(reply, errClientLeft.Error()) {
		t.Error(reply)
	}
}

func TestParkedCallsAreBounded(t *testing.T) {
	g := gateway(t, asking(t))
	for range parkedPerOwner {
		state(t, call(t.Context(), t, g, "ask", "", ""))
	}
	if reply := call(t.Context(), t, g, "ask", "", ""); !strings.Contains(reply, "too many calls") {
		t.Error(reply)
	}
}

func FuzzRequestState(f *testing.F) {
	s := newSealer()
	binding := [32]byte{1}
	good := s.seal(ticket{slot: 7, round: 1, expiry: time.Now()}, binding)
	f.Add(good)
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := s.open(token, binding); err == nil && token != good {
			t.Errorf("opened %q", token)
		}
	})
}
