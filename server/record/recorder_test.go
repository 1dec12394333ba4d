package record_test

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
	"weir/server/record"
	"weir/server/record/audit"
)

// stage is a gateway with a recorder in front of an upstream that is a func.
type stage struct {
	gateway *server.Gateway
	flush   func() // tells of what is over
	spans   *tracetest.InMemoryExporter
	metrics *sdkmetric.ManualReader
	calls   []catalog.Call
	dir     string
	audit   *audit.Log
	records []record.Record

	queued, retry time.Duration // of each call
}

func newStage(t *testing.T, answer string) *stage {
	t.Helper()
	return newStageOf(t, answer, func(*record.Options) {})
}

func newStageOf(t *testing.T, answer string, change func(*record.Options)) *stage {
	t.Helper()
	s := &stage{spans: tracetest.NewInMemoryExporter(), metrics: sdkmetric.NewManualReader(), dir: t.TempDir()}
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.metrics))
	var err error
	if s.audit, err = audit.Open(audit.Options{Dir: s.dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.audit.Close() })
	o := record.Options{
		Tracer: traces.Tracer("weir"), Sample: 1, Meter: meters.Meter("weir"), Audit: s.audit, AuditContents: record.Contents{Arguments: true}, Log: slog.New(slog.DiscardHandler),
		Policy: func() string { return "p1" },
		Done:   func(r *record.Record) { s.records = append(s.records, *r) },
	}
	change(&o)
	r, err := record.New(o)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := policy.New()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New()
	c.Publish(catalog.Build([]*catalog.Source{{
		Upstream: "bank", Capabilities: []byte(`{"tools":{}}`),
		Tools: [][]byte{[]byte(`{"name":"pay","inputSchema":{"type":"object"}}`), []byte(`{"name":"look","inputSchema":{"type":"object"}}`), []byte(signTool)}, Resources: [][]byte{[]byte(`{"name":"a","uri":"bank://a"}`)},
	}}, catalog.Options{}))
	up := upstreamFunc(func(_ context.Context, call *catalog.Call) (*catalog.Answer, error) {
		s.calls = append(s.calls, *call)
		call.Queued = s.queued
		if call.Hop != nil {
			call.Hop.Version, call.Hop.Session, call.Hop.ID = "2025-11-25", "secret", 7
			call.Hop.At(&url.URL{Scheme: "https", Host: "bank.example"})
		}
		if answer == "" {
			return nil, &catalog.Error{Code: catalog.Unavailable, Msg: "bank: is down", Execution: catalog.NotExecuted, Retry: s.retry}
		}
		return catalog.NewAnswer(scan(t, answer), catalog.Modern, nil), nil
	})
	s.flush = r.Flush
	s.gateway = server.New(server.Options{Catalog: c, Policy: engine, Upstream: r.Upstream(up), Observer: r, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(s.gateway.Close)
	return s
}

// signTool has secrets in what it takes and what it gives.
const signTool = `{"name":"sign","inputSchema":{"type":"object","properties":{"by":{"type":"string"},"code":{"type":"string","format":"password"}}},` +
	`"outputSchema":{"type":"object","properties":{"code":{"type":"string","writeOnly":true},"left":{"type":"integer"}}}}`

type upstreamFunc func(context.Context, *catalog.Call) (*catalog.Answer, error)

func (f upstreamFunc) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	return f(ctx, c)
}

func scan(t *testing.T, text string) *rawjson.Message {
	t.Helper()
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return m
}

