package rawjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// node is a value as the reference reader sees it: a slow recursive reader of its own, over text that encoding/json
// has found valid.
type node struct {
	span    Span
	raw     []byte
	members []refMember
	items   []*node
}

type refMember struct {
	key   string
	span  Span // key and value
	value *node
}

// reference reads data, or reports false when it is not JSON as this package understands it.
func reference(data []byte) (*node, bool) {
	if !json.Valid(data) || !utf8.Valid(data) {
		return nil, false
	}
	r := refReader{data: data}
	r.space()
	n := r.value(0)
	return n, !r.deep && !r.broken
}

// loneSurrogate reports whether the strings of valid JSON hold an escape for half of a surrogate pair.
func loneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		switch unit := strings.ToLower(string(data[i+1 : i+5])); {
		case unit < "d800" || unit > "dfff":
			i += 4
		case unit > "dbff" || len(data) < i+11 || string(data[i+5:i+7]) != `\u`:
			return true
		default:
			if low := strings.ToLower(string(data[i+7 : i+11])); low < "dc00" || low > "dfff" {
				return true
			}
			i += 10
		}
	}
	return false
}

type refReader struct {
	data []byte
	at   int
	deep bool

	broken bool // a key has half of a surrogate pair
}

func (r *refReader) space() {
	for r.at < len(r.data) && strings.IndexByte(" \t\r\n", r.data[r.at]) >= 0 {
		r.at++
	}
}

// next consumes c when it is the next byte after white space.
func (r *refReader) next(c byte) bool {
	r.space()
	if r.data[r.at] != c {
		return false
	}
	r.at++
	return true
}

func (r *refReader) value(depth int) *node {
	if depth > MaxDepth {
		r.deep = true
	}
	r.space()
	n := &node{span: Span{Start: r.at}}
	switch r.data[r.at] {
	case '"':
		r.str()
	case '{', '[':
		if depth == MaxDepth {
			r.deep = true
		}
		r.container(n, depth)
	default:
		for r.at < len(r.data) && strings.IndexByte(" \t\r\n,]}", r.data[r.at]) < 0 {
			r.at++
		}
	}
	n.span.End = r.at
	n.raw = r.data[n.span.Start:n.span.End]
	return n
}

func (r *refReader) container(n *node, depth int) {
	object := r.data[r.at] == '{'
	r.at++
	if r.next(']') || r.next('}') {
		return
	}
	for {
		if object {
			r.space()
			m := refMember{span: Span{Start: r.at}}
			start := r.at
			m.key = r.str()
			r.broken = r.broken || loneSurrogate(r.data[start:r.at])
			r.next(':')
			m.value = r.value(depth + 1)
			m.span.End = m.value.span.End
			n.members = append(n.members, m)
		} else {
			n.items = append(n.items, r.value(depth+1))
		}
		if !r.next(',') {
			r.at++
			return
		}
		r.space()
	}
}

// str reads a string and returns its text.
func (r *refReader) str() string {
	start := r.at
	for r.at++; r.data[r.at] != '"'; r.at++ {
		if r.data[r.at] == '\\' {
			r.at++
		}
	}
	r.at++
	return decoded(r.data[start:r.at])
}

func decoded(raw []byte) string {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return ""
	}
	return s
}

