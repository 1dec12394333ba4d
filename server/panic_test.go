package server

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"weir/catalog"
	"weir/policy"
)

// ownFunc is the gateway's own tools, as one function.
type ownFunc func() (*catalog.Answer, error)

func (f ownFunc) Call(context.Context, Caller, *catalog.Call) (*catalog.Answer, error) { return f() }

// What panics on the way of a request, behind whatever step of the line, ends that request alone: with status 500, its id, and the name of the fault that the
// log has too; the record says so.
func TestR28_PanicEndsOneRequest(t *testing.T) {
	source := func(upstream string, legacy bool) *catalog.Source {
		return &catalog.Source{
			Upstream: upstream, Legacy: legacy, Capabilities: []byte(`{"tools":{},"prompts":{}}`),
			Tools: [][]byte{[]byte(`{"name":"balance","inputSchema":{"type":"object"}}`)}, Prompts: [][]byte{[]byte(`{"name":"advice"}`)},
		}
	}
	modern, legacy := &catalog.Client{Era: catalog.Modern, Capabilities: []byte(`{}`)}, &catalog.Client{Era: catalog.Legacy, Capabilities: []byte(`{}`)}
	asked := &catalog.Client{Era: catalog.Modern, Capabilities: []byte(`{"elicitation":{}}`)}
	for _, tt := range []struct {
		name, method, params string
		client               *catalog.Client
		source               *catalog.Source
	}{
		{"a backend", "tools/call", `{"name":"bank__balance"}`, modern, source("bank", false)},
		{"a backend, for a legacy client", "tools/call", `{"name":"bank__balance"}`, legacy, source("bank", false)},
		{"a prompt", "prompts/get", `{"name":"bank__advice"}`, modern, source("bank", false)},
		{"a call that crosses eras", "tools/call", `{"name":"bank__balance"}`, modern, source("bank", true)},
		{"a call that may be parked", "tools/call", `{"name":"bank__balance"}`, asked, source("bank", true)},
		{"an own tool", "tools/call", `{"name":"weir__balance"}`, modern, source(OwnUpstream, false)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRuled(t, policy.Spec{Grants: map[string][]string{"group:staff": {"bank/*", "weir/*"}}})
			g.catalog.Publish(catalog.Build([]*catalog.Source{tt.source}, catalog.Options{Naming: catalog.Prefix}))
			var log bytes.Buffer
			g.log = slog.New(slog.NewTextHandler(&log, nil))
			g.upstream = upstreamFunc(func(context.Context, *catalog.Call) (*catalog.Answer, error) { panic("boom: card 4711") })
			g.own = ownFunc(func() (*catalog.Answer, error) { panic("boom: card 4711") })
			reply := g.Serve(t.Context(), &Request{
				Principal: person(t, "ana", "staff"), Client: tt.client, Message: scan(t, `{"jsonrpc":"2.0","id":"i7","method":"`+tt.method+`","params":`+tt.params+`}`),
			})
			defer reply.Release()
			text := string(reply.AppendLine(nil))
			_, fault, _ := strings.Cut(text, "(fault ")
			fault, _, _ = strings.Cut(fault, " ")
			if reply.Status != 500 || !strings.Contains(text, `"id":"i7"`) || !strings.Contains(text, "-32603") || len(fault) != 8 || strings.Contains(text, "4711") {
				t.Errorf("%d %s", reply.Status, text)
			}
			if !strings.Contains(log.String(), "fault="+fault) || !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "panic_test.go") {
				t.Errorf("the log has no %s: %s", fault, &log)
			}
			if len(g.events) != 1 || g.events[0].Outcome != "panic" || !strings.Contains(g.events[0].Reason, fault) {
				t.Errorf("recorded: %+v", g.events)
			}
			if text := g.ask(t, person(t, "ana", "staff"), catalog.Modern, "tools/list", `{}`); !strings.Contains(text, "balance") {
				t.Errorf("the next request: %s", text)
			}
		})
	}
}
