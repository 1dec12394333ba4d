package record

import (
	"strings"
	"time"

	"weir/catalog"
	"weir/server"
	"weir/server/record/requestlog"
)

// Row is the record in the request log.
func (r *Record) Row() requestlog.Row {
	e := r.Event
	row := requestlog.Row{
		ID: r.ID, At: e.Start, Who: e.Principal.String(), Method: e.Method, Era: e.Era().String(), Rule: e.Rule, Outcome: e.Outcome, Reason: e.Reason,
		Millis: millis(e.Duration), Queue: millis(e.Queue), Upstreams: millis(e.Upstream), In: e.In, Out: e.Out, Trace: r.TraceID, Arguments: string(r.Arguments), Result: string(r.Result),
	}
	if e.Ref != (catalog.Ref{}) {
		row.Upstream, row.Name, row.Kind = e.Ref.Upstream, e.Ref.Name, e.Kind.String()
	}
	if row.Reason == "" && len(e.Findings) > 0 {
		row.Reason = found(e.Findings)
	}
	if knowsExecution(e) {
		row.Execution = e.Execution.String()
	}
	if e.Address.IsValid() {
		row.Address = e.Address.String()
	}
	return row
}

// found says what guards found in a request that passed.
func found(all []server.Finding) string {
	var b strings.Builder
	for i, f := range all {
		if i == 0 {
			b.WriteString("guards: ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// millis are milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
