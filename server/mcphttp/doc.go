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
//   - A legacy request without a session is served as far as one can be without one: curl and stateless clients need no handshake.
//     It has no cancellation and no log messages.
//   - Slow readers are bounded by a deadline on every write, slow senders by one on header and body.
package mcphttp