func (s *stage) ask(t *testing.T, method, params string) string {
	t.Helper()
	return s.serve(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
}

func (s *stage) serve(t *testing.T, message string) string {
	t.Helper()
	reply := s.gateway.Serve(t.Context(), &server.Request{
		Principal: policy.LocalUser(), Address: netip.MustParseAddr("127.0.0.1"),
		Client:  &catalog.Client{Era: catalog.Modern, Version: "2026-07-28", Capabilities: []byte(`{}`)},
		Message: scan(t, message),
	})
	defer reply.Release()
	s.flush()
	return string(reply.Append(nil))
}

const (
	parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	result = `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`
)

// spansOf are the spans as text: name, kind, attributes that do not change from run to run, status.
func (s *stage) spansOf() (all []string) {
	for _, span := range s.spans.GetSpans() {
		var b strings.Builder
		b.WriteString(span.SpanKind.String() + " " + span.Name)
		set := attribute.NewSet(span.Attributes...)
		for _, a := range set.ToSlice() {
			if !strings.HasSuffix(string(a.Key), ".size") {
				b.WriteString(" " + string(a.Key) + "=" + a.Value.String())
			}
		}
		all = append(all, b.String()+" "+span.Status.Code.String()+" "+span.Status.Description)
	}
	return all
}

// TestR25_Spans: golden attribute sets of both spans, and one connected trace.
func TestR25_Spans(t *testing.T) {
	const server, client = "server tools/call pay client.address=127.0.0.1", "client tools/call pay"
	const tool, method = " gen_ai.operation.name=execute_tool gen_ai.tool.name=pay", " mcp.method.name=tools/call"
	const hop = " jsonrpc.request.id=7" + method + " mcp.protocol.version=2025-11-25 mcp.session.id=2bb80d537b1da3e3 network.protocol.name=http network.transport=tcp"
	for _, tt := range []struct{ name, answer, outcome, status string }{
		{"ok", result, "ok", "Unset "},
		{"isError counts", `{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}`, "tool_error", "Error "},
		{"rpc error", `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}`, "rpc_error", "Error "},
		{"down", "", "unavailable", "Error bank: is down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, tt.answer)
			s.ask(t, "tools/call", `{"name":"bank__pay","_meta":{"traceparent":"`+parent+`","tracestate":"v=1","baggage":"secret=1"}}`)
			kind, code, clientEra, rule := "", "", " weir.era=modern", " weir.policy.rule=no policy"
			if tt.outcome != "ok" {
				kind = " error.type=" + tt.outcome
			}
			if tt.outcome == "rpc_error" {
				kind, code = " error.type=-32602", " rpc.response.status_code=-32602"
			}
			if tt.answer == "" {
				clientEra = " weir.era="
			}
			want := []string{
				client + kind + tool + hop + code + " server.address=bank.example server.port=443" + clientEra + " weir.outcome=" + tt.outcome + " weir.upstream=bank " + tt.status,
				server + kind + tool + " jsonrpc.request.id=1" + method + " mcp.protocol.version=2026-07-28 network.protocol.name=http network.transport=tcp" + code +
					" weir.era=modern weir.outcome=" + tt.outcome + rule + " weir.upstream=bank " + tt.status,
			}
			if diff := cmp.Diff(want, s.spansOf()); diff != "" {
				t.Error("(-want +got):", diff)
			}
			spans := s.spans.GetSpans()
			for _, span := range spans {
				if span.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
					t.Error("a span of another trace")
				}
			}
			if spans[1].Parent.SpanID().String() != "b7ad6b7169203331" || spans[0].Parent.SpanID() != spans[1].SpanContext.SpanID() {
				t.Error("the spans do not hang together")
			}
			if strings.Contains(strings.Join(s.spansOf(), ""), "secret") {
				t.Error("a span has the id of a session")
			}
			if got := s.calls[0].Traceparent; !strings.Contains(got, spans[0].SpanContext.SpanID().String()) || s.calls[0].Tracestate != "v=1" {
				t.Errorf("upstream goes traceparent %q", got)
			}
			if s.records[0].TraceID != "0af7651916cd43dd8448eb211c80319c" {
				t.Error("the record lacks the trace")
			}
		})
	}
}

// TestRequestIDs: ids of requests are told as text, whatever they are, but for those that are none or too long.
func TestRequestIDs(t *testing.T) {
	for id, want := range map[string]string{
		`7`: "7", `-1`: "-1", `"request-7"`: "request-7", `"a\"\u00e9"`: `a"é`, `""`: "", `"` + strings.Repeat("x", 128) + `"`: strings.Repeat("x", 128),
		`"` + strings.Repeat("x", 129) + `"`: "",
	} {
		s := newStage(t, result)
		s.serve(t, `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"bank__pay"}}`)
		spans := s.spans.GetSpans()
		set := attribute.NewSet(spans[1].Attributes...)
		got, has := set.Value("jsonrpc.request.id")
		if has != (want != "") || has && got.AsString() != want {
			t.Errorf("%s: the span says %v", id, got)
		}
	}
}

