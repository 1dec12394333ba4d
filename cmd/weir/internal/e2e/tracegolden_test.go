package e2e

import (
	order "cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"weir/upstream/upstreamtest"
)

// traceCase is one request of a client, and its name in the golden files.
type traceCase struct {
	name   string
	era    era
	method string
	params object
}

// traceCases end in every way in which requests end.
func traceCases() (all []traceCase) {
	call := func(tool string) object { return object{"name": tool, "arguments": object{}} }
	for _, e := range []era{legacy, modern} {
		all = append(all,
			traceCase{"a tool", e, "tools/call", call("mcp__echo")},
			traceCase{"a tool that fails", e, "tools/call", call("mcp__broken")},
			traceCase{"a protocol error", e, "tools/call", call("mcp__fault")},
			traceCase{"a lost connection", e, "tools/call", call("mcp__lost")},
			traceCase{"a deadline", e, "tools/call", call("slow__hang")},
			traceCase{"denied", e, "tools/call", call("mcp__secret")},
			traceCase{"hidden", e, "tools/call", call("mcp__hidden")},
			traceCase{"unknown", e, "tools/call", call("mcp__nothing")},
			traceCase{"a REST operation", e, "tools/call", call("rest__echo")},
			traceCase{"wrong arguments", e, "tools/call", object{"name": "rest__echo", "arguments": object{"a": 1}}},
			traceCase{"a GraphQL operation", e, "tools/call", object{"name": "graphql__echo", "arguments": object{"text": "a"}}},
			traceCase{"a gRPC method", e, "tools/call", object{"name": "grpc__Greeter_Hello", "arguments": object{"firstName": "Ann"}}},
			traceCase{"a tool of a child process", e, "tools/call", call("child__echo")},
			traceCase{"a prompt", e, "prompts/get", object{"name": "mcp__ask"}},
			traceCase{"a resource", e, "resources/read", object{"uri": "notes://1"}},
			traceCase{"an unknown resource", e, "resources/read", object{"uri": "notes://2/3"}},
			traceCase{"an unknown prompt", e, "prompts/get", object{"name": "mcp__nothing"}},
			traceCase{"a completion", e, "completion/complete", object{"ref": object{"type": "ref/prompt", "name": "mcp__ask"}, "argument": object{"name": "a", "value": "b"}}},
			traceCase{"a list", e, "tools/list", object{}},
			traceCase{"an unknown method", e, "no/such", object{}},
		)
	}
	return append(all,
		traceCase{"a subscription", legacy, "resources/subscribe", object{"uri": "notes://1"}},
		traceCase{"the end of a subscription", legacy, "resources/unsubscribe", object{"uri": "notes://1"}},
		traceCase{"ping", legacy, "ping", object{}}, traceCase{"discovery", modern, "server/discover", object{}},
	)
}

// tracedGateway is a gateway whose upstreams do all that the cases ask for.
func tracedGateway(t *testing.T, r *traceReceiver, prometheus string) *gateway {
	t.Helper()
	var tools []upstreamtest.Raw
	for _, name := range []string{"echo", "broken", "fault", "lost", "secret", "hidden"} {
		tools = append(tools, upstreamtest.Raw(`{"name":"`+name+`","inputSchema":{"type":"object"}}`))
	}
	up := upstreamtest.New(t, upstreamtest.Config{
		Tools: tools, Prompts: []upstreamtest.Raw{`{"name":"ask","arguments":[{"name":"a"}]}`}, Resources: []upstreamtest.Raw{`{"name":"n","uri":"notes://1"}`},
		Script: []upstreamtest.Act{
			{On: "tools/call broken", Result: `{"content":[{"type":"text","text":"it is broken"}],"isError":true}`},
			{On: "tools/call fault", Error: `{"code":-32603,"message":"CANARY"}`},
			{On: "tools/call lost", Fault: upstreamtest.Drop},
		},
	})
	slow := upstreamtest.New(t, upstreamtest.Config{
		Tools: []upstreamtest.Raw{`{"name":"hang","inputSchema":{"type":"object"}}`}, Script: []upstreamtest.Act{{On: "tools/call hang", Fault: upstreamtest.Hang}},
	})
	child := upstreamtest.Stdio(t, upstreamtest.Config{})
	g := serve(t, object{
		"mcpServers": object{
			"mcp": object{"url": up.URL}, "child": object{"command": child.Command, "args": child.Args}, "slow": object{"url": slow.URL, "timeout": "200ms"},
			"rest": traceREST(t).entry, "graphql": traceGraphQL(t).entry, "grpc": traceGRPC(t).entry,
		},
		"policy": object{
			"grants": object{"user:local": []string{"*/*", "mcp/notes://*"}},
			"deny":   []object{{"match": "mcp/secret", "reason": "it is secret"}, {"match": "mcp/hidden"}},
		},
		"telemetry": object{"traces": object{"otlp": r.url, "sample": 0}, "metrics": object{"prometheus": prometheus}},
	})
	for _, name := range []string{"mcp__echo", "child__echo", "slow__hang", "rest__echo", "graphql__echo", "grpc__Greeter_Hello"} {
		until(t, name, func() bool { return slices.Contains(g.offers(t, 1), name) })
	}
	return g
}

