package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/catalog"
	"weir/policy"
	"weir/policy/guard"
)

// theSecret is none of anybody's. It is in two parts so that no scanner of this repository takes it for one that leaked.
const theSecret = "ghp_" + "8Kd02mZq7Vn5cA8f3k29dkW01mzQ7vn5cXy1"

// ended is what a record says of a request.
type ended struct {
	outcome, rule, request, answer string
	execution                      catalog.Execution
	findings                       []Finding
}

// recording keeps what the records of requests say.
type recording struct {
	Unobserved
	mu  sync.Mutex
	all []ended
}

func (r *recording) End(_ context.Context, e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := ended{outcome: e.Outcome, rule: e.Rule, execution: e.Execution, findings: e.Findings, request: string(e.Request.Data)}
	if e.Answer != nil {
		one.answer = string(e.Answer.Data)
	}
	r.all = append(r.all, one)
}

func (r *recording) last() ended {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[len(r.all)-1]
}

// guarded is a gateway with a guard, and what it records.
func guarded(t *testing.T, up upstreamFunc, change func(*guard.Spec)) (*Gateway, *recording) {
	t.Helper()
	spec := guard.Default()
	change(&spec)
	compiled, err := guard.New(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, seen := gateway(t, up), &recording{}
	g.guard, g.observer = &guard.Engine{}, seen
	g.guard.Swap(compiled)
	return g, seen
}

// T25: what each mode does with a secret in arguments and in a result: to the call, to the answer and to the record.
func TestT25_Modes(t *testing.T) {
	const redacted = "[redacted: github-token]"
	for _, way := range []string{"arguments", "result", "error"} {
		for _, mode := range []guard.Mode{guard.Off, guard.Flag, guard.Redact, guard.Block} {
			t.Run(way+"/"+string(mode), func(t *testing.T) {
				var reached []string
				g, seen := guarded(t, func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
					reached = append(reached, string(c.Message.Arguments.Of(c.Message.Data)))
					switch way {
					case "result":
						return answerOf(t, `{"content":[{"type":"text","text":"it is `+theSecret+`"}],"n":1e400}`), nil
					case "error":
						return catalog.NewAnswer(scan(t, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no `+theSecret+`"}}`), catalog.Legacy, nil), nil
					default:
						return answerOf(t, `{"content":[]}`), nil
					}
				}, func(s *guard.Spec) {
					s.Secrets.Arguments, s.Secrets.Results = mode, mode
				})
				arguments := `{"a":1}`
				if way == "arguments" {
					arguments = `{"a":1e400,"text":"use ` + theSecret + `"}`
				}
				reply := call(t.Context(), t, g, "other", `,"arguments":`+arguments, "")
				last := seen.last()
				passes, told := mode == guard.Off || mode == guard.Flag, mode != guard.Off
				if want := map[bool]int{true: 0, false: 1}[way == "arguments" && mode == guard.Block]; len(reached) != want {
					t.Fatalf("%d calls reached the upstream: %q", len(reached), reached)
				}
				if way == "arguments" {
					if len(reached) == 1 && (strings.Contains(reached[0], theSecret) != passes || strings.Contains(reached[0], redacted) == passes || !strings.Contains(reached[0], "1e400")) {
						t.Errorf("the upstream got %s", reached[0])
					}
				} else if strings.Contains(reply, theSecret) != passes || strings.Contains(reply, redacted) != (mode == guard.Redact) {
					t.Errorf("the caller got %s", reply)
				}
				if told && strings.Contains(last.request+last.answer, theSecret) || (len(last.findings) == 1) != told {
					t.Errorf("the record has %+v", last)
				}
				if told {
					where := map[string]string{"arguments": "arguments.text", "result": "result.content[0].text", "error": "error.message"}[way]
					if want := (Finding{"secrets", "github-token", where, mode}); last.findings[0] != want {
						t.Errorf("found %+v, want %+v", last.findings[0], want)
					}
				}
				if blocked := mode == guard.Block; blocked {
					execution := catalog.Executed
					if way == "arguments" {
						execution = catalog.NotExecuted
					}
					if last.outcome != "denied" || last.rule != secretsRule || last.execution != execution || strings.Contains(reply, theSecret) ||
						!strings.Contains(reply, "github-token") || !strings.Contains(reply, `"isError":true`) {
						t.Errorf("%+v: %s", last, reply)
					}
				} else if last.outcome == "denied" {
					t.Errorf("%+v", last)
				}
			})
		}
	}
}

// T25: what goes to and fro in the middle of a call has no secrets either: progress, a question and its answer, in both rounds of a call that is parked.
func TestT25_Between(t *testing.T) {
	for _, mode := range []guard.Mode{guard.Flag, guard.Redact, guard.Block} {
		var answered string
		g, _ := guarded(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
			c.Notify(catalog.Notification{Method: "notifications/progress", Params: []byte(`{"progressToken":"p","progress":1,"message":"` + theSecret + `"}`)})
			got, err := c.Ask(ctx, catalog.Request{Method: "elicitation/create", Params: []byte(`{"message":"is it ` + theSecret + `?","requestedSchema":{}}`)})
			answered = string(got)
			if err != nil {
				return nil, &catalog.Error{Code: catalog.Canceled, Msg: err.Error()}
			}
			return answerOf(t, `{"content":[]}`), nil
		}, func(s *guard.Spec) { s.Secrets.Arguments, s.Secrets.Results = mode, mode })
		first := call(t.Context(), t, g, "ask", "", `,"progressToken":"p"`)
		if strings.Contains(first, theSecret) != (mode == guard.Flag) || strings.Count(first, "[redacted: github-token]") != map[bool]int{true: 0, false: 2}[mode == guard.Flag] {
			t.Errorf("%s: %s", mode, first)
		}
		second := call(t.Context(), t, g, "ask", `,"inputResponses":{"q1":{"action":"accept","content":{"text":"`+theSecret+`"}}},"requestState":"`+state(t, first)+`"`, `,"progressToken":"p"`)
		switch {
		case mode == guard.Block && (!strings.Contains(second, "inputResponses.q1.content.text (github-token)") || answered != ""):
			t.Errorf("%s: %s, the upstream was answered %s", mode, second, answered)
		case mode == guard.Redact && (!strings.Contains(answered, "[redacted: github-token]") || strings.Contains(answered, theSecret)):
			t.Errorf("%s: the upstream was answered %s", mode, answered)
		case mode == guard.Flag && !strings.Contains(answered, theSecret):
			t.Errorf("%s: the upstream was answered %s", mode, answered)
		}
	}
}

// T24: a script that reads a secret, then a page, then sends: the last step is refused, and nothing of it reaches the upstream.
func TestT24_Script(t *testing.T) {
	var ledger []string
	g, seen := guarded(t, func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
		ledger = append(ledger, c.Target)
		return answerOf(t, `{"content":[]}`), nil
	}, func(s *guard.Spec) {
		s.Flows.Private, s.Flows.Untrusted, s.Flows.External = []string{"desk/read_secret", "desk/file:///**"}, []string{"desk/fetch_page"}, []string{"desk/send"}
	})
	source := &catalog.Source{Upstream: "desk", Capabilities: []byte(`{"tools":{},"resources":{}}`)}
	for _, name := range []string{"read_secret", "fetch_page", "send"} {
		source.Tools = append(source.Tools, fmt.Appendf(nil, `{"name":%q,"inputSchema":{"type":"object"}}`, name))
	}
	source.Resources = [][]byte{[]byte(`{"uri":"file:///diary","name":"diary"}`)}
	g.catalog.Publish(catalog.Build([]*catalog.Source{source}, catalog.Options{Naming: catalog.Bare}))
	who := map[string]policy.Principal{}
	for _, name := range []string{"ana", "bob"} {
		p, err := policy.Verified(policy.Identity{Issuer: "https://idp", Subject: name})
		if err != nil {
			t.Fatal(err)
		}
		who[name] = p
	}
	g.policy.Swap(everything(t))
	step := func(name, method, params, trace string) string {
		m := scan(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+`,`+askable+`,"traceparent":"00-`+trace+`-00f067aa0ba902b7-01"}}}`)
		client, refused := g.ModernClient(m)
		if refused != nil {
			t.Fatalf("%s", refused.AppendLine(nil))
		}
		reply := g.Serve(t.Context(), &Request{Principal: who[name], Client: client, Message: m})
		defer reply.Release()
		return string(reply.AppendLine(nil))
	}
	use := func(name, tool string) string {
		return step(name, "tools/call", `"name":"`+tool+`"`, strings.Repeat("a", 32))
	}
	use("ana", "read_secret")
	use("bob", "fetch_page")
	if got := use("ana", "send"); strings.Contains(got, "isError") {
		t.Errorf("before a page was read: %s", got)
	}
	use("ana", "fetch_page")
	got := use("ana", "send")
	var reply struct {
		Result struct {
			IsError bool
			Content []struct{ Text string }
		}
	}
	if err := json.Unmarshal([]byte(got), &reply); err != nil || !reply.Result.IsError ||
		!strings.Contains(reply.Result.Content[0].Text, "desk/send sends data out, and you have read private data (desk/read_secret) and content that others may have written (desk/fetch_page)") {
		t.Errorf("%v: %s", err, got)
	}
	if last := seen.last(); last.outcome != "denied" || last.rule != flowsRule || last.execution != catalog.NotExecuted || len(last.findings) != 1 ||
		last.findings[0].String() != "desk/read_secret and desk/fetch_page (block)" {
		t.Errorf("the record: %+v", last)
	}
	at, err := who["ana"].At("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if who["ana at a virtual server"] = at; !strings.Contains(use("ana at a virtual server", "send"), "sends data out") {
		t.Error("another way to the same tools forgets what was read")
	}
	if got := use("bob", "send"); strings.Contains(got, "isError") {
		t.Errorf("bob read nothing private: %s", got)
	}
	step("bob", "resources/read", `"uri":"file:///diary"`, strings.Repeat("b", 32))
	if got := use("bob", "send"); !strings.Contains(got, "private data (desk/file:///diary)") {
		t.Errorf("after bob read a resource: %s", got)
	}
	if got := strings.Join(ledger, " "); got != "read_secret fetch_page send fetch_page send file:///diary" {
		t.Errorf("the upstream saw %s", got)
	}
}

