package requestlog

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"weir/catalog/rawjson"
)

// Row is one request.
type Row struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Who       string    `json:"who"`
	Method    string    `json:"method"`
	Upstream  string    `json:"upstream,omitempty"`
	Name      string    `json:"name,omitempty"` // of the tool or prompt, or the URI
	Kind      string    `json:"kind,omitempty"`
	Era       string    `json:"era"`
	Rule      string    `json:"rule,omitempty"`
	Outcome   string    `json:"outcome"`
	Execution string    `json:"execution,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Millis    float64   `json:"ms"`
	Queue     float64   `json:"queueMs,omitempty"`    // of it, waiting for a turn at the upstream
	Upstreams float64   `json:"upstreamMs,omitempty"` // of it, with the upstream
	In        int       `json:"in"`
	Out       int       `json:"out"`
	Trace     string    `json:"trace,omitempty"`
	Address   string    `json:"address,omitempty"`
	Arguments string    `json:"arguments,omitempty"` // raw, redacted
	Result    string    `json:"result,omitempty"`    // as Arguments
}

// The members of a row as it is kept. Those that are empty are left out, but for the id and the time.
const (
	inID = iota
	inAt
	inWho
	inMethod
	inUpstream
	inName
	inKind
	inEra
	inRule
	inOutcome
	inExecution
	inReason
	inMillis
	inQueue
	inUpstreamMillis
	inIn
	inOut
	inTrace
	inAddress
	inArguments
	inResult
	members
)

// names are the keys of the members, in their order. Those from ms to out are numbers, all others strings.
func names() [members]string {
	return [members]string{
		"id", "at", "who", "method", "upstream", "name", "kind", "era", "rule", "outcome", "execution", "reason", "ms", "queueMs", "upstreamMs", "in", "out",
		"trace", "address", "arguments", "result",
	}
}

// moment is how times are written: in UTC and of one length, so that they are in the order of their texts.
const moment = "2006-01-02T15:04:05.000000Z"

// appendMoment appends a time in that form; Go formats RFC 3339 four times as fast as a layout that it has to read.
func appendMoment(b []byte, t time.Time) []byte {
	b = t.UTC().AppendFormat(b, time.RFC3339)
	micros := t.Nanosecond() / 1000
	b[len(b)-1] = '.'
	for unit := 100_000; unit > 0; unit /= 10 {
		b = append(b, byte('0'+micros/unit%10))
	}
	return append(b, 'Z')
}

// append appends the row as one line of JSON, without its line end.
func (r *Row) append(b []byte) []byte {
	b = rawjson.AppendString(append(b, `{"id":`...), r.ID)
	b = append(appendMoment(append(b, `,"at":"`...), r.At), '"')
	text := func(key, value string) {
		if value != "" {
			b = rawjson.AppendString(append(b, key...), value)
		}
	}
	number := func(key string, value float64) {
		if value != 0 {
			b = strconv.AppendFloat(append(b, key...), value, 'f', -1, 64)
		}
	}
	text(`,"who":`, r.Who)
	text(`,"method":`, r.Method)
	text(`,"upstream":`, r.Upstream)
	text(`,"name":`, r.Name)
	text(`,"kind":`, r.Kind)
	text(`,"era":`, r.Era)
	text(`,"rule":`, r.Rule)
	text(`,"outcome":`, r.Outcome)
	text(`,"execution":`, r.Execution)
	text(`,"reason":`, r.Reason)
	number(`,"ms":`, r.Millis)
	number(`,"queueMs":`, r.Queue)
	number(`,"upstreamMs":`, r.Upstreams)
	number(`,"in":`, float64(r.In))
	number(`,"out":`, float64(r.Out))
	text(`,"trace":`, r.Trace)
	text(`,"address":`, r.Address)
	text(`,"arguments":`, r.Arguments)
	text(`,"result":`, r.Result)
	return append(b, '}')
}

// line is a row as it is kept, taken apart: the raw values of its members.
type line struct {
	text   []byte
	member [members][]byte
}

// parse takes a row apart. Members come in their order, so that the next one is found at once.
func (l *line) parse(text []byte, keys *[members]string) error {
	*l = line{text: text}
	next := 0
	return rawjson.Members(text, func(key []byte, _, v rawjson.Span) bool {
		for i := range keys {
			if at := (next + i) % members; string(key) == keys[at] {
				l.member[at], next = v.Of(text), at+1
				break
			}
		}
		return true
	})
}

// row is the whole row.
func (l *line) row() (r Row, err error) {
	err = json.Unmarshal(l.text, &r)
	return r, err
}

// number is a member that is a number.
func (l *line) number(member int) float64 {
	n, _ := strconv.ParseFloat(string(l.member[member]), 64) // weir wrote it
	return n
}

// is reports whether a member is a string in raw form; an empty one is everything.
func (l *line) is(member int, raw []byte) bool {
	return len(raw) == 0 || bytes.Equal(l.member[member], raw)
}

// ID makes the id of a request that began at a moment; rest tells it from others of the same microsecond. Ids are in the order of time.
func ID(at time.Time, rest string) string {
	const digits = 10 // of base 36: enough until 2085
	var b [64]byte
	moment := max(at.UnixMicro(), 0)
	for i := digits - 1; i >= 0; i-- {
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[moment%36]
		moment /= 36
	}
	return string(append(append(b[:digits], '-'), rest...))
}

// idTime is the moment of an id, in Unix microseconds.
func idTime(id string) (int64, bool) {
	text, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(text, 36, 64)
	return n, err == nil
}
