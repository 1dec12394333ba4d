package server

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/policy"
)

// limited is a Memory of 100 MiB of which used says how much is in use.
func limited(used *atomic.Int64) *Memory {
	return &Memory{short: 85 << 20, measure: used.Load}
}

func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used atomic.Int64
		m := limited(&used)
		check := func(when string, want bool) {
			t.Helper()
			time.Sleep(looked + 1)
			if got := m.Short(); got != want {
				t.Errorf("%s: short is %t", when, got)
			}
		}
		check("empty", false)
		used.Store(85<<20 - 1)
		check("below the mark", false)
		used.Store(85 << 20)
		check("at the mark", true)
		used.Store(10 << 20)
		if !m.Short() {
			t.Error("it looked again at once")
		}
		check("after a collection", false)

		var held []func()
		for {
			release, ok := m.Hold(4 << 20)
			if !ok {
				break
			}
			held = append(held, release)
		}
		if len(held) != 4 { // 5 would be 50 MiB, with what is in use besides
			t.Errorf("%d calls of 4 MiB were begun", len(held))
		}
		if release, ok := m.Take(40 << 20); !ok {
			t.Error("no answer is taken")
		} else {
			release()
		}
		if _, ok := m.Take(44 << 20); ok {
			t.Error("an answer of any size is taken")
		}
		if _, ok := m.Hold(LargeMessage - 1); !ok {
			t.Error("a small message was refused")
		}
		check("much is held, but not all that may be", false)
		for _, release := range held {
			release()
		}
		if release, ok := m.Hold(4 << 20); !ok {
			t.Error("nothing was given back")
		} else {
			release()
		}
	})
	var none *Memory
	if release, ok := none.Hold(1 << 40); none.Short() || !ok {
		t.Error("no limit is a limit")
	} else {
		release()
	}
}

// The runtime's numbers add up to something like what the process needs.
func TestInUse(t *testing.T) {
	if n := inUse(); n < 1<<20 || n > 1<<32 {
		t.Errorf("%d bytes are in use", n)
	}
}

// A gateway that is short of memory refuses calls, and nothing else.
func TestR33_ShortOfMemory(t *testing.T) {
	var used atomic.Int64
	used.Store(90 << 20)
	g := newRuled(t, policy.Spec{Grants: map[string][]string{"group:staff": {"bank/*", "bank/bank://**"}}})
	g.memory = limited(&used)
	calls := 0
	g.upstream = upstreamFunc(func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		calls++
		return catalog.NewAnswer(scan(t, `{"jsonrpc":"2.0","id":7,"result":{}}`), catalog.Modern, nil), nil
	})
	serve := func(method, params string) (int, string) {
		reply := g.Serve(t.Context(), &Request{
			Principal: person(t, "ana", "staff"), Client: &catalog.Client{Era: catalog.Modern, Capabilities: []byte(`{}`)},
			Message: scan(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`),
		})
		defer reply.Release()
		return reply.Status, string(reply.AppendLine(nil))
	}
	for method, params := range map[string]string{
		"tools/call": `{"name":"bank__balance"}`, "prompts/get": `{"name":"bank__advice"}`, "resources/read": `{"uri":"bank://open/a"}`,
	} {
		if status, text := serve(method, params); status != 503 || !strings.Contains(text, `"id":1`) || !strings.Contains(text, "-32014") || !strings.Contains(text, "not executed") {
			t.Errorf("%s: %d %s", method, status, text)
		}
	}
	if status, text := serve("tools/list", `{}`); status != 200 || !strings.Contains(text, "bank__balance") {
		t.Errorf("tools/list: %d %s", status, text)
	}
	if calls != 0 {
		t.Errorf("%d calls went upstream", calls)
	}
	used.Store(1 << 20)
	time.Sleep(2 * looked)
	if status, text := serve("tools/call", `{"name":"bank__balance"}`); status != 200 || calls != 1 {
		t.Errorf("with memory again: %d %s", status, text)
	}
}
