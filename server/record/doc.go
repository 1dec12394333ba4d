// Package record owns what is remembered of every request: traces, metrics and the audit log.
//
// It stands beside the line. A Recorder is the gateway's observer, and it wraps the gateway's upstreams, so that it sees each request begin, leave
// and end. What it keeps comes from one server.Event.
//
// Decisions:
//
//   - Names follow the OpenTelemetry conventions for MCP (spans "tools/call NAME", mcp.server.operation.duration,
//     mcp.client.operation.duration). A result with isError counts as an error of type tool_error: that is how most tools fail, and a graph that
//     leaves it out shows nothing.
//   - Spans have what the conventions ask for and what is known without looking for it. The way to a server is noted only for calls whose trace is kept
//     (catalog.Hop). Both sides of a call tell the JSON-RPC code of an error; error.type is the code too where nothing else is known, and weir's own class where
//     there is one: six causes share a code. What a caller did wrong is an error here too, though drafts of the conventions would leave it out on the
//     server's side: a gateway's operator looks for just that, and the codes tell it apart.
//   - Left out of spans: what arguments, prompts' variables and results hold, and the messages of servers' errors, since all of that is other people's;
//     ids of sessions, of which a digest stands there, since who knows one can use it; client.port and network.protocol.version, which behind a
//     proxy are the proxy's; jsonrpc.protocol.version, which is 2.0.
//   - Left out of metrics: server.address and mcp.protocol.version, which weir.upstream and weir.era stand for; mcp.resource.uri, which callers choose; the
//     durations of sessions, which a caller's modern requests and a gateway's shared connections do not have.
//   - Labels of metrics are bounded: names of tools and prompts count only when an entry of the catalogue was resolved, URIs never do.
//     Attribute sets are made once and kept, since making one costs more than the measurement.
//   - A caller's traceparent is taken from _meta, else from the header, when it is well formed; what goes upstream is weir's own span, and a
//     caller's baggage stays here. Without tracing weir hands on what it got.
//   - Which traces are kept is decided here and not by a sampler: a span that is thrown away costs as much as one that is kept. Who comes behind is
//     told, by a traceparent that says so.
//   - The audit log's intent is on disk before the call leaves; its outcome is written behind the answer, in order. A client never waits
//     for it, and after a crash the intent without an outcome says what is not known. What changes nothing does not wait for the disk, which
//     costs more than all other records together: it has an outcome alone, unless the operator wants an intent for everything.
//   - What is over is told a moment later, for many requests at once. Measurements, outcomes and records cost about half then: a request that tells of
//     itself finds nothing of what that takes in the processor's caches. Who asks for metrics gets those of this moment. Who kills the process loses the
//     outcomes of the last 70 ms, and never an intent.
//   - Arguments and results are not recorded unless the operator asks for them, and then without what the tool's whole schema marks as a password or writeOnly, and
//     without the values of keys that name secrets, in JSON within text too. Text that is no JSON stays as it is: nobody can know what is secret
//     in it. Results over 64 KiB are a number of bytes.
package record
