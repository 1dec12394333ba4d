package upstreamtest

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
)

// checkMeta says what of params._meta breaks the modern rules.
func (x *exchange) checkMeta() *rpcError {
	meta := x.params.object("_meta")
	version := meta.text(metaVersion)
	if x.method == "initialize" && version == "" { // an old client: the versions help it
		return x.unsupported(x.params.text("protocolVersion"))
	}
	if version == "" {
		return rpcErrorf(-32602, "_meta lacks %s", metaVersion)
	}
	if era, ok := x.speaks(version); !ok || era != Modern {
		return x.unsupported(version)
	}
	if meta.object(metaCapabilities) == nil {
		return rpcErrorf(-32602, "_meta lacks %s", metaCapabilities)
	}
	if x.method == "initialize" || x.method == "ping" || x.method == "logging/setLevel" || strings.HasSuffix(x.method, "subscribe") {
		return rpcErrorf(-32601, "method not found: %s", x.method)
	}
	return nil
}

func (x *exchange) unsupported(version string) *rpcError {
	return &rpcError{
		code: -32022, text: "unsupported protocol version",
		data: `{"supported":` + x.versions() + `,"requested":` + string(quote(version)) + `}`,
	}
}

// checkModern says what of a modern HTTP request breaks the rules: _meta first, then the headers that mirror the body (SEP-2243).
func (x *exchange) checkModern(h http.Header) *rpcError {
	version := x.params.object("_meta").text(metaVersion)
	if got := h.Get("Mcp-Protocol-Version"); version != "" && got != version {
		return rpcErrorf(-32020, "MCP-Protocol-Version is %q, body says %q", got, version)
	}
	if fail := x.checkMeta(); fail != nil {
		return fail
	}
	if got := h.Get("Mcp-Method"); got != x.method {
		return rpcErrorf(-32020, "Mcp-Method is %q, body says %q", got, x.method)
	}
	var want string
	switch x.method {
	case "tools/call", "prompts/get":
		want = x.params.text("name")
	case "resources/read":
		want = x.params.text("uri")
	default:
		return nil
	}
	if got, ok := headerValue(h, "Mcp-Name"); !ok || got != want {
		return rpcErrorf(-32020, "Mcp-Name is %q, body says %q", h.Get("Mcp-Name"), want)
	}
	if x.method == "tools/call" {
		return x.checkParams(h)
	}
	return nil
}

// checkParams compares Mcp-Param headers with the arguments they mirror.
func (x *exchange) checkParams(h http.Header) *rpcError {
	tool := x.find(func(c Content) []Raw { return c.Tools }, "name", x.params.text("name"))
	var fail *rpcError
	walkHeaders(tool.object("inputSchema"), x.params.object("arguments"), func(name string, value json.RawMessage) {
		header := "Mcp-Param-" + name
		got, present := headerValue(h, header)
		absent := value == nil || string(value) == "null"
		switch {
		case absent && len(h.Values(header)) > 0:
			fail = rpcErrorf(-32020, "%s is there, the argument is not", header)
		case absent:
		case !present:
			fail = rpcErrorf(-32020, "%s is missing", header)
		case !sameValue(got, value):
			fail = rpcErrorf(-32020, "%s is %q, the argument is %s", header, got, value)
		}
	})
	return fail
}

// walkHeaders calls f for each property with an x-mcp-header annotation, reached through properties only.
func walkHeaders(schema, args members, f func(name string, value json.RawMessage)) {
	props := schema.object("properties")
	for key := range props {
		p := props.object(key)
		if name := p.text("x-mcp-header"); name != "" {
			f(name, args[key])
		}
		walkHeaders(p, args.object(key), f)
	}
}

// headerValue returns a header's value with the base64 form decoded.
func headerValue(h http.Header, name string) (string, bool) {
	vs := h.Values(name)
	if len(vs) != 1 {
		return "", false
	}
	enc, ok := strings.CutPrefix(vs[0], "=?base64?")
	if enc, ok2 := strings.CutSuffix(enc, "?="); ok && ok2 {
		b, err := base64.StdEncoding.DecodeString(enc)
		return string(b), err == nil
	}
	return vs[0], true
}

// sameValue compares a header with an argument: text exactly, numbers by value.
func sameValue(header string, value json.RawMessage) bool {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s == header
	}
	a, ok := new(big.Float).SetString(header)
	b, ok2 := new(big.Float).SetString(string(value))
	if ok && ok2 {
		return a.Cmp(b) == 0
	}
	return header == string(value)
}
