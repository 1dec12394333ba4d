package once

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bank is a gateway before an upstream that counts what reaches it.
type bank struct {
	t       *testing.T
	path    string
	store   *Store
	gateway *server.Gateway
	now     time.Time
	who     policy.Principal

	mu      sync.Mutex
	reached int
	answer  func() (*catalog.Answer, error)
}

func (b *bank) Call(context.Context, *catalog.Call) (*catalog.Answer, error) {
	b.mu.Lock()
	b.reached++
	n, answer := b.reached, b.answer
	b.mu.Unlock()
	if answer != nil {
		return answer()
	}
	return b.says(fmt.Sprintf(`"result":{"content":[],"structuredContent":{"n":%d}}`, n))
}

func (b *bank) says(member string) (*catalog.Answer, error) {
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":7,`+member+`}`)); err != nil {
		b.t.Error(err)
	}
	return catalog.NewAnswer(m, catalog.Modern, nil), nil
}

func newBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{t: t, path: filepath.Join(t.TempDir(), "keys", "once.db"), now: time.Now(), who: policy.LocalUser()}
	b.open()
	t.Cleanup(func() {
		b.gateway.Close()
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// open starts a gateway on the file, as a program does that starts after another one ended.
func (b *bank) open() {
	b.t.Helper()
	var err error
	if b.store, err = Open(b.t.Context(), Spec{Database: b.path, Keep: 24 * time.Hour}); err != nil {
		b.t.Fatal(err)
	}
	b.store.now = func() time.Time { return b.now }
	engine, err := policy.New()
	if err != nil {
		b.t.Fatal(err)
	}
	rules, err := policy.Compile(policy.Spec{Grants: map[string][]string{"user:local": {"*/*"}, "group:staff": {"*/*"}}}, policy.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	engine.Swap(rules)
	c := catalog.New()
	c.Publish(catalog.Build([]*catalog.Source{{
		Upstream: "bank", Capabilities: []byte(`{"tools":{}}`), Tools: [][]byte{[]byte(`{"name":"pay","inputSchema":{"type":"object"}}`), []byte(`{"name":"ask","inputSchema":{"type":"object"}}`)},
	}}, catalog.Options{}))
	b.gateway = server.New(server.Options{Catalog: c, Policy: engine, Upstream: b, Log: slog.New(slog.DiscardHandler), Once: b.store})
}

// call calls a tool with arguments and the rest of params, and returns the answer.
func (b *bank) call(tool, arguments, rest string) string {
	b.t.Helper()
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"bank__`+tool+`","arguments":`+arguments+rest+`}}`)); err != nil {
		b.t.Fatal(err)
	}
	reply := b.gateway.Serve(b.t.Context(), &server.Request{
		Principal: b.who, Client: &catalog.Client{Era: catalog.Modern, Version: "2026-07-28", Capabilities: []byte(`{}`)}, Message: m,
	})
	defer reply.Release()
	return string(reply.Append(nil))
}

func keyed(key string) string { return `,"_meta":{"` + server.OnceKey + `":` + key + `}` }

func (b *bank) want(step, got string, reached int, parts ...string) {
	b.t.Helper()
	for _, part := range parts {
		if part, not := strings.CutPrefix(part, "!"); strings.Contains(got, part) == not {
			b.t.Errorf("%s: %q (not: %v) in %s", step, part, not, got)
		}
	}
	if b.reached != reached {
		b.t.Errorf("%s: %d calls reached the upstream, want %d", step, b.reached, reached)
	}
}

// A call with a key is made once, and its answer given again, to the same caller, for the same tool and arguments, also after a restart; without a key
// nothing is different.
func TestMadeOnce(t *testing.T) {
	b := newBank(t)
	b.want("first", b.call("pay", `{"to":"ana", "n":1}`, keyed(`"a"`)), 1, `"n":1`, "!weir/repeated")
	b.want("again", b.call("pay", `{"to":"ana","n":1}`, keyed(`"a"`)), 1, `"id":1`, `"structuredContent":{"n":1}`, `"weir/repeated":true`, `"resultType":"complete"`)
	b.want("other arguments", b.call("pay", `{"to":"bob","n":1}`, keyed(`"a"`)), 1, `"isError":true`, "had other arguments; a new call needs a new key", `"code":"invalid"`)
	b.want("written otherwise", b.call("pay", `{"to":"ana","n":1}`, `,"_meta":{"weir\/idempotencyKey":"\u0061"}`), 1, `"weir/repeated":true`)
	b.want("written in letters", b.call("pay", `{"to":"ana","n":1}`, `,"_meta":{"weir/\u0069dempotencyKey":"a"}`), 1, `"weir/repeated":true`)
	b.want("almost the key", b.call("pay", `{"to":"ana","n":1}`, `,"_meta":{"weir/idempotencykey":"a","weir/idempotencyKey":"a"}`), 1, `"isError":true`, `"code":"invalid"`)
	b.want("another key", b.call("pay", `{"to":"ana","n":1}`, keyed(`"b"`)), 2, `"n":2`)
	b.want("another tool", b.call("ask", `{"to":"ana","n":1}`, keyed(`"a"`)), 3, `"n":3`)
	b.want("no key", b.call("pay", `{"to":"ana","n":1}`, ""), 4, `"n":4`)
	b.want("no key again", b.call("pay", `{"to":"ana","n":1}`, `,"_meta":{"note":"`+server.OnceKey+`"}`), 5, `"n":5`)
	for _, bad := range []string{`""`, `7`, `{}`, `"` + strings.Repeat("x", 257) + `"`} {
		b.want("bad key", b.call("pay", `{}`, keyed(bad)), 5, `"isError":true`, "is no text of 1 to 256 bytes")
	}
	b.gateway.Close()
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.want("after a restart", b.call("pay", `{"to":"ana","n":1}`, keyed(`"a"`)), 5, `"structuredContent":{"n":1}`, `"weir/repeated":true`)
	b.now = b.now.Add(25 * time.Hour)
	b.want("a day later", b.call("pay", `{"to":"ana","n":1}`, keyed(`"a"`)), 6, `"n":6`, "!weir/repeated")
}

// A key is its caller's: what one was answered nobody else is, nor is anybody kept from calling. Who may not call any more is not answered again either.
func TestKeysOfOthers(t *testing.T) {
	b := newBank(t)
	people := map[string]policy.Principal{}
	for name, group := range map[string]string{"ana": "staff", "bob": "staff", "gus": "guests"} {
		p, err := policy.Verified(policy.Identity{Issuer: "https://id.example", Subject: name, Groups: []string{group}})
		if err != nil {
			t.Fatal(err)
		}
		people[name] = p
	}
	for i, name := range []string{"ana", "bob"} {
		b.who = people[name]
		b.want(name, b.call("pay", `{}`, keyed(`"a"`)), i+1, fmt.Sprintf(`"n":%d`, i+1), "!weir/repeated")
	}
	for i, name := range []string{"ana", "bob"} {
		b.who = people[name]
		b.want(name+" again", b.call("pay", `{}`, keyed(`"a"`)), 2, fmt.Sprintf(`"n":%d`, i+1), `"weir/repeated":true`)
	}
	b.who = people["gus"]
	b.want("gus", b.call("pay", `{}`, keyed(`"a"`)), 2, "unknown tool")
	left, err := policy.Verified(policy.Identity{Issuer: "https://id.example", Subject: "ana", Groups: []string{"guests"}})
	if err != nil {
		t.Fatal(err)
	}
	b.who = left
	b.want("ana, who left", b.call("pay", `{}`, keyed(`"a"`)), 2, "unknown tool", "!structuredContent")
}

// What may have been executed is not made again, what was not may be, and what the server itself said is said again.
func TestWhatBecameOfIt(t *testing.T) {
	failure := func(e *catalog.Error) func() (*catalog.Answer, error) {
		return func() (*catalog.Answer, error) { return nil, e }
	}
	for _, tt := range []struct {
		name   string
		answer func(*bank) func() (*catalog.Answer, error)
		made   int    // how often two calls reach the upstream
		again  string // part of what the second is answered
	}{
		{"not executed", func(*bank) func() (*catalog.Answer, error) {
			return failure(&catalog.Error{Code: catalog.Unavailable, Msg: "bank: is down", Execution: catalog.NotExecuted})
		}, 2, "is down"},
		{"outcome unknown", func(*bank) func() (*catalog.Answer, error) {
			return failure(&catalog.Error{Code: catalog.Timeout, Msg: "bank: no answer"})
		}, 1, `not known what became of it; it is not made again (outcome unknown)`},
		{"executed", func(*bank) func() (*catalog.Answer, error) {
			return failure(&catalog.Error{Code: catalog.TooLarge, Msg: "bank: too much", Execution: catalog.Executed})
		}, 1, `"execution":"outcome unknown"`},
		{"the caller went away", func(*bank) func() (*catalog.Answer, error) {
			return func() (*catalog.Answer, error) { return nil, context.Canceled }
		}, 1, "not made again"},
		{"sign-in first", func(*bank) func() (*catalog.Answer, error) {
			return failure(&catalog.Error{Code: catalog.NeedsLogin, Msg: "bank: sign in"})
		}, 2, "sign in"},
		{"a tool that fails", func(b *bank) func() (*catalog.Answer, error) {
			return func() (*catalog.Answer, error) { return b.says(`"result":{"content":[],"isError":true}`) }
		}, 1, `"isError":true`},
		{"an error of the server", func(b *bank) func() (*catalog.Answer, error) {
			return func() (*catalog.Answer, error) { return b.says(`"error":{"code":-32000,"message":"no funds"}`) }
		}, 1, "no funds"},
		{"a large answer", func(b *bank) func() (*catalog.Answer, error) {
			return func() (*catalog.Answer, error) {
				return b.says(`"result":{"content":[{"type":"text","text":"` + strings.Repeat("x", 1<<20) + `"}]}`)
			}
		}, 1, `its answer was withheld, or too large to keep`},
		{"a question of the server", func(b *bank) func() (*catalog.Answer, error) {
			return func() (*catalog.Answer, error) {
				return b.says(`"result":{"resultType":"input_required","inputRequests":{}}`)
			}
		}, 2, "input_required"},
		{"a question that goes on", func(b *bank) func() (*catalog.Answer, error) {
			return func() (*catalog.Answer, error) {
				return b.says(`"result":{"resultType":"input_required","inputRequests":{},"requestState":"s"}`)
			}
		}, 1, "is under way"},
		{"a panic", func(*bank) func() (*catalog.Answer, error) { return func() (*catalog.Answer, error) { panic("oh") } }, 1, "is under way"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBank(t)
			b.answer = tt.answer(b)
			b.call("pay", `{}`, keyed(`"a"`))
			b.want("again", b.call("pay", `{}`, keyed(`"a"`)), tt.made, tt.again)
		})
	}
}

// The answer to a question goes on with the call of its key, and what comes of that is kept.
func TestGoesOn(t *testing.T) {
	b := newBank(t)
	b.answer = func() (*catalog.Answer, error) {
		return b.says(`"result":{"resultType":"input_required","inputRequests":{},"requestState":"s"}`)
	}
	b.call("pay", `{}`, keyed(`"a"`))
	b.answer = nil
	b.want("with the answer", b.call("pay", `{}`, `,"requestState":"s","inputResponses":{}`+keyed(`"a"`)), 2, `"n":2`)
	b.want("again", b.call("pay", `{}`, keyed(`"a"`)), 2, `"n":2`, `"weir/repeated":true`)
}

// Of many that come at once, also at two gateways, one is made.
func TestOneOfMany(t *testing.T) {
	b := newBank(t)
	other := &bank{t: t, path: b.path, now: b.now, who: b.who}
	other.open()
	t.Cleanup(func() {
		other.gateway.Close()
		if err := other.store.Close(); err != nil {
			t.Error(err)
		}
	})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			got := []*bank{b, other}[i%2].call("pay", `{}`, keyed(`"a"`))
			if !strings.Contains(got, `"n":1`) && !strings.Contains(got, "is under way") {
				t.Error(got)
			}
		})
	}
	wg.Wait()
	if n := b.reached + other.reached; n != 1 {
		t.Errorf("%d calls reached the upstream", n)
	}
}

// Nobody knows what became of a call whose process died, and after a while that is said; without the file nothing with a key is called.
func TestDeadAndLost(t *testing.T) {
	b := newBank(t)
	b.answer = func() (*catalog.Answer, error) { panic("the process died") }
	b.call("pay", `{}`, keyed(`"a"`))
	b.answer = nil
	b.want("soon", b.call("pay", `{}`, keyed(`"a"`)), 1, "is under way", `"retryAfterMs":1000`)
	b.now = b.now.Add(11 * time.Minute)
	b.want("later", b.call("pay", `{}`, keyed(`"a"`)), 1, "not made again", `"execution":"outcome unknown"`)
	if err := b.store.db.Close(); err != nil {
		t.Fatal(err)
	}
	b.want("without the file", b.call("pay", `{}`, keyed(`"b"`)), 1, "calls with a key cannot be made now (not executed)")
	b.want("without a key", b.call("pay", `{}`, ""), 2, `"n":2`)
	if _, err := Open(t.Context(), Spec{Database: filepath.Join(b.path, "x")}); err == nil || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