// TestT37_BadTraceparent: what is not well formed begins a trace of weir's own.
func TestT37_BadTraceparent(t *testing.T) {
	for _, bad := range []string{"", "x", "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", parent + "\\r\\nX: y", strings.Repeat("a", 10_000)} {
		s := newStage(t, result)
		s.ask(t, "tools/call", `{"name":"bank__pay","_meta":{"traceparent":"`+bad+`"}}`)
		spans := s.spans.GetSpans()
		if len(spans) != 2 || spans[1].Parent.IsValid() || strings.Contains(s.calls[0].Traceparent, "\r") {
			t.Errorf("%.40q: %d spans", bad, len(spans))
		}
	}
}

// TestR24_Series: after real requests the series are there, with the labels they must have, and a flood of names makes no new ones.
func TestR24_Series(t *testing.T) {
	s := newStage(t, result)
	s.ask(t, "tools/call", `{"name":"bank__pay"}`)
	s.ask(t, "tools/list", `{}`)
	for range 50 {
		s.ask(t, "tools/call", `{"name":"invented`+strings.Repeat("x", len(s.records))+`"}`)
		s.ask(t, "invented/"+strings.Repeat("x", len(s.records)), `{}`)
		s.ask(t, "resources/read", `{"uri":"bank://`+strings.Repeat("x", len(s.records))+`"}`)
	}
	got := s.series(t)
	if n := len(got["mcp.server.operation.duration s"]); n > 6 {
		t.Errorf("%d series of the server", n)
	}
	want := "gen_ai.operation.name=execute_tool,gen_ai.tool.name=pay,mcp.method.name=tools/call,weir.era=modern,weir.outcome=ok,weir.upstream=bank"
	for _, name := range []string{"mcp.server.operation.duration s", "mcp.client.operation.duration s"} {
		if !strings.Contains(strings.Join(got[name], "\n"), want) {
			t.Errorf("%s lacks %s, has:\n%s", name, want, strings.Join(got[name], "\n"))
		}
	}
}

// TestR24_Attributes: golden attribute sets of both histograms.
func TestR24_Attributes(t *testing.T) {
	const pay = "gen_ai.operation.name=execute_tool,gen_ai.tool.name=pay,mcp.method.name=tools/call,"
	for _, tt := range []struct {
		name, answer, method, params string
		server, client               string // client is empty when nothing goes upstream
	}{
		{"ok", result, "tools/call", `{"name":"bank__pay"}`, pay + "weir.era=modern,weir.outcome=ok,weir.upstream=bank", pay + "weir.era=modern,weir.outcome=ok,weir.upstream=bank"},
		{
			"isError", `{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}`, "tools/call", `{"name":"bank__pay"}`,
			"error.type=tool_error," + pay + "weir.era=modern,weir.outcome=tool_error,weir.upstream=bank", "error.type=tool_error," + pay + "weir.era=modern,weir.outcome=tool_error,weir.upstream=bank",
		},
		{
			"down", "", "tools/call", `{"name":"bank__pay"}`, "error.type=unavailable," + pay + "weir.era=modern,weir.outcome=unavailable,weir.upstream=bank",
			"error.type=unavailable," + pay + "weir.era=,weir.outcome=unavailable,weir.upstream=bank",
		},
		{
			"resource", `{"jsonrpc":"2.0","id":1,"result":{"contents":[]}}`, "resources/read", `{"uri":"bank://a"}`,
			"mcp.method.name=resources/read,weir.era=modern,weir.outcome=ok,weir.upstream=bank", "mcp.method.name=resources/read,weir.era=modern,weir.outcome=ok,weir.upstream=bank",
		},
		{"list", result, "tools/list", `{}`, "mcp.method.name=tools/list,weir.era=modern,weir.outcome=ok", ""},
		{"unknown tool", result, "tools/call", `{"name":"x"}`, "error.type=not_found,mcp.method.name=tools/call,rpc.response.status_code=-32602,weir.era=modern,weir.outcome=not_found", ""},
		{"unknown method", result, "x/y", `{}`, "error.type=-32601,mcp.method.name=_OTHER,rpc.response.status_code=-32601,weir.era=modern,weir.outcome=rpc_error", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, tt.answer)
			s.ask(t, tt.method, tt.params)
			want := map[string][]string{"mcp.server.operation.duration s": {tt.server}}
			if tt.client != "" {
				want["mcp.client.operation.duration s"] = []string{tt.client}
			}
			if diff := cmp.Diff(want, s.series(t)); diff != "" {
				t.Error("(-want +got):", diff)
			}
		})
	}
}