// everything is a policy that allows everything to everybody.
func everything(t *testing.T) *policy.Policy {
	t.Helper()
	p, err := policy.Compile(policy.Spec{Grants: map[string][]string{"*": {"*"}}}, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// flowsOfOld are the flows of the upstream that the gateways of tests have.
func flowsOfOld(s *guard.Spec) {
	s.Flows.Private, s.Flows.Untrusted, s.Flows.External = []string{"old/file:///**"}, []string{"old/other"}, []string{"old/ask"}
}

// T24: a resource that is read for the call of a tool which sends counts as sent.
func TestT24_ReadToBeSent(t *testing.T) {
	var sent []string
	g, _ := guarded(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		if c.Method == "resources/read" {
			return answerOf(t, `{"contents":[{"uri":"file:///diary","text":"dear diary"}]}`), nil
		}
		if c.Target == "other" {
			return answerOf(t, `{"content":[]}`), nil
		}
		content, err := c.Reader.ReadResource(ctx, "file:///diary")
		if err != nil {
			return nil, &catalog.Error{Code: catalog.Denied, Msg: err.Error()}
		}
		sent = append(sent, string(content.Data))
		return answerOf(t, `{"content":[]}`), nil
	}, flowsOfOld)
	g.catalog.Publish(catalog.Build([]*catalog.Source{{
		Upstream: "old", Capabilities: []byte(`{"tools":{},"resources":{}}`), Resources: [][]byte{[]byte(`{"uri":"file:///diary","name":"diary"}`)},
		Tools: [][]byte{[]byte(`{"name":"ask","inputSchema":{"type":"object"}}`), []byte(`{"name":"other","inputSchema":{"type":"object"}}`)},
	}}, catalog.Options{Naming: catalog.Bare}))
	if got := call(t.Context(), t, g, "ask", "", ""); len(sent) != 1 {
		t.Fatalf("with nothing untrusted: %s", got)
	}
	now := time.Now()
	compiled := g.guard.Guard()
	g.guard = &guard.Engine{} // that does not know of it
	g.guard.Swap(compiled)
	g.guard.Enter(guard.Use{Caller: policy.LocalUser().Agent(), Ref: catalog.Ref{Upstream: "old", Name: "other"}, Now: now})
	got := call(t.Context(), t, g, "ask", "", "")
	if len(sent) != 1 || !strings.Contains(got, "old/ask sends data out") {
		t.Errorf("%q was sent: %s", sent, got)
	}
	spec := guard.Default()
	flowsOfOld(&spec)
	spec.Flows.Per = "trace"
	compiled, err := guard.New(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	g.guard = &guard.Engine{}
	g.guard.Swap(compiled)
	trace := `,"traceparent":"00-` + strings.Repeat("c", 32) + `-00f067aa0ba902b7-01"`
	call(t.Context(), t, g, "other", "", trace)
	if got := call(t.Context(), t, g, "ask", "", trace); len(sent) > 1 || !strings.Contains(got, "old/ask sends data out") {
		t.Errorf("within a trace, %q was sent: %s", sent, got)
	}
}

// T25: an answer that was withheld is not given to whoever calls again with the same key, and the call is not made again.
func TestT25_WithheldOnce(t *testing.T) {
	calls := 0
	g, _ := guarded(t, func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		calls++
		return answerOf(t, `{"content":[{"type":"text","text":"`+theSecret+`"}]}`), nil
	}, func(s *guard.Spec) { s.Secrets.Results = guard.Block })
	g.once = &onceInMemory{calls: map[Digest]*Earlier{}}
	for range 2 {
		got := call(t.Context(), t, g, "other", "", `,"`+OnceKey+`":"a"`)
		if strings.Contains(got, theSecret) || !strings.Contains(got, `"execution":"executed"`) || strings.Contains(got, "[redacted") {
			t.Error(got)
		}
	}
	if calls != 1 {
		t.Errorf("%d calls reached the upstream", calls)
	}
}

// redacting is a guard that redacts both ways.
func redacting(t *testing.T) *guard.Engine {
	t.Helper()
	s := guard.Default()
	s.Secrets.Arguments, s.Secrets.Results, s.Secrets.Except = guard.Redact, guard.Redact, []string{"vault/*"}
	compiled, err := guard.New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &guard.Engine{}
	e.Swap(compiled)
	return e
}

// T25: what a server asks between the calls of its client has no secrets, nor has the answer, unless it is one whose business they are.
func TestT25_OutsideACall(t *testing.T) {
	g := gateway(t, nil)
	g.guard = redacting(t)
	for upstream, passes := range map[string]bool{"up": false, "vault": true} {
		s, o := g.NewSession(policy.LocalUser(), catalog.Client{Era: catalog.Legacy, Capabilities: []byte(`{"sampling":{}}`)}), NewOutlet()
		detach := s.Attach(o)
		got := make(chan string, 1)
		go func() {
			answer, err := s.AskOutside(t.Context(), catalog.Request{Method: "sampling/createMessage", Params: []byte(`{"text":"` + theSecret + `"}`), Upstream: upstream})
			got <- fmt.Sprint(string(answer), err)
		}()
		select {
		case <-o.Wake():
		case early := <-got:
			t.Fatalf("%s: not asked: %s", upstream, early)
		}
		asked := strings.Join(texts(o), "")
		s.Answer(scan(t, `{"jsonrpc":"2.0","id":"weir-1","result":{"content":"`+theSecret+`"}}`))
		if answer := <-got; strings.Contains(asked, theSecret) != passes || strings.Contains(answer, theSecret) != passes || strings.Contains(asked+answer, "[redacted: github-token]") == passes {
			t.Errorf("%s: asked %s, answered %s", upstream, asked, answer)
		}
		detach()
	}
}

// T25: what a task came to has no secrets when it is told of, nor when it is asked for.
func TestT25_Tasks(t *testing.T) {
	g := tasked(t, everyone())
	g.guard, g.watching = redacting(t), new(told)
	ana := person(t, "ana", "staff")
	id := taskIDOf(t, g.send(t, ana, withTasks, "tools/call", `{"name":"a__slow"}`))
	l, err := ReadListen(scan(t, `{"jsonrpc":"2.0","id":"L","method":"subscriptions/listen","params":{"notifications":{"taskIds":["`+id+`"]},"_meta":{"io.modelcontextprotocol/clientCapabilities":`+withTasks+`}}}`))
	if err != nil {
		t.Fatal(err)
	}
	o := NewOutlet()
	_, stop := g.Open(t.Context(), listening(t, ana, `"L"`), l, o)
	defer stop()
	texts(o)
	g.Updated("a", catalog.Topic{Task: true, ID: "7"}, []byte(`{"taskId":"7","status":"completed","result":{"content":[{"type":"text","text":"`+theSecret+`"}]}}`))
	if got := strings.Join(texts(o), ""); strings.Contains(got, theSecret) || !strings.Contains(got, `"text":"[redacted: github-token]"`) || !strings.Contains(got, `"taskId":"`+id+`"`) {
		t.Errorf("told %s", got)
	}
	behind, sent := g.upstream, ""
	g.upstream = upstreamFunc(func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		sent = string(c.Message.Data)
		return behind.Call(ctx, c)
	})
	g.send(t, ana, withTasks, "tasks/update", `{"taskId":"`+id+`","inputResponses":{"q":{"content":"`+theSecret+`"}}}`)
	if !strings.Contains(sent, `{"q":{"content":"[redacted: github-token]"}}`) || strings.Contains(sent, theSecret) {
		t.Errorf("the upstream got %s", sent)
	}
}
