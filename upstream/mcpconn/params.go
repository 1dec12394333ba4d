package mcpconn

import (
	"slices"
	"strconv"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// perHop reports whether a member of params._meta belongs to the hop it was received on (spec 2026-07-28, basic/index#meta). Everything
// else, traceparent included, is passed on; baggage is not: it is what a caller tells its own services (W3C Baggage, security considerations).
func perHop(key []byte) bool {
	switch string(key) {
	case mcp.MetaKeyProtocolVersion, mcp.MetaKeyClientInfo, mcp.MetaKeyClientCapabilities, mcp.MetaKeyLogLevel, mcp.MetaKeySubscriptionID,
		"progressToken", "baggage":
		return true
	}
	return false
}

// perHopTraced is perHop where weir traces: its own span goes on.
func perHopTraced(key []byte) bool {
	switch string(key) {
	case "traceparent", "tracestate":
		return true
	}
	return perHop(key)
}

// interactive reports whether a client capability lets a server ask the client something.
func interactive(key []byte) bool {
	switch string(key) {
	case "elicitation", "sampling", "roots":
		return true
	}
	return false
}

// appendParams appends the params of call for this connection: those of the caller, byte for byte, but for the target's name or URI and for the
// members of _meta that belong to a hop. The progress token, if any, is id.
func (c *Conn) appendParams(dst []byte, call *catalog.Call, id int64) []byte {
	m := call.Message
	at, with := targetOf(call)
	meta := m.Meta.Object
	from := m.Params.Start
	if m.Params.Absent() {
		dst = append(dst, '{')
	}
	if !at.Absent() && (meta.Absent() || at.Start < meta.Start) {
		dst = append(dst, m.Data[from:at.Start]...)
		dst = rawjson.AppendString(dst, with)
		from, at = at.End, rawjson.Span{}
	}
	if !meta.Absent() {
		dst = append(dst, m.Data[from:meta.Start]...)
		value := len(dst)
		drop := perHop
		if call.Traceparent != "" {
			drop = perHopTraced
		}
		dst = rawjson.AppendObject(dst, meta.Of(m.Data), drop)
		from = meta.End
		if dst = c.appendMeta(dst, call, id); len(dst)-value == len("{}") && !isEmpty(meta.Of(m.Data)) {
			dst, from = removeKey(dst[:value], m.Data, from)
		}
	}
	if !at.Absent() {
		dst = append(dst, m.Data[from:at.Start]...)
		dst = rawjson.AppendString(dst, with)
		from = at.End
	}
	if m.Params.Absent() {
		dst = append(dst, '}')
	} else {
		dst = append(dst, m.Data[from:m.Params.End]...)
	}
	if meta.Absent() {
		dst = c.addMeta(dst, call, id)
	}
	return dst
}

// targetOf returns the place of the name or URI in call's params and what stands there upstream.
func targetOf(call *catalog.Call) (rawjson.Span, string) {
	m := call.Message
	switch call.Method {
	case "resources/read":
		return m.URI, call.Target
	case "completion/complete":
		return targetOfRef(m), call.Target
	case "tasks/get", "tasks/update", "tasks/cancel":
		return m.TaskID, call.Target
	default:
		return m.Name, call.Target
	}
}

// targetOfRef finds what the ref of a completion names: its uri, or else its name.
func targetOfRef(m *rawjson.Message) rawjson.Span {
	found, err := rawjson.Fields(m.Ref.Of(m.Data), "uri", "name")
	if err != nil {
		return rawjson.Span{}
	}
	at := found[0]
	if at.Absent() {
		at = found[1]
	}
	if at.Absent() {
		return at
	}
	return rawjson.Span{Start: m.Ref.Start + at.Start, End: m.Ref.Start + at.End}
}

// appendMeta adds this hop's members to the _meta object that ends dst.
func (c *Conn) appendMeta(dst []byte, call *catalog.Call, id int64) []byte {
	dst = dst[:len(dst)-1]
	if c.era == catalog.Modern {
		dst = append(comma(dst), c.hop...)
		dst = append(dst, `,"`+mcp.MetaKeyClientCapabilities+`":`...)
		dst = c.appendCapabilities(dst, call)
		if level := call.Client.LogLevel; level != "" {
			dst = append(dst, `,"`+mcp.MetaKeyLogLevel+`":`...)
			dst = rawjson.AppendString(dst, level)
		}
	}
	if wantsProgress(call) || call.Alive != nil {
		dst = append(comma(dst), `"progressToken":`...)
		dst = strconv.AppendInt(dst, id, 10)
	}
	return append(appendTrace(dst, call.Traceparent, call.Tracestate), '}')
}

// appendTrace adds the trace of a request, if it has one, to an open object.
func appendTrace(dst []byte, parent, state string) []byte {
	if parent == "" {
		return dst
	}
	dst = rawjson.AppendString(append(comma(dst), `"traceparent":`...), parent)
	if state != "" {
		dst = rawjson.AppendString(append(dst, `,"tracestate":`...), state)
	}
	return dst
}

// addMeta gives the object that ends dst a _meta if this hop has anything to say.
func (c *Conn) addMeta(dst []byte, call *catalog.Call, id int64) []byte {
	if c.era != catalog.Modern && call.Alive == nil && call.Traceparent == "" {
		return dst // without _meta the caller gave no progress token either
	}
	dst = append(comma(dst[:len(dst)-1]), `"_meta":{}`...)
	return append(c.appendMeta(dst, call, id), '}')
}

// comma ends what precedes a new member in an open object: dst gets a comma unless the object is empty so far.
func comma(dst []byte) []byte {
	for _, c := range slices.Backward(dst) {
		switch c {
		case ' ', '\t', '\n', '\r':
		case '{':
			return dst
		default:
			return append(dst, ',')
		}
	}
	return dst
}

func isEmpty(obj []byte) bool {
	for _, c := range obj[1:] {
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c == '}'
		}
	}
	return false
}

// appendCapabilities appends what is declared upstream for the caller: never more than the caller declared and weir carries. A modern caller answers
// input_required itself, an older one is asked by weir. Where that cannot be done, what would make the server ask is left out.
func (c *Conn) appendCapabilities(dst []byte, call *catalog.Call) []byte {
	var drop func([]byte) bool
	if !call.InputRequired && call.Ask == nil {
		drop = interactive
	}
	if drop == nil && !extended(call.Client.Capabilities) {
		return append(dst, call.Client.Capabilities...)
	}
	return c.appendExtended(dst, call, drop)
}

// wantsProgress reports whether the caller gave a progress token and takes notifications.
func wantsProgress(call *catalog.Call) bool {
	return call.Notify != nil && !call.Message.Meta.ProgressToken.Absent()
}

// removeKey takes back the key that ends dst, with its colon, and one comma beside the member: the one before it, or else the one at next in
// data, which is what follows the member's value. The key is one that has no quote in it.
func removeKey(dst, data []byte, next int) ([]byte, int) {
	dst = trimSpace(dst[:keyStart(dst, len(dst))])
	if dst[len(dst)-1] == ',' {
		return dst[:len(dst)-1], next
	}
	for data[next] != ',' {
		if data[next] == '}' {
			return dst, next
		}
		next++
	}
	return dst, next + 1
}

// keyStart returns where the member begins whose value begins at value. Its key is one that has no quote in it, however it is escaped.
func keyStart(data []byte, value int) int {
	i := value - 1
	for data[i] != '"' {
		i--
	}
	for i--; data[i] != '"'; i-- {
	}
	return i
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t' || b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}