// series are the attribute sets of each histogram with its unit, as text.
func (s *stage) series(t *testing.T) map[string][]string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := s.metrics.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		h, _ := m.Data.(metricdata.Histogram[float64])
		for _, p := range h.DataPoints {
			got[m.Name+" "+m.Unit] = append(got[m.Name+" "+m.Unit], p.Attributes.Encoded(attribute.DefaultEncoder()))
		}
	}
	return got
}

// TestAudit: an intent before the call, an outcome after it, one record for what never left, and no secret in any.
func TestAudit(t *testing.T) {
	s := newStage(t, result)
	s.ask(t, "tools/call", `{"name":"bank__pay","arguments":{"to":"ana","api_key":"CANARY","deep":[{"Password":"CANARY","n":1}],"tokens":3}}`)
	s.ask(t, "tools/call", `{"name":"nothing"}`)
	s.ask(t, "tools/list", `{}`)
	if err := s.audit.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := audit.Read(s.dir, func(r audit.Record) bool {
		text := string(r.Event)
		for _, rec := range s.records {
			text = strings.ReplaceAll(text, rec.ID, "ID")
		}
		got = append(got, text)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i], _, _ = strings.Cut(got[i], `,"ms":`)
	}
	const who = `"id":"ID","who":"user:local","method":"tools/call"`
	want := []string{
		`{"kind":"intent",` + who + `,"ref":"bank/pay","rule":"no policy","policy":"p1","era":"modern","address":"127.0.0.1","trace":"` + s.records[0].TraceID + `",` +
			`"arguments":{"to":"ana","api_key":"[redacted]","deep":[{"Password":"[redacted]","n":1}],"tokens":"[redacted]"}}`,
		`{"kind":"outcome","id":"ID","outcome":"ok"`,
		`{"kind":"outcome",` + who + `,"policy":"p1","era":"modern","address":"127.0.0.1","trace":"` + s.records[1].TraceID + `","outcome":"not_found","reason":"unknown tool \"nothing\""`,
		`{"kind":"outcome","id":"ID","who":"user:local","method":"tools/list","policy":"p1","era":"modern","address":"127.0.0.1","trace":"` + s.records[2].TraceID + `","outcome":"ok"`,
		`{"kind":"seal"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got):", diff)
	}
	if strings.Contains(strings.Join(got, ""), "CANARY") {
		t.Error("a secret was recorded")
	}
}

// TestAuditOfReads: what changes nothing has one record, with all that is known of it.
func TestAuditOfReads(t *testing.T) {
	reads := func(o *record.Options) {
		o.ReadOnly = func(e *catalog.Entry) bool { return e.Kind == catalog.Resource || e.Ref.Name == "look" }
	}
	s := newStageOf(t, result, reads)
	s.ask(t, "resources/read", `{"uri":"bank://a"}`)
	s.ask(t, "tools/call", `{"name":"bank__look","arguments":{"at":"ana","token":"CANARY"}}`)
	s.ask(t, "tools/call", `{"name":"bank__pay"}`)
	if err := s.audit.Close(); err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`"kind":"[a-z]*"|"ref":"[^"]*"|"outcome":"[a-z]*"|"arguments":{[^}]*}`)
	var got []string
	if err := audit.Read(s.dir, func(r audit.Record) bool {
		got = append(got, strings.Join(form.FindAllString(string(r.Event), -1), " "))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`"kind":"outcome" "ref":"bank/bank://a" "outcome":"ok"`, `"kind":"outcome" "ref":"bank/look" "arguments":{"at":"ana","token":"[redacted]"} "outcome":"ok"`,
		`"kind":"intent" "ref":"bank/pay"`, `"kind":"outcome" "outcome":"ok"`, `"kind":"seal"`,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(s.calls) != 3 {
		t.Errorf("%d calls (-want +got): %s", len(s.calls), diff)
	}
	s.ask(t, "tools/call", `{"name":"bank__look"}`)
	if len(s.calls) != 3 {
		t.Error("a call went that cannot be recorded")
	}
}

// TestR18_NothingUnrecorded: a call that cannot be recorded does not happen.
func TestR18_NothingUnrecorded(t *testing.T) {
	s := newStage(t, result)
	if err := s.audit.Close(); err != nil {
		t.Fatal(err)
	}
	answer := s.ask(t, "tools/call", `{"name":"bank__pay"}`)
	if len(s.calls) > 0 || !strings.Contains(answer, "the audit log cannot be written, and no call goes unrecorded (not executed)") {
		t.Errorf("%d calls, answer %s", len(s.calls), answer)
	}
}

// TestAuditTellsRights: the record has all that rules look at, so that another policy can be asked about the call later.
func TestAuditTellsRights(t *testing.T) {
	s := newStage(t, result)
	who, err := policy.Verified(policy.Identity{Issuer: "https://id.example", Subject: "ana", Client: "cli", Groups: []string{"eng"}, Roles: []string{"dev"}, Tenant: "finance"})
	if err != nil {
		t.Fatal(err)
	}
	reply := s.gateway.Serve(t.Context(), &server.Request{
		Principal: who, Client: &catalog.Client{Era: catalog.Modern}, Message: scan(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"bank__pay"}}`),
	})
	reply.Release()
	s.flush()
	if err := s.audit.Close(); err != nil {
		t.Fatal(err)
	}
	want := `"who":"user:https://id.example|ana","with":["client:cli","group:eng","role:dev"],"tenant":"finance","method":"tools/call"`
	found := false
	if err := audit.Read(s.dir, func(r audit.Record) bool { found = found || strings.Contains(string(r.Event), want); return true }); err != nil || !found {
		t.Errorf("no record says %s (%v)", want, err)
	}
}

// TestR25_UnkeptTraces: a trace that is not kept costs no span, and who comes behind is told not to keep it either.
func TestR25_UnkeptTraces(t *testing.T) {
	const unkept = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for _, tt := range []struct{ name, meta, want string }{
		{"weir's own", ``, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`},
		{"the caller's", `,"_meta":{"traceparent":"` + unkept + `","tracestate":"v=1"}`, `^` + unkept + `$`},
		{"the caller's, not well formed", `,"_meta":{"traceparent":"` + unkept[:50] + `"}`, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStageOf(t, result, func(o *record.Options) { o.Sample = 0 })
			s.ask(t, "tools/call", `{"name":"bank__pay"`+tt.meta+`}`)
			s.ask(t, "tools/call", `{"name":"bank__pay"`+tt.meta+`}`)
			if n := len(s.spans.GetSpans()); n > 0 {
				t.Errorf("%d spans", n)
			}
			got := s.calls[0].Traceparent
			if s.calls[0].Hop != nil {
				t.Error("the way is asked for though no span tells it")
			}
			if !regexp.MustCompile(tt.want).MatchString(got) || strings.Contains(got, strings.Repeat("0", 16)) || s.records[0].TraceID != "" {
				t.Errorf("upstream goes traceparent %q, recorded is trace %q", got, s.records[0].TraceID)
			}
			if same := got == s.calls[1].Traceparent; same != (tt.want == `^`+unkept+`$`) {
				t.Errorf("the traceparent is %q twice", got)
			}
			if kept := s.calls[0].Tracestate == "v=1"; kept != (tt.want == `^`+unkept+`$`) {
				t.Errorf("tracestate %q", s.calls[0].Tracestate)
			}
		})
	}
}
