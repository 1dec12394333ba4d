package record

import (
	"time"

	"weir/catalog"
	"weir/server/record/requestlog"
)

// Row is the record in the request log, with the redacted arguments of the call if they are wanted. It must be made before End returns.
func (r *Record) Row(arguments bool) requestlog.Row {
	e := r.Event
	row := requestlog.Row{
		ID: r.ID, At: e.Start, Who: e.Principal.String(), Method: e.Method, Era: e.Era().String(), Rule: e.Rule, Outcome: e.Outcome, Reason: e.Reason,
		Millis: millis(e.Duration), Queue: millis(e.Queue), Upstreams: millis(e.Upstream), In: e.In, Out: e.Out, Trace: r.TraceID,
	}
	if e.Ref != (catalog.Ref{}) {
		row.Upstream, row.Name, row.Kind = e.Ref.Upstream, e.Ref.Name, e.Kind.String()
	}
	if knowsExecution(e) {
		row.Execution = e.Execution.String()
	}
	if e.Address.IsValid() {
		row.Address = e.Address.String()
	}
	if raw := e.Request.Arguments.Of(e.Request.Data); arguments && raw != nil {
		row.Arguments = string(appendRedacted(nil, raw))
	}
	return row
}

// millis are milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
