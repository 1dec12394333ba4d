package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/upstream/upstreamtest"
)

func TestDeadlinesOfTools(t *testing.T) {
	t.Parallel()
	d := newDeadlines("up", &Spec{URL: "http://x", IdleTimeout: time.Second, API: translate.Spec{Tools: map[string]translate.Tool{
		"*":         {Timeout: 20 * time.Second},
		"slow_*":    {Timeout: time.Hour, IdleTimeout: time.Minute},
		"slow_pi?":  {Timeout: 2 * time.Hour},
		"slow_pig":  {IdleTimeout: 3 * time.Minute},
		"described": {Description: "nothing about time"},
	}}})
	for _, tc := range []struct {
		kind        catalog.Kind
		name        string
		whole, idle string
	}{
		{catalog.Tool, "x", `20s tools."*".timeout`, `1s idleTimeout`},
		{catalog.Tool, "described", `20s tools."*".timeout`, `1s idleTimeout`},
		{catalog.Tool, "slow_cow", `1h0m0s tools."slow_*".timeout`, `1m0s tools."slow_*".idleTimeout`},
		{catalog.Tool, "slow_pie", `2h0m0s tools."slow_pi?".timeout`, `1m0s tools."slow_*".idleTimeout`},
		{catalog.Tool, "slow_pig", `2h0m0s tools."slow_pi?".timeout`, `3m0s tools."slow_pig".idleTimeout`},
		{catalog.Prompt, "slow_pig", `5m0s timeout`, `1s idleTimeout`},
	} {
		whole, idle := d.of(&catalog.Call{Entry: &catalog.Entry{Kind: tc.kind, Ref: catalog.Ref{Upstream: "up", Name: tc.name}}})
		show := func(x deadline) string { return fmt.Sprint(x.limit, " ", x.key) }
		if diff := cmp.Diff([]string{tc.whole, tc.idle}, []string{show(whole), show(idle)}); diff != "" {
			t.Errorf("%s %s:\n%s", tc.kind, tc.name, diff)
		}
	}
	api := newDeadlines("api", &Spec{Timeout: time.Second, API: translate.Spec{Tools: map[string]translate.Tool{"GET /x": {Timeout: time.Hour}}}})
	if len(api.tools) != 0 || api.whole.limit != time.Hour {
		t.Errorf("an API is bound by %v, with %d of its own tools", api.whole.limit, len(api.tools))
	}
}

// TestClock runs calls in virtual time: when they end, and for which reason.
func TestClock(t *testing.T) {
	ask := func(d time.Duration) func(*clock) {
		return func(c *clock) {
			_, _ = c.call.Ask(c.ctx, catalog.Request{Method: d.String()})
		}
	}
	wait := func(d time.Duration) func(*clock) {
		return func(c *clock) {
			select {
			case <-time.After(d):
			case <-c.ctx.Done():
			}
		}
	}
	alive := func(c *clock) { c.call.Alive() }
	both := func(c *clock) { // two questions at a time, answered one after the other
		done := make(chan struct{})
		go func() { ask(time.Hour)(c); close(done) }()
		ask(2 * time.Hour)(c)
		<-done
	}
	for _, tc := range []struct {
		name string
		spec Spec
		line []func(*clock)
		ends time.Duration
		want string
	}{
		{"in time", Spec{Timeout: time.Minute}, []func(*clock){wait(59 * time.Second)}, 59 * time.Second, ""},
		{"too long", Spec{Timeout: time.Minute}, []func(*clock){wait(time.Hour)}, time.Minute, "up: no answer within 1m0s / raise timeout of up"},
		{"the user's time does not count", Spec{Timeout: time.Minute}, []func(*clock){wait(30 * time.Second), ask(time.Hour), wait(29 * time.Second)}, time.Hour + 59*time.Second, ""},
		{
			"what was used before counts",
			Spec{Timeout: time.Minute},
			[]func(*clock){wait(30 * time.Second), ask(time.Hour), wait(time.Hour)},
			time.Hour + time.Minute, "up: no answer within 1m0s / raise timeout of up",
		},
		{
			"two questions",
			Spec{Timeout: time.Minute, IdleTimeout: time.Minute},
			[]func(*clock){both, wait(time.Hour)},
			2*time.Hour + time.Minute, "up: no answer within 1m0s / raise timeout of up",
		},
		{
			"silence",
			Spec{Timeout: time.Hour, IdleTimeout: time.Minute},
			[]func(*clock){wait(50 * time.Second), alive, wait(time.Hour)},
			110 * time.Second, "up: no answer and no sign of life within 1m0s / raise idleTimeout of up",
		},
		{
			"a question is a sign of life",
			Spec{Timeout: time.Hour, IdleTimeout: time.Minute},
			[]func(*clock){wait(50 * time.Second), ask(time.Hour), wait(59 * time.Second)},
			time.Hour + 109*time.Second, "",
		},
		{
			"signs of life do not move the bound of all",
			Spec{Timeout: 2 * time.Minute, IdleTimeout: time.Minute},
			[]func(*clock){wait(50 * time.Second), alive, wait(50 * time.Second), alive, wait(time.Hour)},
			2 * time.Minute, "up: no answer within 2m0s / raise timeout of up",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tc.spec.URL = "http://x"
				begin := time.Now()
				c := startClock(t.Context(), newDeadlines("up", &tc.spec), &catalog.Call{
					Entry: &catalog.Entry{Kind: catalog.Tool},
					Ask: func(_ context.Context, r catalog.Request) ([]byte, error) {
						d, err := time.ParseDuration(r.Method)
						time.Sleep(d)
						return nil, err
					},
				})
				for _, step := range tc.line {
					step(c)
				}
				got := ""
				if e, ok := errors.AsType[*catalog.Error](context.Cause(c.ctx)); ok {
					got = e.Msg + " / " + e.Hint
				}
				if took := time.Since(begin); took != tc.ends || got != tc.want {
					t.Errorf("ended after %v: %q\nwant %v: %q", took, got, tc.ends, tc.want)
				}
				c.stop()
				time.Sleep(3 * time.Hour) // nothing rings any more
			})
		})
	}
}

