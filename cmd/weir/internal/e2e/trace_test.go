package e2e

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"weir/translate/graphql/graphqltest"
	"weir/translate/grpc/grpctest"
	"weir/upstream/upstreamtest"
)

// traceReceiver takes spans as an OTLP collector does.
type traceReceiver struct {
	url   string
	mu    sync.Mutex
	spans []*otlp.Span
}

func newTraceReceiver(t *testing.T) *traceReceiver {
	t.Helper()
	r := &traceReceiver{}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.url = s.URL
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20") // milliseconds
	return r
}

func (r *traceReceiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(q.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	b, err := io.ReadAll(body)
	var batch coltrace.ExportTraceServiceRequest
	if err != nil || q.URL.Path != "/v1/traces" || proto.Unmarshal(b, &batch) != nil {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, source := range batch.ResourceSpans {
		for _, scope := range source.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
}

// of returns the spans of a trace, by kind; several of one kind are an error.
func (r *traceReceiver) of(t *testing.T, id string) (server, client *otlp.Span) {
	t.Helper()
	until(t, "two spans of trace "+id, func() bool {
		server, client = nil, nil
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range r.spans {
			if hex.EncodeToString(s.TraceId) != id {
				continue
			}
			switch s.Kind {
			case otlp.Span_SPAN_KIND_SERVER:
				server = s
			case otlp.Span_SPAN_KIND_CLIENT:
				client = s
			default:
				t.Errorf("a span of kind %s", s.Kind)
			}
		}
		return server != nil && client != nil
	})
	return server, client
}

// has reports whether any span of a trace came.
func (r *traceReceiver) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if hex.EncodeToString(s.TraceId) == id {
			return true
		}
	}
	return false
}

// traceContext is what one place of a request says of its trace.
type traceContext struct{ parent, state, baggage string }

func traceOfHeader(h http.Header) traceContext {
	return traceContext{strings.Join(h.Values("Traceparent"), "|"), strings.Join(h.Values("Tracestate"), "|"), strings.Join(h.Values("Baggage"), "|")}
}

func traceOfParams(params upstreamtest.Raw) (c traceContext) {
	var p struct {
		Meta struct{ Traceparent, Tracestate, Baggage string } `json:"_meta"`
	}
	if json.Unmarshal([]byte(params), &p) == nil {
		c = traceContext{p.Meta.Traceparent, p.Meta.Tracestate, p.Meta.Baggage}
	}
	return c
}

// traceLeg is one upstream: how it is called, and what its last call said of its trace, by place.
type traceLeg struct {
	entry     object
	tool      string
	arguments object
	last      func() map[string]traceContext
}

// traceLegs returns an upstream of every kind.
func traceLegs(t *testing.T) map[string]traceLeg {
	t.Helper()
	legs := map[string]traceLeg{"rest": traceREST(t), "grpc": traceGRPC(t), "graphql": traceGraphQL(t)}
	for _, e := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		http, stdio := upstreamtest.New(t, upstreamtest.Config{Era: e}), upstreamtest.Stdio(t, upstreamtest.Config{Era: e})
		legs["http-"+string(e)] = traceMCP(http, object{"url": http.URL}, true)
		legs["stdio-"+string(e)] = traceMCP(stdio, object{"command": stdio.Command, "args": stdio.Args}, false)
	}
	sse := upstreamtest.New(t, upstreamtest.Config{SSE: true})
	legs["sse"] = traceMCP(sse, object{"url": sse.URL, "type": "sse"}, true)
	return legs
}

func traceMCP(up *upstreamtest.Server, entry object, headers bool) traceLeg {
	return traceLeg{entry: entry, tool: "echo", arguments: object{"a": 1}, last: func() map[string]traceContext {
		calls := up.Ledger().Calls("tools/call")
		last := calls[len(calls)-1]
		places := map[string]traceContext{"_meta": traceOfParams(last.Params)}
		if headers {
			places["header"] = traceOfHeader(last.Header)
		}
		return places
	}}
}

func traceREST(t *testing.T) traceLeg {
	t.Helper()
	var mu sync.Mutex
	var last http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		last = r.Header.Clone()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "api.json")
	must(t, os.WriteFile(path, []byte(`{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"operationId":"echo","responses":{"204":{"description":"d"}}}}}}`), 0o600))
	return traceLeg{entry: object{"openapi": path, "server": s.URL, "mode": "tools"}, tool: "echo", last: func() map[string]traceContext {
		mu.Lock()
		defer mu.Unlock()
		return map[string]traceContext{"header": traceOfHeader(last)}
	}}
}

func traceGRPC(t *testing.T) traceLeg {
	t.Helper()
	s := grpctest.Serve(t, grpctest.Setup{Reflect: "v1"})
	return traceLeg{
		entry: object{"grpc": "http://" + s.Address, "mode": "tools"}, tool: "Greeter_Hello", arguments: object{"firstName": "Ann"},
		last: func() map[string]traceContext {
			all := s.Metadata()
			md := all[len(all)-1]
			return map[string]traceContext{"metadata": {strings.Join(md.Get("traceparent"), "|"), strings.Join(md.Get("tracestate"), "|"), strings.Join(md.Get("baggage"), "|")}}
		},
	}
}

