package record

import "time"

// Telemetry is what weir tells monitoring systems. Without endpoints and addresses it tells nothing. The variables of OpenTelemetry
// (OTEL_EXPORTER_OTLP_HEADERS and the like) work besides.
type Telemetry struct {
	// Traces go to an OTLP endpoint.
	Traces Traces `yaml:"traces"`
	// Metrics go to an OTLP endpoint, or are fetched by Prometheus.
	Metrics Metrics `yaml:"metrics"`
}

// Traces says where spans go.
type Traces struct {
	// OTLP is the base URL of an OTLP/HTTP endpoint, such as http://localhost:4318.
	OTLP string `yaml:"otlp"`
	// Sample is the part of the traces that weir itself begins which are kept, 0 to 1. A caller's own decision is followed.
	Sample float64 `yaml:"sample"`
}

// Metrics says where metrics go.
type Metrics struct {
	// OTLP is the base URL of an OTLP/HTTP endpoint.
	OTLP string `yaml:"otlp"`
	// Prometheus is the address, host:port, of an endpoint /metrics. Whoever can reach it can read it.
	Prometheus string `yaml:"prometheus"`
	// Interval is how often metrics are sent to OTLP.
	Interval time.Duration `yaml:"interval"`
}

// Audit is the append-only log of every request.
type Audit struct {
	// Dir is the folder of the log; without one there is none.
	Dir string `yaml:"dir"`
	// OnFailure says what happens to calls while the log cannot be written: block refuses them, degrade lets them pass.
	OnFailure string `yaml:"onFailure"`
	// Intents says which calls must be on disk before they leave: those of writes, or all.
	Intents string `yaml:"intents"`
	// Keep is how long sealed segments are kept; for ever when left out.
	Keep time.Duration `yaml:"keep"`
	// SegmentBytes is how large a segment may become.
	SegmentBytes int64 `yaml:"segmentBytes"`
	// Arguments are recorded with every call, without secrets: what its schema marks as such, and the values of keys that name them.
	Arguments bool `yaml:"arguments"`
	// Results are recorded as Arguments are, up to 64 KiB.
	Results bool `yaml:"results"`
}

// DefaultTelemetry and DefaultAudit are what stands where the file says nothing.
func DefaultTelemetry() Telemetry {
	return Telemetry{Traces: Traces{Sample: 0.01}, Metrics: Metrics{Interval: time.Minute}}
}

// DefaultAudit is what stands where the file says nothing.
func DefaultAudit() Audit { return Audit{OnFailure: "block", Intents: "writes"} }
