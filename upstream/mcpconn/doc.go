// Package mcpconn owns one live connection to one MCP server: the handshake that finds out which era and revision the server speaks,
// the transports, and the rewriting of a call into what this server expects and of its answer into what every caller understands.
// Era differences of the upstream end here.
//
// It stands at the end of the line, under upstream, which decides when to connect and what to do when a connection is lost.
//
// Decisions:
//
//   - Requests and answers are raw bytes from end to end. A call's params are the caller's own, spliced: the target's name or URI and the members of
//     _meta that belong to a hop change, nothing else. mcp-go gives the protocol's constants and the header encoding; its client decodes
//     results into types that lose data, drops the body of a 404 and cannot tell calls' notifications apart.
//   - A transport is a small interface (roundTrip, notify, reply) below everything that knows about calls, so that each way to reach a server
//     is one file and a faster one can take its place.
//   - The proof of an era is an answer that only a server of that era gives: a DiscoverResult or an error code that the modern specification
//     reserves, an InitializeResult. A server that cannot be reached proves nothing, so it is never taken for a legacy one; one that answers
//     something inconclusive is asked in the other way too, which harms no server. What a handshake found holds for the connection only: the next one asks again.
//   - The clock of the probe starts when the server can hear it. Over HTTP that is at once. A child is heard to be there when it has taken the probe out of
//     the pipe (the system tells) or has sent a message; until then only the limit for the whole start counts, so npx may download for half a minute. A
//     child that then stays silent is replaced before initialize, because some legacy servers hang on what comes before it. A clock that starts with
//     the process, or with the first line on stderr, takes cold starts for legacy servers.
//   - When a server speaks both eras, weir speaks the modern one: it needs no session, and the notifications of a call come on the call's own stream.
//   - weir offers no tasks of 2025-11-25, whose lists and results would have to be told apart by client and upstream. A tool that its server runs as a task
//     alone is run as one here and its result awaited with tasks/result, which the server holds back until there is one; polling costs more and
//     leaves nobody to whom the server can put its questions. Tasks of the extension are the caller's own business and pass through.
//   - A server that is told the client's capabilities is told of those alone that weir carries; unknown extensions are not, because their methods would lead nowhere.
//   - At most once. net/http is denied a second copy of a body, so it never repeats what it may have sent, and that refusal tells weir when
//     nothing was sent. Only such requests are repeated, and those that a server provably did not execute: lost session, wrong headers.
//   - A child has one reader and one writer, and no lock is held while either is at its pipe: a child that cannot write stops reading, so whoever
//     waits to write must not be in the reader's way. Callers hand lines to the writer and messages wait for their request in its own queue, so a slow
//     child or caller costs nobody but itself. A caller that writes by itself when the writer rests was tried: no difference in CPU.
//   - What a child writes that is no message is skipped, counted and shown, never fatal. A broken or too long line that was an answer, as far as its
//     ends tell, fails that request at once instead of leaving it to its timeout. However much of it there is, the child is not restarted for that:
//     a server that logs to the wrong stream would serve nobody then, and calls in flight would be lost, while a line costs its reading alone.
//   - HTTP/1.1 only. HTTP/2 clients repeat requests after stream errors that do not prove that nothing was executed, and one slow
//     stream's flow control holds up the others of its connection; MCP servers that speak HTTP/2 speak HTTP/1.1 too. Plain http:// URLs
//     without a proxy go through h1, TLS and proxies through net/http; both keep the rule above.
//   - A question of a server to the user begins with the server's name, put in front of its own bytes: a client shows the gateway's. A form that asks for a
//     credential is refused, as the specification refuses it; which field is one its last word tells, because secretName asks for none.
//   - Redirects are refused: configured credentials must not follow a server's whim to another place.
//   - What a server sends that is not an answer (HTML, half a message, another request's answer) becomes an error that names the upstream and
//     the facts: status, content type, size. The text itself goes to the log only, because a model may read the error.
//   - A connection whose stream was not read to its end cannot be used again, so after a response the end is awaited for a moment. Servers
//     that keep their streams open are noticed and not waited for.
package mcpconn
