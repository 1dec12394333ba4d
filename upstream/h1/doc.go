// Package h1 owns an HTTP/1.1 client that spends one goroutine on a request: the caller's own writes the request in one system call, reads the
// answer, and puts the connection back.
//
// It stands at the far end of the line, under upstream/mcpconn, in the place of http.Transport for plain http:// URLs without a proxy.
// net/http runs two more goroutines for every connection and hands each request and answer from one to the other; that is about half of what
// a call costs the gateway.
//
// Decisions:
//
//   - It is an http.RoundTripper, so it can be left out at any time. It does HTTP/1.1 in the clear and nothing else: no TLS, HTTP/2, proxies, redirects,
//     cookies, compression, Expect, Upgrade or trailers. Who needs those takes http.Transport.
//   - A kept connection is looked at before it is used: nobody reads it while it rests, so nobody has seen it die. What the look finds dead was
//     never written to, and the request goes to another connection.
//   - No request is sent on a connection that is older than five minutes: names get new addresses, and behind a balancer the connections of one client would
//     stay where they are for good. A connection ends after its request, never under it.
//   - Nothing is ever sent twice. When the only byte-less failure is a kept connection that refused the write, Request.GetBody is asked as net/http would;
//     an error of GetBody is the answer.
//   - Reading is bounded: header bytes, header lines, and the body by its declared length.
package h1
