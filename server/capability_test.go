package server

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/policy"
)

// TestMissingCapability: what an upstream asks of a modern client that did not declare it. The upstream gets the refusal of the specification; the
// client hears what to declare when the upstream could not do without, and nothing of it when it could.
func TestMissingCapability(t *testing.T) {
	const (
		unknown = `{"code":-32601,"message":"the client does not support this `
		invalid = `{"code":-32602,"message":"the client does not support this `
		fails   = `{"content":[],"isError":true}`
		copes   = `{"content":[]}`
	)
	for _, tt := range []struct {
		name, declared, method, params, result string
		refusal, required                      string
	}{
		{"nothing declared", `{}`, "elicitation/create", `{}`, fails, unknown, `{"elicitation":{"form":{}}}`},
		{"another one declared", `{"sampling":{}}`, "elicitation/create", `{}`, fails, unknown, `{"elicitation":{"form":{}}}`},
		{"another mode", `{"elicitation":{}}`, "elicitation/create", `{"mode":"url"}`, fails, invalid, `{"elicitation":{"url":{}}}`},
		{"form where url is declared", `{"elicitation":{"url":{}}}`, "elicitation/create", `{"mode":"form"}`, fails, invalid, `{"elicitation":{"form":{}}}`},
		{"sampling", `{"roots":{}}`, "sampling/createMessage", `{}`, fails, unknown, `{"sampling":{}}`},
		{"sampling with tools", `{"sampling":{}}`, "sampling/createMessage", `{"tools":[]}`, fails, invalid, `{"sampling":{"tools":{}}}`},
		{"roots", `{"sampling":{}}`, "roots/list", ``, fails, unknown, `{"roots":{}}`},
		{"the upstream gets along without", `{"sampling":{}}`, "roots/list", ``, copes, unknown, ""},
		{"the upstream gets along without, nothing declared", `{}`, "roots/list", ``, copes, unknown, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var refused string
			g := gateway(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
				r := catalog.Request{Method: tt.method}
				if tt.params != "" {
					r.Params = []byte(tt.params)
				}
				_, err := c.Ask(ctx, r)
				if own, ok := errors.AsType[*catalog.RPCError](err); ok {
					refused = string(own.Object)
				}
				return answerOf(t, tt.result), nil
			})
			m := scan(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
				`"io.modelcontextprotocol/clientCapabilities":`+tt.declared+`}}}`)
			client, fault := g.ModernClient(m)
			if fault != nil {
				t.Fatal(string(fault.AppendLine(nil)))
			}
			reply := g.Serve(t.Context(), &Request{Principal: policy.LocalUser(), Client: client, Message: m})
			got := string(reply.AppendLine(nil))
			if !strings.HasPrefix(refused, tt.refusal+tt.method+`"}`) {
				t.Errorf("the upstream got %s", refused)
			}
			if tt.required == "" {
				if reply.Status != 200 || !strings.Contains(got, `"content":[]`) {
					t.Errorf("%d %s", reply.Status, got)
				}
				return
			}
			want := `{"jsonrpc":"2.0","id":1,"error":{"code":-32021,"message":"missing required client capability","data":{"requiredCapabilities":` + tt.required + `}}}`
			if d := cmp.Diff(want, got); d != "" || reply.Status != 400 {
				t.Errorf("status %d %s", reply.Status, d)
			}
			if len(g.parking.slots) != 0 {
				t.Error("a call is parked")
			}
		})
	}
}

// TestMissingCapabilityIsRelayed: a modern upstream's own refusal reaches the client as it is, with its status.
func TestMissingCapabilityIsRelayed(t *testing.T) {
	const object = `{"code":-32021,"message":"m","data":{"requiredCapabilities":{"sampling":{}},"x":1e400}}`
	g := newRuled(t, policy.Spec{Grants: map[string][]string{"group:staff": {"bank/**", "bank/balance"}}})
	g.upstream = upstreamFunc(func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		return catalog.NewAnswer(scan(t, `{"jsonrpc":"2.0","id":7,"error":`+object+`}`), catalog.Modern, nil), nil
	})
	for _, era := range []catalog.Era{catalog.Modern, catalog.Legacy} {
		reply := g.Serve(t.Context(), &Request{
			Principal: person(t, "ana", "staff"), Client: &catalog.Client{Era: era, Capabilities: emptyObject},
			Message: scan(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"balance"}}`),
		})
		if got, want := string(reply.AppendLine(nil)), `{"jsonrpc":"2.0","id":1,"error":`+object+`}`; got != want || (reply.Status == 400) != (era == catalog.Modern) {
			t.Errorf("%s: %d %s", era, reply.Status, got)
		}
	}
}
