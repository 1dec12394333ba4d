// Package server owns the straight line of a request from the edge to the upstreams and back: look up, decide, route, account.
//
// The transports (mcphttp, mcpstdio) turn what arrives into a [Request] and write the [Reply]; everything between is [Gateway.Serve], one
// function that reads top to bottom. Identity is a parameter of the request, never a context value.
//
// Decisions:
//
//   - A reply is a few segments of raw bytes around what the upstream sent. Nothing is decoded and encoded again; members that are per hop
//     are spliced.
//   - Capabilities are the same whatever is behind the gateway at the moment: upstreams come and go while a client stays, and a client that
//     was told "no prompts" never asks again. What is advertised is always served, with an empty list if need be.
//   - Sessions of legacy clients are kept here, not in mcp-go's server: its session ids are bound to nobody, its notification queues drop
//     and reorder, and its sessionless modes let one caller cancel another's request.
//   - Failures of weir's own on tools/call are results with isError, so that a model can read them; on other methods they are JSON-RPC errors.
//     An entry the caller may not see gets the same words as one that does not exist.
package server
