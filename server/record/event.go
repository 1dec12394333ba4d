package record

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
)

// eventSize is the room that most records fit in, in bytes.
const eventSize = 768

// intent appends the audit log's record of a call that is about to leave.
func (r *Recorder) intent(b []byte, s *state, e *server.Event) []byte {
	return append(r.call(append(b, `{"kind":"intent"`...), s, e), '}')
}

// outcome appends the audit log's record of a request that is over; for one that never left it is the only one.
func (r *Recorder) outcome(b []byte, s *state, e *server.Event) []byte {
	b = append(b, `{"kind":"outcome"`...)
	if s.intended {
		b = appendText(b, "id", r.id(s, e))
	} else {
		b = r.call(b, s, e)
	}
	b = appendText(b, "outcome", e.Outcome)
	if e.Reason != "" {
		b = appendText(b, "reason", e.Reason)
	}
	for i, f := range e.Findings {
		if i == 0 {
			b = append(b, `,"guards":[`...)
		} else {
			b = append(b, ',')
		}
		if b = rawjson.AppendString(b, f.String()); i == len(e.Findings)-1 {
			b = append(b, ']')
		}
	}
	if knowsExecution(e) {
		b = appendText(b, "execution", e.Execution.String())
	}
	b = appendMillis(b, "ms", e.Duration)
	if e.Queue > 0 {
		b = appendMillis(b, "queueMs", e.Queue)
	}
	if e.Upstream > 0 {
		b = appendMillis(b, "upstreamMs", e.Upstream)
	}
	b = strconv.AppendInt(append(b, `,"in":`...), int64(e.In), 10)
	b = strconv.AppendInt(append(b, `,"out":`...), int64(e.Out), 10)
	if r.o.AuditContents.Results && s.result != nil {
		b = append(append(b, `,"result":`...), s.result...)
	}
	return append(b, '}')
}

// call says who asked for what.
func (r *Recorder) call(b []byte, s *state, e *server.Event) []byte {
	b = appendText(b, "id", r.id(s, e))
	b = append(b, r.caller(e.Principal)...)
	b = appendText(b, "method", e.Method)
	if e.Ref != (catalog.Ref{}) {
		b = appendText(b, "ref", e.Ref.String())
	}
	if e.Rule != "" {
		b = appendText(b, "rule", e.Rule)
	}
	if s.policy != "" {
		b = appendText(b, "policy", s.policy)
	}
	b = appendText(b, "era", e.Era().String())
	if e.Address.IsValid() {
		b = append(e.Address.AppendTo(append(b, `,"address":"`...)), '"')
	}
	if id := s.traceID(); id != "" {
		b = appendText(b, "trace", id)
	}
	if r.o.AuditContents.Arguments && e.Entry != nil && s.arguments != nil {
		b = append(append(b, `,"arguments":`...), s.arguments...)
	}
	return b
}

// arguments are those of a call without secrets, nil when it has none.
func (r *Recorder) arguments(e *server.Event) []byte {
	raw := e.Request.Arguments.Of(e.Request.Data)
	if raw == nil {
		return nil
	}
	return r.forms.Clean(redacted(raw, r.masksOf(e.Entry).arguments))
}

// resultSize is how large a result may be that is recorded, in bytes.
const resultSize = 64 << 10

// result is what came back from an entry, without secrets, or how large it is; nil when nothing did.
func (r *Recorder) result(e *server.Event) []byte {
	if e.Entry == nil || e.Answer == nil {
		return nil
	}
	raw := e.Answer.Result.Of(e.Answer.Data)
	switch {
	case raw == nil:
		return nil
	case len(raw) > resultSize:
		return fmt.Appendf(nil, `"[%d bytes]"`, len(raw))
	}
	return r.forms.Clean(redacted(raw, r.masksOf(e.Entry).result))
}

// caller is what records say of a caller.
func (r *Recorder) caller(p policy.Principal) []byte {
	if b, ok := r.callers.Get(p); ok {
		return b
	}
	b := appendText(nil, "who", p.String())
	if with := slices.DeleteFunc(p.Subjects(), func(s string) bool { return s == p.String() }); len(with) > 0 {
		b = append(b, `,"with":[`...)
		for i, s := range with {
			if i > 0 {
				b = append(b, ',')
			}
			b = rawjson.AppendString(b, s)
		}
		b = append(b, ']')
	}
	if tenant := p.Tenant(); tenant != "" {
		b = appendText(b, "tenant", tenant)
	}
	r.callers.Add(p, b)
	return b
}

// knowsExecution reports whether it means anything to say whether a failed call was executed.
func knowsExecution(e *server.Event) bool {
	return e.Reason != "" && (e.Execution != catalog.Unknown || e.Upstream > 0)
}

func appendText(b []byte, key, value string) []byte {
	b = append(append(append(b, `,"`...), key...), `":`...)
	return rawjson.AppendString(b, value)
}

// appendMillis appends milliseconds, to the microsecond.
func appendMillis(b []byte, key string, d time.Duration) []byte {
	b = append(append(append(b, `,"`...), key...), `":`...)
	return strconv.AppendFloat(b, millis(d), 'f', -1, 64)
}