func traceGraphQL(t *testing.T) traceLeg {
	t.Helper()
	s := graphqltest.New()
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.Close()
		s.Running.Wait()
	})
	return traceLeg{entry: object{"graphql": h.URL, "mode": "tools"}, tool: "echo", arguments: object{"text": "a"}, last: func() map[string]traceContext {
		all := s.Ledger()
		return map[string]traceContext{"header": traceOfHeader(all[len(all)-1].Header)}
	}}
}

// traceStage is a gateway that traces what its callers sample, before upstreams of every kind.
type traceStage struct {
	receiver *traceReceiver
	legs     map[string]traceLeg
	next     int // numbers traces
}

func newTraceStage(t *testing.T) *traceStage {
	t.Helper()
	return &traceStage{receiver: newTraceReceiver(t), legs: traceLegs(t)}
}

func (s *traceStage) config(sample float64) object {
	servers := object{}
	for name, leg := range s.legs {
		servers[name] = leg.entry
	}
	return object{"mcpServers": servers, "telemetry": object{"traces": object{"otlp": s.receiver.url, "sample": sample}}}
}

// clients are those of both eras and transports. Those over stdio have a weir of their own.
func (s *traceStage) clients(t *testing.T, sample float64) map[string]peer {
	t.Helper()
	g := serve(t, s.config(sample))
	all := map[string]peer{}
	for _, e := range []era{legacy, modern} {
		all[string(e)+" http"] = dialHTTP(t, g.url, e)
		all[string(e)+" stdio"] = dialStdio(t, s.config(sample), e)
	}
	for name, p := range all {
		until(t, "tools of all upstreams for "+name, func() bool {
			names, err := toolNames(p)
			for leg := range s.legs {
				if !strings.Contains(strings.Join(names, " ")+" ", leg+"__"+s.legs[leg].tool+" ") {
					return false
				}
			}
			return err == nil
		})
	}
	return all
}

// trace makes the identifiers of a caller's span.
func (s *traceStage) trace() (trace, span string) {
	s.next++
	return fmt.Sprintf("%032x", 0xabc0000+s.next), fmt.Sprintf("%016x", 0xdef0000+s.next)
}

// calls makes one call of a leg, and says of its trace what meta and header say; nil for nothing.
func (leg traceLeg) calls(t *testing.T, p peer, name string, meta object, header http.Header) map[string]traceContext {
	t.Helper()
	params := object{"name": name + "__" + leg.tool, "arguments": leg.arguments}
	if meta != nil {
		params["_meta"] = meta
	}
	if over, ok := p.(*httpPeer); ok {
		over.header = header
	}
	events, err := p.call("tools/call", params)
	must(t, err)
	if answer := events[len(events)-1]; answer.Error != nil || strings.Contains(string(answer.Result), `"isError":true`) {
		t.Fatalf("%s: %s %s", name, answer.Result, answer.Error)
	}
	return leg.last()
}

// TestTraceConnects: one trace leads from the client through weir to the upstream, for every kind of upstream, both eras and both transports. weir's server
// span is the child of the client's, its client span the child of that, and the upstream hears of that one, in every place where its kind looks.
func TestTraceConnects(t *testing.T) {
	s := newTraceStage(t)
	for who, p := range s.clients(t, 0) {
		ways := []string{"_meta"}
		if strings.HasSuffix(who, "http") {
			ways = append(ways, "header", "both")
		}
		for _, way := range ways {
			for name, leg := range s.legs {
				s.connects(t, who+", "+way+", "+name, p, way, name, leg)
			}
		}
	}
}

func (s *traceStage) connects(t *testing.T, what string, p peer, way, name string, leg traceLeg) {
	t.Helper()
	trace, span := s.trace()
	parent := "00-" + trace + "-" + span + "-01"
	var meta object
	var header http.Header
	if way != "header" {
		meta = object{"traceparent": parent, "tracestate": "vendor=1,other=2", "baggage": "user=CANARY"}
	}
	other, _ := s.trace()
	switch way {
	case "header":
		header = http.Header{"Traceparent": {parent}, "Tracestate": {"vendor=1,other=2"}, "Baggage": {"user=CANARY"}}
	case "both": // the message itself is nearer to the caller than what carried it
		header = http.Header{"Traceparent": {"00-" + other + "-" + span + "-01"}, "Tracestate": {"another=1"}}
	}
	places := leg.calls(t, p, name, meta, header)
	server, client := s.receiver.of(t, trace)
	if got := hex.EncodeToString(server.ParentSpanId); got != span {
		t.Errorf("%s: the parent of the server span is %q, want the caller's %s", what, got, span)
	}
	if got, want := hex.EncodeToString(client.ParentSpanId), hex.EncodeToString(server.SpanId); got != want {
		t.Errorf("%s: the parent of the client span is %q, want the server span %s", what, got, want)
	}
	want := traceContext{parent: "00-" + trace + "-" + hex.EncodeToString(client.SpanId) + "-01", state: "vendor=1,other=2"}
	for place, got := range places {
		if got != want {
			t.Errorf("%s: the upstream sees %+v in its %s, want %+v", what, got, place, want)
		}
	}
	if s.receiver.has(other) {
		t.Errorf("%s: there are spans of the header's trace", what)
	}
}

