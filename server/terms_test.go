package server

import (
	"context"
	"strings"
	"testing"

	"weir/catalog"
	"weir/policy"
)

// TestMovedURIsInResults: what two upstreams call by one URI, the caller hears under the public URIs of the upstream that speaks, everywhere in results; all
// other bytes stay.
func TestMovedURIsInResults(t *testing.T) {
	const (
		ui    = `"ui://page"`
		moved = `"ui://a/page"`
		file  = `"file:///x"`
		other = `"file:///own"`
	)
	source := func(name string) *catalog.Source {
		return &catalog.Source{
			Upstream: name, Capabilities: []byte(`{"tools":{},"prompts":{},"resources":{}}`), Tools: [][]byte{[]byte(`{"name":"t","inputSchema":{"type":"object"}}`)},
			Prompts: [][]byte{[]byte(`{"name":"p"}`)}, Resources: [][]byte{[]byte(`{"name":"r","uri":` + ui + `}`), []byte(`{"name":"f","uri":` + file + `}`)},
			Templates: [][]byte{[]byte(`{"name":"v","uriTemplate":"v://{id}"}`)},
		}
	}
	blocks := func(page, x, v string) string {
		return `[{"type":"resource_link","name":"n","uri":` + page + `}, {"type":"resource","resource":{"text":"\u0041","uri":` + x + `},"big":9007199254740993},` +
			`{"type":"resource_link","uri":` + v + `},{"type":"resource_link","uri":` + other + `},{"type":"text","text":` + ui + `,"uri":` + ui + `},7]`
	}
	own, public := blocks(ui, file, `"v://1"`), blocks(moved, `"weir://a/file:///x"`, `"weir://a/v://1"`)
	for _, tt := range []struct{ method, params, own, public string }{
		{"tools/call", `{"name":"a__t"}`, `{"content":` + own + `,"structuredContent":{"uri":` + ui + `}}`, `{"content":` + public + `,"structuredContent":{"uri":` + ui + `}}`},
		{
			"prompts/get", `{"name":"a__p"}`, `{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":` + ui + `}}},{"content":` + own + `}]}`,
			`{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":` + moved + `}}},{"content":` + public + `}]}`,
		},
		{"resources/read", `{"uri":` + moved + `}`, `{"contents":[{"uri":` + ui + `,"text":"x"},{"uri":` + other + `}]}`, `{"contents":[{"uri":` + moved + `,"text":"x"},{"uri":` + other + `}]}`},
	} {
		for _, sources := range [][]*catalog.Source{{source("a"), source("b")}, {source("a")}} {
			g := newRuled(t, policy.Spec{Grants: map[string][]string{"group:staff": {"a/*", "a/**"}}})
			g.catalog.Publish(catalog.Build(sources, catalog.Options{Naming: catalog.Prefix}))
			g.upstream = upstreamFunc(func(context.Context, *catalog.Call) (*catalog.Answer, error) { return answerOf(t, tt.own), nil })
			want, params := tt.public, tt.params
			if len(sources) == 1 {
				want, params = tt.own, strings.Replace(tt.params, moved, ui, 1)
			}
			if got := g.ask(t, person(t, "ana", "staff"), catalog.Legacy, tt.method, params); got != `{"jsonrpc":"2.0","id":1,"result":`+want+`}` {
				t.Errorf("%s of %d upstreams:\n got %s\nwant %s", tt.method, len(sources), got, want)
			}
		}
	}
}
