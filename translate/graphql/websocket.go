package graphql

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

const (
	wsProtocol = "graphql-transport-ws"
	// ackTimeout bounds how long a server takes to accept the connection.
	ackTimeout = 10 * time.Second
	// wsOperation is the identifier of the only operation on a connection.
	wsOperation = "1"
)

// wsMessage is one message of the protocol (graphql-ws, PROTOCOL.md).
type wsMessage struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socket subscribes over a WebSocket in the protocol graphql-transport-ws: one connection, one operation.
func (x *exchange) socket(ctx context.Context, p *payload) *translate.Result {
	conn, refused, failure := x.connect(ctx)
	if refused && x.api.configured() && x.api.options.Credentials.Renew(ctx, scheme(), x.call.Owner) {
		conn, _, failure = x.connect(ctx) // nothing was subscribed to yet
	}
	if failure != nil {
		return failure
	}
	defer func() { _ = conn.CloseNow() }()
	if err := say(ctx, conn, wsMessage{ID: wsOperation, Type: "subscribe", Payload: p.json()}); err != nil {
		return x.unreached(ctx, err)
	}
	c := x.newCollector()
	x.follow(ctx, conn, c)
	return c.ended(x)
}

// connect opens a session. refused says that the server did not take the credential.
func (x *exchange) connect(ctx context.Context) (conn *websocket.Conn, refused bool, failure *translate.Result) {
	address := x.api.spec.SubscriptionURL
	if address == "" {
		address = x.api.spec.GraphQL
	}
	if rest, ok := strings.CutPrefix(address, "ws"); ok {
		address = "http" + rest // the same thing for the transport and for credentials
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, false, translate.Failure("The call was not sent: " + err.Error() + ".")
	}
	if failure := x.authorize(ctx, r); failure != nil {
		return nil, false, failure
	}
	conn, response, err := websocket.Dial(ctx, r.URL.String(), &websocket.DialOptions{ //nolint:bodyclose // the library closes it
		HTTPClient: &http.Client{Transport: x.api.options.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		HTTPHeader: r.Header, Subprotocols: []string{wsProtocol},
	})
	if err != nil {
		if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
			return nil, response.StatusCode == http.StatusUnauthorized, x.stranger(response, nil, nil)
		}
		return nil, false, x.unreached(ctx, err)
	}
	conn.SetReadLimit(maxEvent)
	if conn.Subprotocol() != wsProtocol {
		failure = translate.Failure("The API does not speak " + wsProtocol + ". Subscriptions may have to be configured as sse.")
	} else {
		refused, failure = x.greet(ctx, conn, r.Header.Get("Authorization"))
	}
	if failure != nil {
		_ = conn.CloseNow()
		return nil, refused, failure
	}
	return conn, false, nil
}

func say(ctx context.Context, conn *websocket.Conn, m wsMessage) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, data)
}

// hear reads the next message, and answers pings.
func hear(ctx context.Context, conn *websocket.Conn) (wsMessage, error) {
	for {
		var m wsMessage
		_, data, err := conn.Read(ctx)
		if err != nil {
			return m, err
		}
		if err := json.Unmarshal(data, &m); err != nil {
			return m, err
		}
		if m.Type != "ping" {
			return m, nil
		}
		if err := say(ctx, conn, wsMessage{Type: "pong"}); err != nil {
			return m, err
		}
	}
}

// The codes with which a server closes a connection whose credential it does not take.
const (
	closeUnauthorized = 4401
	closeForbidden    = 4403
)

// greet opens the session. The credential stands in its first message too: that is where servers look for it, since programs in browsers cannot
// set headers of a WebSocket.
func (x *exchange) greet(ctx context.Context, conn *websocket.Conn, authorization string) (refused bool, failure *translate.Result) {
	soon, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	hello := wsMessage{Type: "connection_init"}
	if authorization != "" {
		hello.Payload = append(rawjson.AppendString([]byte(`{"Authorization":`), authorization), '}')
	}
	if err := say(soon, conn, hello); err != nil {
		return false, x.unreached(soon, err)
	}
	switch m, err := hear(soon, conn); {
	case err != nil && websocket.CloseStatus(err) >= 4000:
		code := websocket.CloseStatus(err)
		return code == closeUnauthorized || code == closeForbidden, translate.Failure("The API refused the connection: " + x.scrub(closeReason(err)))
	case err != nil:
		return false, x.unreached(soon, err)
	case m.Type != "connection_ack":
		return false, translate.Failure("The API answered " + wsProtocol + " in a way that is none.")
	}
	return false, nil
}

// follow collects events until the server, a limit or the time ends them.
func (x *exchange) follow(ctx context.Context, conn *websocket.Conn, c *collector) {
	received := int64(0)
	for !c.Stopped() {
		m, err := hear(ctx, conn)
		if received += int64(len(m.Payload)); received > x.api.spec.BodyLimit() {
			c.Stop("the limit of " + translate.Bytes(int(x.api.spec.BodyLimit())) + " is reached")
			break
		}
		switch {
		case ctx.Err() != nil:
			c.Stop(x.overTime())
			return
		case err != nil && websocket.CloseStatus(err) >= 4000:
			c.failed = closeReason(err)
			c.Stop("the API ended it: " + c.failed)
			return
		case err != nil:
			c.Stop("the connection ended early")
			return
		case m.Type == "next":
			c.add(m.Payload)
		case m.Type == "error":
			v, err := schema.Parse(m.Payload)
			if err != nil || !v.Is(schema.Array) {
				v = schema.List()
			}
			c.fail(v.Members)
			return
		case m.Type == "complete":
			return
		}
	}
	_ = say(ctx, conn, wsMessage{ID: wsOperation, Type: "complete"}) // the connection is closed without waiting for what the server says to that
}

// closeReason is what a server said when it closed the connection.
func closeReason(err error) string {
	var closed websocket.CloseError
	if errors.As(err, &closed) && closed.Reason != "" {
		return schema.Shorten(schema.Clean(closed.Reason), 300)
	}
	return "it closed the connection"
}