// TestTraceGolden: the spans and series of every way in which a request ends have the attributes that were reviewed. They name no argument, no text of an
// upstream, and nothing that the number of callers multiplies.
// go test -run TestTraceGolden ./cmd/weir/internal/e2e -update writes them anew.
func TestTraceGolden(t *testing.T) {
	r, scraped := newTraceReceiver(t), freeAddr(t)
	g := tracedGateway(t, r, scraped)
	before := traceSeries(t, scraped)
	var spans strings.Builder
	peers := map[era]*httpPeer{legacy: dialHTTP(t, g.url, legacy), modern: dialHTTP(t, g.url, modern)}
	for i, c := range traceCases() {
		trace := fmt.Sprintf("%032x", 0xfeed0000+i)
		c.params["_meta"] = object{"traceparent": "00-" + trace + "-00000000000000aa-01"}
		if _, err := peers[c.era].call(c.method, c.params); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		fmt.Fprintf(&spans, "# %s, %s\n", c.era, c.name)
		for _, s := range r.whole(t, trace) {
			spans.WriteString(traceLine(s))
		}
	}
	traceGolden(t, "spans.txt", spans.String())
	var series strings.Builder
	for name, value := range traceSeries(t, scraped) {
		if value != before[name] {
			fmt.Fprintf(&series, "%s %d\n", name, value-before[name])
		}
	}
	lines := strings.SplitAfter(series.String(), "\n")
	slices.Sort(lines)
	traceGolden(t, "series.txt", strings.Join(lines, ""))
}

// whole returns the spans of a trace that is over, the server's first.
func (r *traceReceiver) whole(t *testing.T, id string) (spans []*otlp.Span) {
	t.Helper()
	until(t, "the server span of trace "+id, func() bool {
		spans = nil
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range r.spans {
			if hex.EncodeToString(s.TraceId) == id {
				spans = append(spans, s)
			}
		}
		slices.SortFunc(spans, func(a, b *otlp.Span) int {
			return order.Or(order.Compare(a.Kind, b.Kind), order.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano))
		})
		return len(spans) > 0 && hex.EncodeToString(spans[0].ParentSpanId) == "00000000000000aa" // what is inside ended before
	})
	return spans
}

// traceLine is what a span says, without what differs from run to run.
func traceLine(s *otlp.Span) string {
	var attributes []string
	for _, a := range s.Attributes {
		value := fmt.Sprint(a.Value.GetValue())
		switch v := a.Value; {
		case strings.HasSuffix(a.Key, ".size") || strings.HasSuffix(a.Key, ".port") || a.Key == "mcp.session.id" || a.Key == "jsonrpc.request.id":
			value = "*"
		case v.GetStringValue() != "" || a.Value.String() == `string_value:""`:
			value = v.GetStringValue()
		}
		attributes = append(attributes, "\n    "+a.Key+" = "+value)
	}
	slices.Sort(attributes)
	status := ""
	if s.Status.GetCode() != otlp.Status_STATUS_CODE_UNSET {
		status = fmt.Sprintf(" %s %q", strings.TrimPrefix(s.Status.Code.String(), "STATUS_CODE_"), regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(s.Status.Message, "ADDRESS"))
	}
	kind := strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"))
	return fmt.Sprintf("  %s %q%s%s\n", kind, s.Name, status, strings.Join(attributes, ""))
}

