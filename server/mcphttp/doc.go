// Package mcphttp owns Streamable HTTP towards clients: both eras on one endpoint, told apart message by message.
//
// It is the first and the last step of the line: limits, Host and Origin, one scan, the header rules of the era, sessions of legacy clients; then
// server.Gateway, whose reply it writes as JSON, or as the last event of a stream when something came before it.
//
// Decisions:
//
//   - The body is read whole before anything is called. Handing the inbound body to an upstream transport truncates answers (Go closes it at the first
//     byte of the response), and a policy must see what it decides on.
//   - A reply starts as JSON and becomes an event stream with the first notification. Notifications are written by the goroutine that
//     reads the upstream, so none is queued, lost or late.
//   - Modern clients cancel by disconnecting. A legacy client's disconnect is not a cancellation (spec 2025-11-25, streamable-http): its
//     request runs on, detached from the connection.
//   - A legacy client whose connection broke takes its stream up again with the last event id it got. Only streams are kept for that, in memory and
//     within bounds; a call that was answered as JSON has none. Ids name a stream of one session and are looked up in that session only, whose
//     owner was checked before: another's id, one that was never given and one whose events are gone get the same refusal, and never a part of the events.
//     It is status 400, because 404 would tell the client that its session is lost.
//   - A session whose last GET stream broke goes on listening for some minutes. What changes meanwhile waits for the client that comes back, on the old
//     stream or a new one.
//   - A legacy request without a session is served as far as one can be without one: curl and stateless clients need no handshake.
//     It has no cancellation and no log messages.
//   - Slow readers are bounded by a deadline on every write, slow senders by one on header and body.
//   - Connections are bounded. A new one that is one too many takes the place of that which has made weir wait for a request longest; a queue before the
//     listener would let whoever holds connections keep everybody else out.
//   - HTTP/1.1 only, with and without TLS: of HTTP/2 a gateway of single calls and streams would have little, and its control frames are work that any
//     stranger can ask for without a request (rapid reset, CONTINUATION, SETTINGS and PING floods).
package mcphttp
