package config

import (
	"fmt"

	"weir/server/record/export"
)

// telemetry checks where spans and metrics go.
func (r *reader) telemetry(root *node, file *File) {
	for _, of := range [...]struct{ signal, base string }{{"traces", file.Telemetry.Traces.OTLP}, {"metrics", file.Telemetry.Metrics.OTLP}} {
		n := root.get("telemetry").get(of.signal).get("otlp")
		if n == nil || of.base == "" {
			continue
		}
		full, err := r.expand.Expand(of.base)
		if err != nil {
			continue // reported with the reference
		}
		if err := export.CheckOTLP(full, "OTEL_EXPORTER_OTLP_HEADERS"); err != nil {
			r.problem(n.at, "telemetry.%s.otlp: %v", of.signal, err)
		}
	}
}

// exports checks the systems that are told of requests.
func (r *reader) exports(root *node, file *File) {
	list := root.get("export")
	if list == nil || len(list.items) != len(file.Export) {
		return
	}
	for i, spec := range file.Export {
		n := list.items[i]
		if n.kind != object {
			continue
		}
		missing := false
		for _, text := range [...]*string{&spec.Syslog, &spec.HTTP, &spec.OTLP} {
			full, err := r.expand.Expand(*text)
			missing = missing || err != nil // reported with the reference
			*text = full
		}
		if missing {
			continue
		}
		if key, err := spec.Check(); err != nil {
			at, path := n.at, fmt.Sprintf("export[%d]", i)
			if m := n.member(key); m != nil {
				at, path = m.value.at, join(path, key)
			}
			r.problem(at, "%s: %v", path, err)
		}
	}
}