// traceSeries are the counts of what weir measured, by series. Each has its sum and its buckets.
func traceSeries(t *testing.T, address string) map[string]int {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	counts, text := map[string]int{}, string(b)
	for _, m := range regexp.MustCompile(`(?m)^(mcp_\w+)_count(\{.*\}) (\d+)$`).FindAllStringSubmatch(text, -1) {
		labels := regexp.MustCompile(`otel_scope_\w+="[^"]*",?`).ReplaceAllString(m[2], "")
		n := 0
		_, err := fmt.Sscan(m[3], &n)
		must(t, err)
		counts[m[1]+strings.Replace(labels, ",}", "}", 1)] = n
		for _, other := range []string{m[1] + "_sum" + m[2], m[1] + "_bucket" + strings.TrimSuffix(m[2], "}") + `,le="+Inf"}`} {
			if !strings.Contains(text, "\n"+other+" ") {
				t.Errorf("there is no %s", other)
			}
		}
	}
	return counts
}

// traceGolden compares with a reviewed file.
func traceGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(root, "testdata", "trace", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
	if strings.Contains(got, "CANARY") {
		t.Errorf("%s has the text of an upstream", name)
	}
}

// TestTraceOfAResourceThatIsRead: what a call reads on its way to an API is in its trace, under the span of the call to that API.
func TestTraceOfAResourceThatIsRead(t *testing.T) {
	r, api, shelf := newTraceReceiver(t), newFilesAPI(t), filesShelf(t, upstreamtest.Modern)
	g := serve(t, object{
		"mcpServers": object{"notes": object{"url": shelf.URL}, "rest": object{"openapi": api.description, "server": api.url, "mode": "tools"}},
		"telemetry":  object{"traces": object{"otlp": r.url, "sample": 0}},
	})
	g.offers(t, 2)
	p := dialHTTP(t, g.url, modern)
	until(t, "the resources", func() bool {
		events, err := p.call("resources/list", object{})
		return err == nil && strings.Contains(string(events[0].Result), "notes://logo")
	})
	for i, sampled := range []bool{true, false} {
		trace := fmt.Sprintf("%032x", 0xbeef0000+i)
		parent := "00-" + trace + "-00000000000000aa-00"
		if sampled {
			parent = parent[:len(parent)-1] + "1"
		}
		_, err := p.call("tools/call", object{
			"name": "rest__body", "arguments": object{"body": object{"resource": "notes://logo"}}, "_meta": object{"traceparent": parent},
		})
		must(t, err)
		reads := shelf.Ledger().Calls("resources/read")
		if got := traceOfParams(reads[len(reads)-1].Params).parent; !strings.HasPrefix(got, parent[:36]) || !strings.HasSuffix(got, parent[len(parent)-3:]) {
			t.Errorf("sampled %v: the resource was read in %q", sampled, got)
		}
		if !sampled {
			continue
		}
		parents := map[string]string{} // names of spans
		spans := r.whole(t, trace)
		for _, s := range spans {
			for _, other := range spans {
				if string(s.ParentSpanId) == string(other.SpanId) {
					parents[s.Kind.String()[10:]+" "+s.Name] = other.Kind.String()[10:] + " " + other.Name
				}
			}
		}
		want := map[string]string{
			"CLIENT tools/call body": "SERVER tools/call body", "SERVER resources/read": "CLIENT tools/call body", "CLIENT resources/read": "SERVER resources/read",
		}
		if diff := cmp.Diff(want, parents); diff != "" {
			t.Error(diff)
		}
	}
}
