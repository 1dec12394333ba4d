package upstreamtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// members is one JSON object by key. Values keep their bytes.
type members map[string]json.RawMessage

// message is one JSON-RPC message.
type message struct {
	raw    []byte
	id     json.RawMessage // nil when absent
	method string
	params members
	rawParams,
	result, errObj json.RawMessage
}

// parse reads a message; err says what is wrong in JSON-RPC's terms.
func parse(raw []byte) (message, *rpcError) {
	m := message{raw: raw}
	var top members
	if err := json.Unmarshal(raw, &top); err != nil {
		if t := bytes.TrimSpace(raw); json.Valid(raw) && len(t) > 0 && t[0] == '[' {
			return m, rpcErrorf(-32600, "batches are not supported")
		}
		return m, rpcErrorf(-32700, "parse error: %v", err)
	}
	m.id, m.rawParams, m.result, m.errObj = top["id"], top["params"], top["result"], top["error"]
	if string(top["jsonrpc"]) != `"2.0"` {
		return m, rpcErrorf(-32600, "jsonrpc is not 2.0")
	}
	if raw, ok := top["method"]; ok {
		if err := json.Unmarshal(raw, &m.method); err != nil || m.method == "" {
			return m, rpcErrorf(-32600, "method is not a string")
		}
	}
	if m.id != nil && !validID(m.id) && m.method != "" {
		return m, rpcErrorf(-32600, "id is neither string nor integer")
	}
	if m.rawParams != nil {
		if err := json.Unmarshal(m.rawParams, &m.params); err != nil || m.params == nil {
			return m, rpcErrorf(-32600, "params is not an object")
		}
	}
	if m.method == "" && m.result == nil && m.errObj == nil {
		return m, rpcErrorf(-32600, "neither request nor response")
	}
	return m, nil
}

func validID(id []byte) bool {
	return len(id) > 0 && (id[0] == '"' || strings.Trim(string(id), "-0123456789") == "")
}

// object returns a member of o that is an object, nil when absent or something else.
func (o members) object(key string) members {
	var v members
	if json.Unmarshal(o[key], &v) != nil {
		return nil
	}
	return v
}

// text returns a member of o that is a string, "" when absent or something else.
func (o members) text(key string) string {
	var s string
	if json.Unmarshal(o[key], &s) != nil {
		return ""
	}
	return s
}

// target is what the message is about: the name of a tool or prompt, the URI of a resource.
func (m *message) target() string {
	switch m.method {
	case "completion/complete":
		ref := m.params.object("ref")
		return ref.text("name") + ref.text("uri")
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return m.params.text("uri")
	}
	return m.params.text("name")
}

type rpcError struct {
	code int
	text string
	data string // raw JSON, or ""
}

func rpcErrorf(code int, format string, args ...any) *rpcError {
	return &rpcError{code: code, text: fmt.Sprintf(format, args...)}
}

func (e *rpcError) object() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"code":%d,"message":%s`, e.code, quote(e.text))
	if e.data != "" {
		b.WriteString(`,"data":` + e.data)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// response builds a response; member is `"result":…` or `"error":…`. A nil id is null.
func response(id []byte, key string, value []byte) []byte {
	if id == nil {
		id = []byte("null")
	}
	b := make([]byte, 0, len(id)+len(value)+48)
	b = append(append(append(b, `{"jsonrpc":"2.0","id":`...), id...), `,"`...)
	b = append(append(append(b, key...), `":`...), value...)
	return append(b, '}')
}

// notification builds a notification.
func notification(method string, params []byte) []byte {
	b := fmt.Appendf(nil, `{"jsonrpc":"2.0","method":%s`, quote(method))
	if params != nil {
		b = append(append(b, `,"params":`...), params...)
	}
	return append(b, '}')
}

// quote writes s as a JSON string with as few escapes as JSON allows.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// prepend puts a member in front of the members of a raw object.
func prepend(object []byte, member string) []byte {
	rest := bytes.TrimLeft(bytes.TrimLeft(object, " \t\r\n")[1:], " \t\r\n")
	out := append([]byte("{"), member...)
	if len(rest) > 0 && rest[0] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...)
}

// hasKey says whether the raw value is an object with the key, and whether it is an object at all.
func hasKey(value []byte, key string) (has, object bool) {
	var o members
	if json.Unmarshal(value, &o) != nil || o == nil {
		return false, false
	}
	_, has = o[key]
	return has, true
}

// list joins raw items into a JSON array.
func list(items []Raw) string {
	s := make([]string, len(items))
	for i, it := range items {
		s[i] = string(it)
	}
	return "[" + strings.Join(s, ",") + "]"
}
