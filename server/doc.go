// Package server owns the straight line of a request from the edge to the upstreams and back: look up, decide, guard, route, guard, account.
//
// The transports (mcphttp, mcpstdio) turn what arrives into a [Request] and write the [Reply]; everything between is [Gateway.Serve], one
// function that reads top to bottom. Identity is a parameter of the request, never a context value.
//
// Decisions:
//
//   - A reply is a few segments of raw bytes around what the upstream sent. Nothing is decoded and encoded again; members that are per hop
//     are spliced.
//   - Capabilities are the same whatever is behind the gateway at the moment: upstreams come and go while a client stays, and a client that
//     was told "no prompts" never asks again. What is advertised is always served, with an empty list if need be. Extensions alone are
//     advertised when an upstream has them: to speak of tasks where nobody makes any would only cost clients declarations.
//   - What an upstream asks and the client did not declare is refused towards the upstream with the code of the specification. A modern client hears
//     -32021 only when the upstream then failed: one that gets along without an answer has answered, and its work must not be thrown away.
//   - Tasks stay where they are made. Their ids are sealed: upstream, tool and the upstream's own id, bound to the owner. A table of tasks would have to
//     be bounded and swept, and would know when a task is over only by reading every answer. The key is the process's own, like that of
//     requestState, so ids do not outlive it: a client that polls after a restart hears that the task is unknown, though the upstream may still run it.
//   - What a caller may do is asked again for everything that lasts: a change of policy or catalogue ends the subscriptions of who lost the right.
//     A modern listen stream cannot take back what it acknowledged, so it is completed and its client opens another; a legacy one is silent.
//   - Everything that lasts belongs to an owner, not to a principal: groups and scopes come and go with tokens, user, client and tenant do not.
//   - Sessions of legacy clients are kept here, not in mcp-go's server: its session ids are bound to nobody, its notification queues drop
//     and reorder, and its sessionless modes let one caller cancel another's request.
//   - Guards stand around the upstream and not in it: what they change is changed before the record and before a key of the caller is claimed, so that
//     neither keeps what did not pass. They ask about the entry that was resolved, of a hidden tool about that tool and not about its door.
//   - A call with a key of its caller is made once: what became of it is kept elsewhere ([Once]), asked for after the policy has decided, and noted before the
//     reply is written. Calls without a key cost a look for its name in _meta, and only where keys are kept.
//   - Failures of weir's own on tools/call are results with isError, so that a model can read them; on other methods they are JSON-RPC errors.
//     An entry the caller may not see gets the same words as one that does not exist.
package server
