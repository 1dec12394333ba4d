package server

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/policy"
)

// ruled is a gateway over two upstreams with a policy, and what reached the upstreams.
type ruled struct {
	*Gateway
	engine  *policy.Engine
	mu      sync.Mutex
	reached []string
	events  []Event
}

func newRuled(t *testing.T, spec policy.Spec) *ruled {
	t.Helper()
	p, err := policy.Compile(spec, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := &ruled{}
	if g.engine, err = policy.New(); err != nil {
		t.Fatal(err)
	}
	g.engine.Swap(p)
	c := catalog.New()
	raw := func(items ...string) [][]byte {
		var out [][]byte
		for _, s := range items {
			out = append(out, []byte(s))
		}
		return out
	}
	tool := func(name string) string { return `{"name":"` + name + `","inputSchema":{"type":"object"}}` }
	c.Publish(catalog.Build([]*catalog.Source{
		{
			Upstream: "bank", Capabilities: []byte(`{"tools":{},"prompts":{},"resources":{"subscribe":true},"completions":{}}`),
			Tools: raw(tool("balance"), tool("transfer"), tool("close"), tool("audit")), Prompts: raw(`{"name":"advice"}`),
			Resources: raw(`{"name":"a","uri":"bank://open/a"}`), Templates: raw(`{"name":"t","uriTemplate":"bank://{area}/{id}"}`),
		},
		{Upstream: "other", Capabilities: []byte(`{"tools":{}}`), Tools: raw(tool("balance"))},
	}, catalog.Options{}))
	g.Gateway = New(Options{
		Catalog: c, Policy: g.engine, Log: slog.New(slog.DiscardHandler), Subscriber: &told{},
		Upstream: upstreamFunc(func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
			g.mu.Lock()
			g.reached = append(g.reached, c.Entry.Ref.Upstream+" "+c.Method+" "+c.Target)
			g.mu.Unlock()
			return answerOf(t, `{"content":[],"contents":[],"messages":[],"completion":{"values":[]}}`), nil
		}),
		Observer: observed(func(e *Event) { g.events = append(g.events, *e) }),
	})
	t.Cleanup(g.Close)
	return g
}

// observed is an Observer of ends.
type observed func(*Event)

func (observed) Begin(ctx context.Context, _ *Event) context.Context { return ctx }
func (observed) Intent(context.Context, *Event) error                { return nil }
func (o observed) End(_ context.Context, e *Event)                   { o(e) }

