package mcphttp

import (
	"context"
	"errors"
	"net/http"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/server"
)

// batchVersion is the one revision in which a message may be an array of messages (spec 2025-03-26, basic/index#batching).
const batchVersion = "2025-03-26"

// serveLegacy answers a message of a legacy client (spec 2025-11-25, streamable-http).
func (x *exchange) serveLegacy(m *rawjson.Message) {
	if m.Kind == rawjson.Request && m.MethodName() == "initialize" {
		x.initialize(m)
		return
	}
	s, ok := x.session(m.ID.Of(m.Data))
	if !ok {
		return
	}
	if s != nil {
		defer s.Use()()
		x.owner = s
	}
	switch m.Kind {
	case rawjson.Request:
		if reply := x.serveRequest(m, s); reply != nil {
			x.finish(reply)
		} else {
			x.withdrawn()
		}
	case rawjson.Notification:
		if s != nil {
			x.endpoint.gateway.Noted(s, m)
		}
		x.accepted()
	default:
		if s != nil {
			s.Answer(m)
		}
		x.accepted()
	}
}

// initialize opens a session.
func (x *exchange) initialize(m *rawjson.Message) {
	c, reply := x.endpoint.gateway.Initialize(m)
	if c.Version == "" {
		x.finish(reply)
		return
	}
	s := x.endpoint.gateway.NewSession(x.principal, c)
	if !x.endpoint.sessions.Add(s) {
		x.finish(server.ErrorReply(http.StatusServiceUnavailable, m.ID.Of(m.Data), server.CodeInternal, "too many open sessions", nil))
		return
	}
	x.w.Header()[headerSession] = []string{s.ID}
	x.finish(reply)
}

// session finds the session a legacy request belongs to, nil for a request without one. When it returns false the answer is written.
func (x *exchange) session(id []byte) (*server.Session, bool) {
	if v := x.r.Header.Get(headerVersion); v != "" && !server.IsLegacyVersion(v) {
		x.finish(server.ErrorReply(http.StatusBadRequest, id, server.CodeInvalidRequest, "unsupported MCP-Protocol-Version "+printable(v), nil))
		return nil, false
	}
	key := x.r.Header.Get(headerSession)
	if key == "" {
		return nil, true
	}
	s := x.endpoint.sessions.Get(key, x.principal)
	if s == nil {
		x.finish(server.ErrorReply(http.StatusNotFound, id, server.CodeInvalidRequest, "session not found; send initialize", nil))
		return nil, false
	}
	return s, true
}

// withdrawn ends the answer to a request that its client cancelled, without a message.
func (x *exchange) withdrawn() {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case !x.started:
		x.accepted()
	case x.stream != nil:
		x.stream.end()
	}
	x.gone = true
}

// serveRequest answers one legacy request. It runs on when the client disconnects and ends with the session. It returns nil for a request that was
// cancelled: nothing is sent for it any more (spec 2025-11-25, basic/utilities/cancellation).
func (x *exchange) serveRequest(m *rawjson.Message, s *server.Session) *server.Reply {
	ctx, c := x.endpoint.life, x.stranger()
	if s != nil {
		c = s.Client()
		inner, end := s.Begin(ctx, m.ID.Of(m.Data))
		if inner == nil {
			return server.ErrorReply(http.StatusOK, m.ID.Of(m.Data), server.CodeInvalidRequest, "a request with this id is still open", nil)
		}
		defer end()
		ctx = inner
	}
	request := x.request(m, c, s)
	if x.r.Header["Traceparent"] != nil { // nothing else is asked for in this era
		request.Header = x.header
	}
	reply := x.endpoint.gateway.Serve(ctx, request)
	if errors.Is(context.Cause(ctx), server.ErrCanceled) {
		reply.Release()
		return nil
	}
	return reply
}

// stranger is what is known of a legacy client without a session: the revision in its header, or the one the specification assumes.
func (x *exchange) stranger() *catalog.Client {
	version := x.r.Header.Get(headerVersion)
	if version == "" {
		version = batchVersion
	}
	return &catalog.Client{Era: catalog.Legacy, Version: version, Capabilities: []byte(`{}`)}
}

// refuse answers a body that the scanner did not accept: as a batch where the revision has those.
func (e *Endpoint) refuse(x *exchange, body []byte, err error) {
	if errors.Is(err, rawjson.ErrBatch) {
		s, ok := x.session(nil)
		if !ok {
			return
		}
		if s != nil && s.Client().Version == batchVersion {
			x.serveBatch(body, s)
			return
		}
	}
	x.finish(server.Refusal(body, err))
}

// maxBatch bounds the messages of one batch.
const maxBatch = 100

// serveBatch answers an array of messages with the array of their responses, one after the other.
func (x *exchange) serveBatch(body []byte, s *server.Session) {
	defer s.Use()()
	x.owner = s
	var parts [][]byte
	err := rawjson.Elements(body, func(value rawjson.Span) bool {
		parts = append(parts, value.Of(body))
		return len(parts) <= maxBatch
	})
	if err != nil || len(parts) == 0 || len(parts) > maxBatch {
		x.finish(server.ErrorReply(http.StatusBadRequest, nil, server.CodeInvalidRequest, "batch is empty, too long or malformed", nil))
		return
	}
	var out []byte
	for _, part := range parts {
		reply := x.serveMember(part, s)
		if reply == nil {
			continue
		}
		if len(out) > 0 {
			out = append(out, ',')
		}
		out = reply.AppendLine(out)
		reply.Release()
	}
	if len(out) == 0 {
		x.withdrawn() // only notifications, or requests that were all cancelled
		return
	}
	x.finish(server.RawReply(append(append([]byte{'['}, out...), ']')))
}

// serveMember handles one message of a batch; nil when it needs no answer.
func (x *exchange) serveMember(part []byte, s *server.Session) *server.Reply {
	var m rawjson.Message
	if err := rawjson.Scan(&m, part); err != nil {
		return server.Refusal(part, err)
	}
	switch {
	case m.Kind == rawjson.Notification:
		x.endpoint.gateway.Noted(s, &m)
	case m.Kind == rawjson.Request && m.MethodName() == "initialize":
		return server.ErrorReply(http.StatusOK, m.ID.Of(m.Data), server.CodeInvalidRequest, "initialize cannot be part of a batch", nil)
	case m.Kind == rawjson.Request:
		return x.serveRequest(&m, s)
	default:
		s.Answer(&m)
	}
	return nil
}

// requestContext is the context of something that ends with the connection, with the session's owner, or with the endpoint.
func (e *Endpoint) requestContext(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(e.life, cancel)
	return ctx, func() { stop(); cancel() }
}