func (n *node) find(key string) *node {
	for _, m := range n.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// ambiguous reports whether n has two equal keys (or keys equal but for case, with fold), or a key that is one of known
// but for case.
func (n *node) ambiguous(fold bool, known ...string) bool {
	for i, m := range n.members {
		for _, other := range n.members[:i] {
			if m.key == other.key || fold && strings.EqualFold(m.key, other.key) {
				return true
			}
		}
		for _, name := range known {
			if m.key != name && strings.EqualFold(m.key, name) {
				return true
			}
		}
	}
	return false
}

func (n *node) ambiguousAnywhere() bool {
	if n.ambiguous(true) {
		return true
	}
	for _, m := range n.members {
		if m.value.ambiguousAnywhere() {
			return true
		}
	}
	for _, item := range n.items {
		if item.ambiguousAnywhere() {
			return true
		}
	}
	return false
}

func (n *node) isString() bool { return n != nil && n.raw[0] == '"' && !loneSurrogate(n.raw) }
func (n *node) isObject() bool { return n != nil && n.raw[0] == '{' }

func (n *node) isToken() bool {
	return n.isString() || n != nil && strings.IndexByte("-0123456789", n.raw[0]) >= 0 && !bytes.ContainsAny(n.raw, ".eE")
}

const mcp = "io.modelcontextprotocol/"

// known names, written out a second time so that a slip in the scanner's table shows.
func knownMessage() []string {
	return []string{"jsonrpc", "id", "method", "params", "result", "error"}
}

func knownParams() []string {
	return []string{
		"name", "uri", "arguments", "cursor", "ref", "level", "requestId", "progressToken", "_meta", "requestState",
		"inputResponses", "taskId", "protocolVersion", "clientInfo", "capabilities", "notifications", "argument", "context",
		"task",
	}
}

func knownMeta() []string {
	return []string{
		mcp + "protocolVersion", mcp + "clientInfo", mcp + "clientCapabilities", mcp + "serverInfo", mcp + "logLevel",
		mcp + "subscriptionId", "progressToken", "traceparent", "tracestate", "baggage",
	}
}

// referenceScan is Scan by the reference reader.
func referenceScan(data []byte) (Message, bool) {
	n, ok := reference(data)
	if !ok || !n.isObject() || n.ambiguous(false, knownMessage()...) {
		return Message{}, false
	}
	m := Message{Data: data}
	id, method, params := n.find("id"), n.find("method"), n.find("params")
	result, fault := n.find("result"), n.find("error")
	if version := n.find("jsonrpc"); version == nil || string(version.raw) != `"2.0"` {
		return Message{}, false
	}
	null := id != nil && string(id.raw) == "null"
	if id != nil && !null {
		if !id.isToken() {
			return Message{}, false
		}
		m.ID = id.span
	}
	switch {
	case method != nil && result == nil && fault == nil && method.isString() && !null:
		m.Kind, m.Method = Notification, method.span
		if id != nil {
			m.Kind = Request
		}
		return m, params == nil || m.referenceParams(params)
	case method == nil && result != nil && fault == nil && params == nil && id != nil && !null:
		m.Kind, m.Result = Result, result.span
		return m, m.referenceResult(result)
	case method == nil && result == nil && fault.isObject() && params == nil:
		m.Kind, m.Error = Error, fault.span
		return m, true
	}
	return Message{}, false
}

// want is one member that the reference records.
type want struct {
	name   string
	span   *Span
	is     func(*node) bool
	strict bool
}

// record fills the spans of n's members and reports whether all of them have their type.
func (n *node) record(lenient bool, wants ...want) bool {
	for _, w := range wants {
		v := n.find(w.name)
		switch {
		case v == nil:
		case w.is(v):
			*w.span = v.span
		case w.strict && !lenient:
			return false
		}
	}
	return true
}

// isNull reports whether the member of that name is null.
func (n *node) isNull(name string) bool {
	v := n.find(name)
	return v != nil && string(v.raw) == "null"
}

func (m *Message) referenceParams(params *node) bool {
	if string(params.raw) == "null" {
		return true
	}
	if !params.isObject() || params.ambiguous(true, knownParams()...) {
		return false
	}
	m.Params = params.span
	if ref := params.find("ref"); ref != nil && ref.ambiguous(false, "type", "name", "uri") {
		return false
	}
	str, obj, tok := (*node).isString, (*node).isObject, (*node).isToken
	return m.referenceMeta(params, false) && params.record(false,
		want{"name", &m.Name, str, true}, want{"uri", &m.URI, str, true}, want{"arguments", &m.Arguments, obj, !params.isNull("arguments")},
		want{"cursor", &m.Cursor, str, !params.isNull("cursor")}, want{"ref", &m.Ref, obj, true}, want{"level", &m.Level, str, true},
		want{"requestId", &m.RequestID, tok, true}, want{"progressToken", &m.ProgressToken, tok, true},
		want{"requestState", &m.RequestState, str, true}, want{"inputResponses", &m.InputResponses, obj, true},
		want{"taskId", &m.TaskID, str, true},
	)
}

func (m *Message) referenceResult(result *node) bool {
	if result.ambiguous(false, "_meta", "resultType", "isError") {
		return false
	}
	anything := func(*node) bool { return true }
	return m.referenceMeta(result, true) &&
		result.record(true, want{"resultType", &m.ResultType, (*node).isString, false}, want{"isError", &m.IsError, anything, false})
}

func (m *Message) referenceMeta(in *node, lenient bool) bool {
	meta := in.find("_meta")
	if meta == nil || !meta.isObject() {
		return meta == nil || lenient
	}
	if meta.ambiguous(false, knownMeta()...) {
		return false
	}
	m.Meta.Object = meta.span
	str, obj, tok := (*node).isString, (*node).isObject, (*node).isToken
	return meta.record(lenient,
		want{mcp + "protocolVersion", &m.Meta.ProtocolVersion, str, true},
		want{mcp + "clientInfo", &m.Meta.ClientInfo, obj, true},
		want{mcp + "clientCapabilities", &m.Meta.ClientCapabilities, obj, true},
		want{mcp + "serverInfo", &m.Meta.ServerInfo, obj, false},
		want{mcp + "logLevel", &m.Meta.LogLevel, str, true},
		want{mcp + "subscriptionId", &m.Meta.SubscriptionID, tok, true},
		want{"progressToken", &m.Meta.ProgressToken, tok, true},
		want{"traceparent", &m.Meta.Traceparent, str, false},
		want{"tracestate", &m.Meta.Tracestate, str, false},
		want{"baggage", &m.Meta.Baggage, str, false},
	)
}