// callAs calls a tool as a client of an era, with or without somebody to ask.
func callAs(t *testing.T, s *Set, name string, ask func(context.Context, catalog.Request) ([]byte, error)) (*catalog.Answer, error) {
	t.Helper()
	e, err := s.o.Catalog.Snapshot().Resolve(catalog.Tool, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	var m rawjson.Message
	if err := rawjson.Scan(&m, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q}}`, name)); err != nil {
		t.Fatal(err)
	}
	client := &catalog.Client{Era: catalog.Legacy, Version: "2025-11-25", Capabilities: []byte(`{}`), Session: "s"}
	if ask != nil {
		client.Capabilities = []byte(`{"elicitation":{}}`)
	}
	return s.Call(t.Context(), &catalog.Call{Method: "tools/call", Entry: e, Target: e.Ref.Name, Message: &m, Client: client, Ask: ask})
}

// TestDeadlines at real servers: progress keeps a call alive that never asked for it, people may take their time, and what is exceeded is cancelled once.
func TestDeadlines(t *testing.T) {
	const idle = 800 * time.Millisecond
	script := []upstreamtest.Act{
		{On: "talks", Progress: 6, Gap: upstreamtest.Duration(idle / 4)},
		{On: "asks", Ask: []upstreamtest.Ask{{Method: "elicitation/create", Params: `{"message":"?","requestedSchema":{"type":"object","properties":{}}}`}}},
		{On: "mute", Fault: upstreamtest.Hang},
		{On: "slow", Progress: 1000, Gap: upstreamtest.Duration(idle / 10)},
	}
	tools := []upstreamtest.Raw{tool("talks"), tool("asks"), tool("mute"), tool("slow"), tool("echo")}
	for _, era := range []upstreamtest.Era{upstreamtest.Legacy, upstreamtest.Modern} {
		for _, stdio := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stdio %t", era, stdio), func(t *testing.T) {
				t.Parallel()
				spec := Spec{IdleTimeout: idle, API: translate.Spec{Tools: map[string]translate.Tool{"slow": {Timeout: idle / 2}}}}
				cfg := upstreamtest.Config{Era: era, Tools: tools, Script: script}
				var up *upstreamtest.Server
				if stdio {
					up = upstreamtest.Stdio(t, cfg)
					spec.Command, spec.Args = up.Command, up.Args
				} else {
					up = upstreamtest.New(t, cfg)
					spec.URL = up.URL
				}
				s := run(t, Options{Namespace: space(map[string]Spec{"up": spec})})
				settle(t, s)
				patient := func(ctx context.Context, _ catalog.Request) ([]byte, error) {
					select {
					case <-time.After(idle + idle/2):
					case <-ctx.Done():
					}
					return []byte(`{"action":"accept","content":{}}`), ctx.Err()
				}
				for name, ask := range map[string]func(context.Context, catalog.Request) ([]byte, error){"up__talks": nil, "up__asks": patient} {
					a, err := callAs(t, s, name, ask)
					if err != nil || a.Message.Kind != rawjson.Result {
						t.Fatalf("%s: %v", name, err)
					}
					a.Release()
				}
				for name, want := range map[string]string{
					"up__mute": "up: no answer and no sign of life within 800ms / raise idleTimeout of up / outcome unknown",
					"up__slow": `up: no answer within 400ms / raise tools."slow".timeout of up / outcome unknown`,
				} {
					_, err := callAs(t, s, name, nil)
					e, ok := errors.AsType[*catalog.Error](err)
					if !ok || e.Code != catalog.Timeout || strings.Join([]string{e.Msg, e.Hint, e.Execution.String()}, " / ") != want {
						t.Errorf("%s: %#v", name, err)
					}
				}
				if n := up.Ledger().Count("tools/call"); n < 4 || n > 5 { // a modern server is called once more with the answer
					t.Errorf("%d calls arrived", n)
				}
				if stdio || era == upstreamtest.Legacy {
					up.Ledger().Wait(t, "notifications/cancelled", 2)
					mustAnswer(t, s)
					if n := up.Ledger().Count("notifications/cancelled"); n != 2 {
						t.Errorf("%d cancellations", n)
					}
				}
			})
		}
	}
}

// mustAnswer makes a call that is answered, so that everything sent before has arrived.
func mustAnswer(t *testing.T, s *Set) {
	t.Helper()
	a, err := callAs(t, s, "up__echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Release()
}
