package mcphttp

import (
	"context"
	"net/http"
	"time"

	"weir/server"
)

// keepAlive is how often a quiet stream sends a comment: below the idle limits of the proxies and clients in the field (60 s and up).
const keepAlive = 20 * time.Second

var keepAliveComment = []byte(": keep-alive\n\n")

// delete ends a legacy session at its client's wish.
func (x *exchange) delete() {
	w := x.w
	if x.r.Header.Get(headerSession) == "" {
		w.Header().Set("Allow", "POST")
		plain(w, http.StatusMethodNotAllowed, "DELETE needs an Mcp-Session-Id")
		return
	}
	if s, ok := x.session(nil); ok {
		x.endpoint.sessions.Remove(s)
		w.WriteHeader(http.StatusNoContent)
	}
}

// pump writes what the outlet gets until the client leaves or is not who it was, ended is closed, or the server drains. It returns true when the end was weir's. Without an
// outlet it holds the connection for others to write; the request they write for is waited for by a server that drains.
func (x *exchange) pump(ctx context.Context, ended <-chan struct{}, outlet *server.Outlet) bool {
	if !x.comment([]byte(": open\n\n")) {
		return false
	}
	var drain, wake <-chan struct{}
	if outlet != nil {
		drain, wake = x.endpoint.drain, outlet.Wake()
	}
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	identity := time.NewTimer(x.again())
	defer identity.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ended:
			return true
		case <-drain:
			return true
		case <-identity.C:
			if !x.still() {
				return true
			}
			identity.Reset(x.again())
		case <-quiet.C:
			if !x.comment(keepAliveComment) {
				return false
			}
		case <-wake:
			for _, message := range outlet.Take() {
				x.event(append(append(x.buf[:0], eventStart...), message...))
			}
			if x.gone {
				return false
			}
		}
	}
}

// listen answers subscriptions/listen: acknowledgement first, then what was asked for and nothing else, each tagged with the request's id,
// and the completion result when weir ends the stream (spec 2026-07-28, basic/patterns/subscriptions).
func (x *exchange) listen(r *server.Request) {
	id := r.Message.ID.Of(r.Message.Data)
	want, err := server.ReadListen(r.Message)
	if err != nil {
		x.finish(server.ErrorReply(http.StatusOK, id, server.CodeInvalidParams, err.Error(), nil))
		return
	}
	if !x.streams {
		x.finish(server.ErrorReply(http.StatusOK, id, server.CodeInvalidRequest, "subscriptions/listen needs Accept: text/event-stream", nil))
		return
	}
	outlet := server.NewOutlet()
	ctx, cancel := x.endpoint.requestContext(x.r)
	defer cancel()
	ended, stop := x.endpoint.gateway.Open(ctx, r, want, outlet)
	defer stop()
	x.begin()
	if x.pump(ctx, ended, outlet) {
		x.finish(server.ListenEnded(id))
	}
}