// TestTraceObeysSampling: a caller's own decision is followed, and handed on; where the caller decides nothing, configuration does.
func TestTraceObeysSampling(t *testing.T) {
	s := newTraceStage(t)
	for _, sample := range []float64{0, 1} {
		clients := s.clients(t, sample)
		p := clients["modern http"]
		for name, leg := range s.legs {
			trace, span := s.trace()
			for place, got := range leg.calls(t, p, name, object{"traceparent": "00-" + trace + "-" + span + "-00"}, nil) {
				if !strings.HasPrefix(got.parent, "00-"+trace+"-") || !strings.HasSuffix(got.parent, "-00") {
					t.Errorf("%v, %s: an unsampled trace goes on in %s as %q", sample, name, place, got.parent)
				}
			}
			for place, got := range leg.calls(t, p, name, nil, nil) {
				own := strings.Split(got.parent, "-")
				if len(own) != 4 || own[3] != fmt.Sprintf("%02d", int(sample)) || got.state != "" || got.baggage != "" {
					t.Errorf("%v, %s: a trace that weir begins goes on in %s as %+v", sample, name, place, got)
					continue
				}
				if sample == 0 {
					continue
				}
				server, client := s.receiver.of(t, own[1])
				if len(server.ParentSpanId) != 0 || hex.EncodeToString(client.SpanId) != own[2] {
					t.Errorf("%s: a trace that weir begins has the parent %x; its client span is %x, the upstream sees %q", name, server.ParentSpanId, client.SpanId, got.parent)
				}
			}
			if s.receiver.has(trace) {
				t.Errorf("%v, %s: an unsampled trace is kept", sample, name)
			}
		}
	}
}

// TestTraceIgnoresHostile: what is no traceparent begins no trace of anybody else's, breaks no line, and is not handed on.
func TestTraceIgnoresHostile(t *testing.T) {
	s := newTraceStage(t)
	clients := s.clients(t, 0)
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	hostile := []any{
		"", "x", "00", "00-" + trace, "00-" + trace + "-" + span, "00-" + trace + "-" + span + "-01-more", "ff-" + trace + "-" + span + "-01",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01", "00-" + trace + "-" + strings.Repeat("0", 16) + "-01", "00-" + strings.ToUpper(trace) + "-" + span + "-01",
		"00-" + trace[1:] + "-" + span + "-01", "00-" + trace + "g-" + span[1:] + "-01", " 00-" + trace + "-" + span + "-01", "00-" + trace + "-" + span + "-01\r\nX-Evil: 1",
		"00-" + trace + "-" + span + "-0x", strings.Repeat("00-"+trace, 1000), "00-" + trace + "-" + span + "-01,00-" + trace + "-" + span + "-01",
		7, true, nil,
		object{"a": 1},
		[]string{"00-" + trace + "-" + span + "-01"},
	}
	for who, p := range clients {
		for _, value := range hostile {
			for _, name := range []string{"http-modern", "http-legacy", "stdio-modern", "rest", "grpc"} {
				places := s.legs[name].calls(t, p, name, object{"traceparent": value, "tracestate": "vendor=1"}, nil)
				s.fresh(t, fmt.Sprintf("%s, %s, _meta %.60v", who, name, value), places, trace)
				text, ok := value.(string)
				if _, over := p.(*httpPeer); !ok || !over || strings.Contains(text, "\n") || strings.HasPrefix(text, " ") { // no header can be that
					continue
				}
				header := http.Header{"Traceparent": {text}, "Tracestate": {"vendor=1"}}
				s.fresh(t, fmt.Sprintf("%s, %s, header %.60v", who, name, value), s.legs[name].calls(t, p, name, nil, header), trace)
			}
		}
	}
	for name, state := range map[string]string{"signs": "a=\x7f", "no pair": "abc", "too many": strings.Repeat("a=1,", 40), "twice": "a=1,a=2", "a line": "a=1\r\nX-Evil: 1"} {
		for leg, l := range s.legs {
			id, parent := s.trace()
			for place, got := range l.calls(t, clients["modern http"], leg, object{"traceparent": "00-" + id + "-" + parent + "-01", "tracestate": state}, nil) {
				if !strings.HasPrefix(got.parent, "00-"+id) || got.state != "" {
					t.Errorf("%s: a tracestate that is none (%s) goes on in %s: %+v", leg, name, place, got)
				}
			}
		}
	}
}

// fresh demands that the upstream saw a trace that weir began.
func (s *traceStage) fresh(t *testing.T, what string, places map[string]traceContext, not string) {
	t.Helper()
	for place, got := range places {
		parts := strings.Split(got.parent, "-")
		if len(parts) != 4 || parts[0] != "00" || len(parts[1]) != 32 || parts[1] == not || len(parts[2]) != 16 || parts[3] != "00" || got.state != "" {
			t.Errorf("%s: the upstream sees %+v in its %s", what, got, place)
		}
	}
}