func (g *ruled) ask(t *testing.T, who policy.Principal, era catalog.Era, method, params string) string {
	t.Helper()
	c := &catalog.Client{Era: era, Capabilities: emptyObject}
	if era == catalog.Modern {
		c.Version = modernVersion
	}
	reply := g.Serve(t.Context(), &Request{
		Principal: who, Client: c, Address: netip.MustParseAddr("192.0.2.7"),
		Message: scan(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`),
	})
	defer reply.Release()
	return string(reply.AppendLine(nil))
}

func person(t *testing.T, name string, groups ...string) policy.Principal {
	t.Helper()
	p, err := policy.Verified(policy.Identity{Issuer: "https://id.example", Subject: name, Groups: groups})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bankPolicy() policy.Spec {
	return policy.Spec{
		Roles:      map[string][]string{"teller": {"bank/balance", "bank/transfer when small", "get,complete bank/advice", "bank/bank://**", "bank/bank://{area}/{id}"}},
		Grants:     map[string][]string{"group:staff": {"teller", "bank/close", "bank/audit"}, "group:guests": {"bank/balance"}},
		Conditions: map[string]string{"small": "args.amount <= 100"},
		Deny: []policy.Deny{
			{Match: "bank/close", Reason: "accounts are closed by the branch", Instead: "bank/transfer"},
			{Match: "bank/audit"},
			{Match: "bank/bank://vault/**"},
		},
	}
}

// TestPolicyAtTheGateway: what each caller is answered, and what reached the upstream.
func TestPolicyAtTheGateway(t *testing.T) {
	staff, guest, nobody := person(t, "ana", "staff"), person(t, "gus", "guests"), policy.Principal{}
	for _, tt := range []struct {
		name, method, params string
		who                  policy.Principal
		want                 []string // parts of the answer
		reached              string   // "" for nothing
		rule                 string
		outcome              string
	}{
		{"allowed", "tools/call", `{"name":"bank__balance"}`, staff, []string{`"content":[]`}, "bank tools/call balance", "roles.teller[0]", "ok"},
		{"by its bare name, the only one visible", "tools/call", `{"name":"balance"}`, guest, []string{`"content":[]`}, "bank tools/call balance", "grants.group:guests[0]", "ok"},
		{"condition holds", "tools/call", `{"name":"bank__transfer","arguments":{"amount":7}}`, staff, []string{`"content":[]`}, "bank tools/call transfer", "roles.teller[1]", "ok"},
		{
			"condition fails", "tools/call", `{"name":"bank__transfer","arguments":{"amount":700}}`, staff,
			[]string{`"isError":true`, `"code":"denied"`, "Denied: bank/transfer is not allowed for you (rule roles.teller[1]: allowed only when small)."},
			"", "roles.teller[1]", "denied",
		},
		{"condition without an answer", "tools/call", `{"name":"bank__transfer","arguments":{"amount":"7"}}`, staff, []string{`"isError":true`, `"code":"denied"`}, "", "roles.teller[1]", "denied"},
		{
			"deny that teaches", "tools/call", `{"name":"bank__close"}`, staff,
			[]string{`"isError":true`, `Denied: bank/close is not allowed for you (rule deny[0]: accounts are closed by the branch).\nUse bank__transfer.`},
			"", "deny[0]", "denied",
		},
		{"silent deny", "tools/call", `{"name":"bank__audit"}`, staff, []string{`"error":{"code":-32602,"message":"unknown tool \"bank__audit\""`}, "", "deny[1]", "not_found"},
		{"not granted", "tools/call", `{"name":"bank__transfer"}`, guest, []string{`"message":"unknown tool \"bank__transfer\""`}, "", "default deny", "not_found"},
		{"another's deny does not teach", "tools/call", `{"name":"bank__close"}`, guest, []string{`"message":"unknown tool \"bank__close\""`}, "", "deny[0]", "not_found"},
		{"nobody", "tools/call", `{"name":"bank__balance"}`, nobody, []string{`"message":"unknown tool \"bank__balance\""`}, "", "default deny", "not_found"},
		{"nothing of that name", "tools/call", `{"name":"bank__rob"}`, staff, []string{`"error":{"code":-32602,"message":"unknown tool \"bank__rob\""`}, "", "", "not_found"},
		{"prompt", "prompts/get", `{"name":"bank__advice"}`, staff, []string{`"messages":[]`}, "bank prompts/get advice", "roles.teller[2]", "ok"},
		{"prompt of another", "prompts/get", `{"name":"bank__advice"}`, guest, []string{`unknown prompt`}, "", "default deny", "not_found"},
		{"completion", "completion/complete", `{"ref":{"type":"ref/prompt","name":"bank__advice"},"argument":{"name":"a","value":""}}`, staff, []string{`"values":[]`}, "bank completion/complete advice", "roles.teller[2]", "ok"},
		{"resource", "resources/read", `{"uri":"bank://open/a"}`, staff, []string{`"contents":[]`}, "bank resources/read bank://open/a", "roles.teller[3]", "ok"},
		{"template", "resources/read", `{"uri":"bank://open/b"}`, staff, []string{`"contents":[]`}, "bank resources/read bank://open/b", "roles.teller[3]", "ok"},
		{"template's target denied", "resources/read", `{"uri":"bank://vault/b"}`, staff, []string{`"error"`}, "", "deny[2]", "denied"},
		{"target in another form", "resources/read", `{"uri":"bank://open/../vault"}`, staff, []string{`"error"`}, "", "normal form", "not_found"},
	} {
		for _, era := range []catalog.Era{catalog.Legacy, catalog.Modern} {
			t.Run(tt.name+"/"+era.String(), func(t *testing.T) {
				g := newRuled(t, bankPolicy())
				got := g.ask(t, tt.who, era, tt.method, tt.params)
				for _, part := range tt.want {
					if !strings.Contains(got, part) {
						t.Errorf("answer lacks %s\n%s", part, got)
					}
				}
				var want []string
				if tt.reached != "" {
					want = []string{tt.reached}
				}
				if diff := cmp.Diff(want, g.reached); diff != "" {
					t.Error("reached the upstream (-want +got):", diff)
				}
				if e := g.events[0]; e.Rule != tt.rule || e.Outcome != tt.outcome {
					t.Errorf("recorded rule %q, outcome %q; want %q, %q", e.Rule, e.Outcome, tt.rule, tt.outcome)
				}
			})
		}
	}
}

// TestHiddenIsRecorded: who may not hear of a tool is told that there is none, to the byte; the record says which it was, and why.
func TestHiddenIsRecorded(t *testing.T) {
	for _, era := range []catalog.Era{catalog.Legacy, catalog.Modern} {
		g := newRuled(t, bankPolicy())
		guest := person(t, "gus", "guests")
		hidden := g.ask(t, guest, era, "tools/call", `{"name":"bank__audit"}`)
		absent := g.ask(t, guest, era, "tools/call", `{"name":"bank__audix"}`)
		if diff := cmp.Diff(strings.ReplaceAll(absent, "audix", "audit"), hidden); diff != "" {
			t.Errorf("%s: the answers tell them apart (-absent +hidden):\n%s", era, diff)
		}
		type said struct{ Ref, Rule, Execution string }
		var got []said
		for _, e := range g.events {
			got = append(got, said{e.Ref.String(), e.Rule, e.Execution.String()})
		}
		want := []said{{"bank/audit", "deny[1]", "not executed"}, {catalog.Ref{}.String(), "", "outcome unknown"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: recorded (-want +got):\n%s", era, diff)
		}
	}
}

// TestListedIsCallable: a list shows what may be called at least with some arguments, and nothing else.
func TestListedIsCallable(t *testing.T) {
	g := newRuled(t, bankPolicy())
	for who, want := range map[string][]string{"staff": {"bank__balance", "bank__transfer"}, "guests": {"bank__balance"}, "none": nil} {
		list := g.ask(t, person(t, "x", who), catalog.Modern, "tools/list", `{}`)
		for _, name := range []string{"bank__audit", "bank__balance", "bank__close", "bank__transfer", "other__balance"} {
			if listed := strings.Contains(list, `"`+name+`"`); listed != slices.Contains(want, name) {
				t.Errorf("%s: %s listed: %v", who, name, listed)
			}
		}
	}
}
