package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"weir/upstream/upstreamtest"
)

// traceWay is a request other than tools/call: what a client sends, and what an MCP server then gets, by the server's era.
type traceWay struct {
	name   string
	method string
	params func(upstream, uri string) object
	gets   map[upstreamtest.Era]string
	parent otlp.Span_SpanKind // of what the server gets: the span of weir that it is under
}

// traceWays are those of a client of an era. Each is about a resource of its own, where it is about one: weir subscribes once for all that watch.
func traceWays(e era) []traceWay {
	same := func(method string) map[upstreamtest.Era]string {
		return map[upstreamtest.Era]string{upstreamtest.Legacy: method, upstreamtest.Modern: method}
	}
	ways := []traceWay{
		{"a resource", "resources/read", func(_, uri string) object { return object{"uri": uri} }, same("resources/read"), otlp.Span_SPAN_KIND_CLIENT},
		{"a prompt", "prompts/get", func(up, _ string) object { return object{"name": up + "__ask"} }, same("prompts/get"), otlp.Span_SPAN_KIND_CLIENT},
		{"a completion", "completion/complete", func(up, _ string) object {
			return object{"ref": object{"type": "ref/prompt", "name": up + "__ask"}, "argument": object{"name": "a", "value": "b"}}
		}, same("completion/complete"), otlp.Span_SPAN_KIND_CLIENT},
	}
	watched := map[upstreamtest.Era]string{upstreamtest.Legacy: "resources/subscribe", upstreamtest.Modern: "subscriptions/listen"}
	if e == legacy {
		return append(ways, traceWay{"a subscription", "resources/subscribe", func(_, uri string) object { return object{"uri": uri} }, watched, otlp.Span_SPAN_KIND_SERVER})
	}
	return append(ways, traceWay{"a subscription", "subscriptions/listen", func(_, uri string) object {
		return object{"notifications": object{"resourceSubscriptions": []string{uri}}}
	}, watched, otlp.Span_SPAN_KIND_SERVER})
}

// TestTraceOfEveryMethod: what a client asks of a resource, a prompt, a completion or a subscription goes on in its trace, kept or not, over every transport
// and in both eras on both sides.
func TestTraceOfEveryMethod(t *testing.T) {
	r := newTraceReceiver(t)
	ups, servers, offered := map[string]*upstreamtest.Server{}, object{}, []string{}
	for _, e := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		for _, over := range []string{"http", "stdio"} {
			name := over + "-" + string(e)
			config := upstreamtest.Config{Era: e, Prompts: []upstreamtest.Raw{`{"name":"ask","arguments":[{"name":"a"}]}`}}
			for n := range 8 { // one for each client, and for each kept or not
				uri := fmt.Sprintf("%s://%d", name, n)
				offered = append(offered, uri)
				config.Resources = append(config.Resources, upstreamtest.Raw(fmt.Sprintf(`{"name":"r%d","uri":%q}`, n, uri)))
			}
			if over == "http" {
				ups[name] = upstreamtest.New(t, config)
				servers[name] = object{"url": ups[name].URL}
			} else {
				ups[name] = upstreamtest.Stdio(t, config)
				servers[name] = object{"command": ups[name].Command, "args": ups[name].Args}
			}
		}
	}
	config := object{"mcpServers": servers, "telemetry": object{"traces": object{"otlp": r.url, "sample": 0}}}
	g := serve(t, config)
	clients := []struct {
		name string
		era  era
		fullPeer
	}{
		{"legacy http", legacy, dialHTTP(t, g.url, legacy)},
		{"modern http", modern, dialHTTP(t, g.url, modern)},
		{"legacy stdio", legacy, dialStdio(t, config, legacy)},
		{"modern stdio", modern, dialStdio(t, config, modern)},
	}
	next := 0
	for i, c := range clients {
		until(t, "all resources for "+c.name, func() bool {
			events, err := c.call("resources/list", object{})
			return err == nil && !slices.ContainsFunc(offered, func(uri string) bool { return !strings.Contains(string(events[0].Result), `"`+uri+`"`) })
		})
		for name, up := range ups {
			for _, kept := range []bool{true, false} {
				n := 2 * i
				if kept {
					n++
				}
				for _, way := range traceWays(c.era) {
					next++
					trace := fmt.Sprintf("%032x", 0xcafe0000+next)
					what := fmt.Sprintf("%s, %s, %s, kept %v", c.name, name, way.name, kept)
					params := way.params(name, fmt.Sprintf("%s://%d", name, n))
					params["_meta"] = object{"traceparent": "00-" + trace + "-00000000000000aa-" + map[bool]string{true: "01", false: "00"}[kept], "tracestate": "v=1"}
					open := c.open(way.method, params)
					got := heardOf(t, up, way.gets[upstreamtest.Era(name[strings.Index(name, "-")+1:])], trace, what)
					if strings.HasPrefix(name, "http") && got.header != got.meta {
						t.Errorf("%s: _meta says %+v, the header %+v", what, got.meta, got.header)
					}
					r.belongs(t, what, got.meta, trace, kept, way.parent)
					if way.method != "subscriptions/listen" {
						_, err := open.wait()
						must(t, err)
					} else {
						open.cancel()
					}
				}
			}
		}
	}
}

