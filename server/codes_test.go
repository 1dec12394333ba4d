package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"weir/catalog"
	"weir/policy"
)

// TestErrorCodesAcrossEras: an upstream's error reaches a client of the other era under the code that its revisions have, and one of its own era as it
// is; the rest of the object keeps its bytes.
func TestErrorCodesAcrossEras(t *testing.T) {
	const (
		visit    = `,"message":"visit","data":{"elicitations":[{"mode":"url","elicitationId":"e","url":"https://x.example","message":"m","n":1e400},{"url":"https://y.example"}]}}`
		asked    = `"resultType":"input_required","inputRequests":{"u1":{"method":"elicitation/create","params":{"url":"https://x.example","message":"m","n":1e400,"mode":"url"}},"u2":{"method":"elicitation/create","params":{"url":"https://y.example","mode":"url"}}}}}`
		rest     = `,"message":"m","data":{"uri":"x","n":9007199254740993}}`
		withURL  = `{"elicitation":{"url":{}}}`
		withForm = `{"elicitation":{}}`
	)
	for _, tt := range []struct {
		name, method string
		from, to     catalog.Era
		declared     string
		object, want string
		wantStatus   int
	}{
		{"not found, to modern", "resources/read", catalog.Legacy, catalog.Modern, `{}`, `{"code":-32002` + rest, `"error":{"code":-32602` + rest, 200},
		{"not found, to legacy", "resources/read", catalog.Modern, catalog.Legacy, `{}`, `{"code":-32602` + rest, `"error":{"code":-32002` + rest, 200},
		{"invalid params of a tool", "tools/call", catalog.Modern, catalog.Legacy, `{}`, `{"code":-32602` + rest, `"error":{"code":-32602` + rest, 200},
		{"not found within legacy", "resources/read", catalog.Legacy, catalog.Legacy, `{}`, `{"code":-32002` + rest, `"error":{"code":-32002` + rest, 200},
		{"invalid params within legacy", "resources/read", catalog.Legacy, catalog.Legacy, `{}`, `{"code":-32602` + rest, `"error":{"code":-32602` + rest, 200},
		{"visit within legacy", "tools/call", catalog.Legacy, catalog.Legacy, withURL, `{"code":-32042` + visit, `"error":{"code":-32042` + visit, 200},
		{"visit, to modern", "tools/call", catalog.Legacy, catalog.Modern, withURL, `{"code":-32042` + visit, asked, 200},
		{"visit for a prompt", "prompts/get", catalog.Legacy, catalog.Modern, withURL, `{"code":-32042` + visit, asked, 200},
		{"visit, url not declared", "tools/call", catalog.Legacy, catalog.Modern, withForm, `{"code":-32042` + visit, `"error":{"code":-32021,"message":"missing required client capability","data":{"requiredCapabilities":{"elicitation":{"url":{}}}}}`, 400},
		{"visit without URLs", "tools/call", catalog.Legacy, catalog.Modern, withURL, `{"code":-32042` + rest, `"error":{"code":-32603` + rest, 200},
		{"of the server's own", "tools/call", catalog.Legacy, catalog.Modern, `{}`, `{"code":-32000` + rest, `"error":{"code":-32000` + rest, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRuled(t, policy.Spec{Grants: map[string][]string{"group:staff": {"bank/*", "bank/bank://**"}}})
			g.upstream = upstreamFunc(func(context.Context, *catalog.Call) (*catalog.Answer, error) {
				return catalog.NewAnswer(scan(t, `{"jsonrpc":"2.0","id":7,"error":`+tt.object+`}`), tt.from, nil), nil
			})
			params := map[string]string{"tools/call": `{"name":"bank__balance"}`, "prompts/get": `{"name":"bank__advice"}`, "resources/read": `{"uri":"bank://open/a"}`}[tt.method]
			reply := g.Serve(t.Context(), &Request{
				Principal: person(t, "ana", "staff"), Client: &catalog.Client{Era: tt.to, Capabilities: []byte(tt.declared)},
				Message: scan(t, `{"jsonrpc":"2.0","id":1,"method":"`+tt.method+`","params":`+params+`}`),
			})
			got := string(reply.AppendLine(nil))
			if !strings.Contains(got, tt.want) || reply.Status != tt.wantStatus {
				t.Errorf("%d\n got %s\nwant %s", reply.Status, got, tt.want)
			}
		})
	}
}

// TestR31_EveryFailureSaysWhenToComeBack: for tools in the result that the model reads, for prompts and resources in the data of the error.
func TestR31_EveryFailureSaysWhenToComeBack(t *testing.T) {
	g := newRuled(t, policy.Spec{Grants: map[string][]string{"group:staff": {"bank/*", "bank/bank://**"}}})
	g.upstream = upstreamFunc(func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		return nil, &catalog.Error{Code: catalog.Limited, Msg: "bank: full", Execution: catalog.NotExecuted, Retry: 1500 * time.Millisecond}
	})
	for method, c := range map[string]struct{ params, want string }{
		"tools/call":     {`{"name":"bank__balance"}`, `"weir/error":{"code":"limited","execution":"not executed","retryAfterMs":1500}`},
		"prompts/get":    {`{"name":"bank__advice"}`, `"error":{"code":-32014,"message":"bank: full","data":{"retryAfterMs":1500}}`},
		"resources/read": {`{"uri":"bank://open/a"}`, `"error":{"code":-32014,"message":"bank: full","data":{"retryAfterMs":1500}}`},
	} {
		reply := g.Serve(t.Context(), &Request{
			Principal: person(t, "ana", "staff"), Client: &catalog.Client{Era: catalog.Legacy, Capabilities: []byte(`{}`)},
			Message: scan(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+c.params+`}`),
		})
		if got := string(reply.AppendLine(nil)); !strings.Contains(got, c.want) || reply.Retry != 1500*time.Millisecond {
			t.Errorf("%s, %s: %s", method, reply.Retry, got)
		}
	}
}
