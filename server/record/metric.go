package record

import (
	"context"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"weir/catalog"
	"weir/server"
	"weir/server/record/requestlog"
)

// seriesKept bounds the attribute sets of one instrument. What is used least is made again when it comes back; the values stay.
const seriesKept = 20_000

// series are the attributes of one measurement.
type series struct {
	method, upstream, tool, prompt, outcome, era string
	code                                         string // of the JSON-RPC error, "" for none; see knownCode
}

// histograms is one histogram with its attribute sets.
type histograms struct {
	instrument metric.Float64Histogram
	options    *lru.Cache[series, []metric.RecordOption]
}

// newHistograms makes a histogram with the buckets that the conventions ask for.
func newHistograms(m metric.Meter, name, description string) (histograms, error) {
	instrument, err := m.Float64Histogram(name, metric.WithDescription(description), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300))
	if err != nil {
		return histograms{}, err
	}
	options, err := lru.New[series, []metric.RecordOption](seriesKept)
	return histograms{instrument, options}, err
}

func (h *histograms) record(ctx context.Context, s series, d time.Duration) {
	if !h.instrument.Enabled(ctx) {
		return
	}
	o, ok := h.options.Get(s)
	if !ok {
		o = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(s.attributes()...))}
		h.options.Add(s, o)
	}
	h.instrument.Record(ctx, d.Seconds(), o...)
}

// seriesOf are the labels of a request about an entry, whose Ref may be zero. A method that does not exist is one label, whatever it is called.
func seriesOf(method string, kind catalog.Kind, ref catalog.Ref) series {
	s := series{method: knownMethod(method), upstream: ref.Upstream}
	switch kind {
	case catalog.Tool:
		s.tool = ref.Name
	case catalog.Prompt:
		s.prompt = ref.Name
	default:
	}
	return s
}

// findingAttributes are the labels of what a guard found.
func findingAttributes(f server.Finding) []attribute.KeyValue {
	all := []attribute.KeyValue{attribute.String("weir.guard", f.Guard), attribute.String("weir.guard.action", string(f.Action))}
	if f.Rule != "" {
		all = append(all, attribute.String("weir.guard.rule", f.Rule))
	}
	return all
}

// seriesOfEvent are the labels of a request that is over.
func seriesOfEvent(e *server.Event) series {
	s := seriesOf(e.Method, e.Kind, e.Ref)
	s.outcome, s.era, s.code = e.Outcome, e.Era().String(), knownCode(e.Code)
	return s
}

// knownMethod returns a method of the specification as it is, and everything else as _OTHER.
func knownMethod(method string) string {
	switch method {
	case "tools/call", "tools/list", "prompts/get", "prompts/list", "resources/read", "resources/list", "resources/templates/list",
		"resources/subscribe", "resources/unsubscribe", "completion/complete", "logging/setLevel", "ping", "initialize", "server/discover",
		"subscriptions/listen", "tasks/get", "tasks/update", "tasks/cancel":
		return method
	}
	return "_OTHER"
}

// knownCode is the code of a JSON-RPC error as text, "" for 0. What is no code of JSON-RPC, of MCP or of weir's own (basic/index#error-codes) is _OTHER:
// servers choose their codes.
func knownCode(code int) string {
	switch {
	case code == 0:
		return ""
	case code == -32700, code <= -32600 && code >= -32603, code == -32002, code == -32042, code <= -32010 && code >= -32022:
		return strconv.Itoa(code)
	default:
		return "_OTHER"
	}
}

func (s *series) attributes() []attribute.KeyValue {
	all := []attribute.KeyValue{attribute.String("mcp.method.name", s.method), attribute.String("weir.outcome", s.outcome), attribute.String("weir.era", s.era)}
	if s.upstream != "" {
		all = append(all, attribute.String("weir.upstream", s.upstream))
	}
	if s.tool != "" {
		all = append(all, attribute.String("gen_ai.operation.name", "execute_tool"), attribute.String("gen_ai.tool.name", s.tool))
	}
	if s.prompt != "" {
		all = append(all, attribute.String("gen_ai.prompt.name", s.prompt))
	}
	if s.code != "" {
		all = append(all, attribute.String("rpc.response.status_code", s.code))
	}
	switch {
	case s.outcome == "rpc_error" && s.code != "":
		all = append(all, attribute.String("error.type", s.code)) // the code is all that is known
	case requestlog.Failed(s.outcome):
		all = append(all, attribute.String("error.type", s.outcome))
	}
	return all
}