// heard is what a server was told of a trace.
type heard struct{ meta, header traceContext }

// heardOf waits until a server got a request of that trace.
func heardOf(t *testing.T, up *upstreamtest.Server, method, trace, what string) (h heard) {
	t.Helper()
	until(t, what+": "+method, func() bool {
		for _, call := range up.Ledger().Calls(method) {
			if strings.Contains(string(call.Params), trace) {
				h = heard{traceOfParams(call.Params), traceOfHeader(call.Header)}
				return true
			}
		}
		return false
	})
	return h
}

// belongs demands that what a server was told names a span of weir's in that trace, of that kind, or the caller's own where the trace is not kept.
func (r *traceReceiver) belongs(t *testing.T, what string, got traceContext, trace string, kept bool, kind otlp.Span_SpanKind) {
	t.Helper()
	if !kept {
		if want := (traceContext{parent: "00-" + trace + "-00000000000000aa-00", state: "v=1"}); got != want {
			t.Errorf("%s: the server is told %+v, want %+v", what, got, want)
		}
		return
	}
	for _, s := range r.whole(t, trace) {
		if s.Kind == kind && got == (traceContext{parent: "00-" + trace + "-" + hex.EncodeToString(s.SpanId) + "-01", state: "v=1"}) {
			return
		}
	}
	t.Errorf("%s: the server is told %+v, and no span is that", what, got)
}

// TestTraceOfAllPages: every page that one call fetches is in its trace, under the one span of the call to the API.
func TestTraceOfAllPages(t *testing.T) {
	r := newTraceReceiver(t)
	var mu sync.Mutex
	var asked []traceContext
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		asked = append(asked, traceOfHeader(q.Header))
		n := len(asked)
		mu.Unlock()
		if n < 3 {
			w.Header().Set("Link", fmt.Sprintf(`</a?page=%d>; rel="next"`, n+1))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `[{"id":%d}]`, n)
	}))
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "api.json")
	must(t, os.WriteFile(path, []byte(`{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"operationId":"list",
		"parameters":[{"name":"page","in":"query","schema":{"type":"integer"}}],"responses":{"200":{"description":"d","content":{"application/json":{}}}}}}}}`), 0o600))
	g := serve(t, object{
		"mcpServers": object{"rest": object{"openapi": path, "server": s.URL, "mode": "tools"}},
		"telemetry":  object{"traces": object{"otlp": r.url, "sample": 0}},
	})
	until(t, "the tool", func() bool { return slices.Contains(g.offers(t, 1), "rest__list") })
	p := dialHTTP(t, g.url, modern)
	const trace = "0000000000000000000000000000fa9e"
	events, err := p.call("tools/call", object{
		"name": "rest__list", "arguments": object{"all_pages": true}, "_meta": object{"traceparent": "00-" + trace + "-00000000000000aa-01"},
	})
	must(t, err)
	spans := r.whole(t, trace)
	if len(spans) != 2 {
		t.Fatalf("%d spans; the answer is %s", len(spans), events[0].Result)
	}
	want := traceContext{parent: "00-" + trace + "-" + hex.EncodeToString(spans[1].SpanId) + "-01"}
	if diff := cmp.Diff([]traceContext{want, want, want}, asked, cmp.AllowUnexported(traceContext{})); diff != "" {
		t.Error("(-want +got):", diff)
	}
}
