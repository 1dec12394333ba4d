package export

import (
	"encoding/hex"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/logs/v1"

	"weir/server/record/requestlog"
)

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

// logRecord is a row as one OTLP log record.
func logRecord(r *requestlog.Row) *otlp.LogRecord {
	l := &otlp.LogRecord{
		TimeUnixNano: uint64(r.At.UnixNano()), SeverityNumber: otlp.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO", EventName: "weir.request",
		Body: text("", r.Method+" "+r.Outcome).GetValue(),
	}
	if requestlog.Failed(r.Outcome) {
		l.SeverityNumber, l.SeverityText = otlp.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
	}
	if id, err := hex.DecodeString(r.Trace); err == nil && len(id) == 16 {
		l.TraceId = id
	}
	name := "weir.entry"
	switch r.Kind {
	case "tool":
		name = "gen_ai.tool.name"
	case "prompt":
		name = "gen_ai.prompt.name"
	}
	for _, a := range [...]struct{ key, value string }{
		{"log.record.uid", r.ID},
		{"weir.principal", r.Who},
		{"mcp.method.name", r.Method},
		{"weir.upstream", r.Upstream},
		{name, r.Name},
		{"weir.era", r.Era},
		{"weir.policy.rule", r.Rule},
		{"weir.outcome", r.Outcome},
		{"weir.execution", r.Execution},
		{"weir.reason", r.Reason},
		{"client.address", r.Address},
	} {
		if a.value != "" {
			l.Attributes = append(l.Attributes, text(a.key, a.value))
		}
	}
	if requestlog.Failed(r.Outcome) {
		l.Attributes = append(l.Attributes, text("error.type", r.Outcome))
	}
	for _, part := range [...]struct {
		key    string
		millis float64
	}{{"weir.duration_ms", r.Millis}, {"weir.queue_ms", r.Queue}, {"weir.upstream_ms", r.Upstreams}} {
		l.Attributes = append(l.Attributes, &common.KeyValue{Key: part.key, Value: &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: part.millis}}})
	}
	return l
}
