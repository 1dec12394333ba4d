package mcphttp

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog/rawjson"
	"weir/server"
)

// The mirrored headers as net/http spells them.
const (
	headerVersion = "Mcp-Protocol-Version"
	headerMethod  = "Mcp-Method"
	headerName    = "Mcp-Name"
	headerSession = "Mcp-Session-Id"
)

// modern tells the era of a message: its own _meta, or the header where a broken message lacks that.
func (x *exchange) modern(m *rawjson.Message) bool {
	if !m.Meta.ProtocolVersion.Absent() {
		return true
	}
	v := x.r.Header[headerVersion]
	return len(v) == 1 && mcp.IsModernProtocol(v[0])
}

// serveModern answers a message of a modern client (spec 2026-07-28, streamable-http).
func (x *exchange) serveModern(m *rawjson.Message) {
	if m.Kind != rawjson.Request {
		if m.Kind == rawjson.Notification {
			x.accepted()
			return
		}
		x.finish(server.ErrorReply(http.StatusBadRequest, nil, server.CodeInvalidRequest, "a client sends requests and notifications only", nil))
		return
	}
	if reason := x.mirrored(m); reason != "" {
		x.finish(server.ErrorReply(http.StatusBadRequest, m.ID.Of(m.Data), server.CodeHeaderMismatch, reason, nil))
		return
	}
	c, refused := x.endpoint.gateway.ModernClient(m)
	if refused != nil {
		x.finish(refused)
		return
	}
	if c.LogLevel != "" {
		c.Session = "request " + strconv.FormatInt(x.endpoint.opted.Add(1), 10)
	}
	request := x.request(m, c, nil)
	request.Header = x.header
	if m.MethodName() == "subscriptions/listen" {
		x.listen(request)
		return
	}
	x.finish(x.endpoint.gateway.Serve(x.r.Context(), request))
}

// header returns a mirrored header, decoded.
func (x *exchange) header(name string) (string, bool) {
	v := x.r.Header[name]
	if len(v) == 0 {
		return "", false
	}
	if len(v) > 1 {
		return strings.Join(v, ","), true // two values can only mismatch
	}
	text, ok := mcp.DecodeHeaderValue(v[0])
	if !ok {
		return v[0], true
	}
	return text, true
}

// mirrored compares the headers that every modern request carries with its body; the body is the truth, and what disagrees is refused.
func (x *exchange) mirrored(m *rawjson.Message) string {
	if reason := x.mirrors(headerVersion, m.Meta.ProtocolVersion.Of(m.Data)); reason != "" && !m.Meta.ProtocolVersion.Absent() {
		return reason
	}
	if reason := x.mirrors(headerMethod, m.Method.Of(m.Data)); reason != "" {
		return reason
	}
	switch m.MethodName() {
	case "tools/call", "prompts/get":
		if !m.Name.Absent() {
			return x.mirrors(headerName, m.Name.Of(m.Data))
		}
	case "resources/read":
		if !m.URI.Absent() {
			return x.mirrors(headerName, m.URI.Of(m.Data))
		}
	}
	return ""
}

// mirrors returns why a header does not say what the raw string says.
func (x *exchange) mirrors(name string, raw []byte) string {
	got, ok := x.header(name)
	if !ok {
		return "header " + name + " is missing"
	}
	// The usual value needs no unescaping: the raw string is the text in quotes.
	if n := len(raw); n == len(got)+2 && string(raw[1:n-1]) == got && !strings.Contains(got, `\`) {
		return ""
	}
	if want, ok := rawjson.String(raw); ok && want == got {
		return ""
	}
	return "header " + name + " does not match the body"
}
