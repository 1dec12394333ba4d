// Package admin owns the gateway's own tools, weir__*: which upstreams there are, what may be called, why something may not, and what was called.
//
// It stands behind the line like an upstream, in process: its tools are entries of the catalogue under the upstream "weir", listed, decided
// and recorded like any other. It is an MCP server made with mcp-go, to which the gateway alone speaks.
//
// Decisions:
//
//   - The tools show what the caller may see: its own part of the catalogue, its own requests, its own access. What belongs to others takes
//     the right to call weir/others, a hidden tool that does nothing else. A right of its own kind would be one more thing to learn; a Ref goes into
//     rules, lists, explanations and lints as it is.
//   - An entry the caller may not hear of gets the words of one that does not exist, here too. The record knows which it was: that is for those who may
//     call weir/others, and callers get of their own requests what they were told.
//   - What upstreams print on standard error, addresses and variables are not told: callers are not operators.
//   - Who calls goes through mcp-go in a context value, because its tool funcs take nothing else; it is put in and taken out in this package.
//   - find ranks words (BM25), and for the gateway's own tools it answers arguments as well: those of the nearest example, with the times, names and ids
//     of the question put in. A model would do that better, and a gateway should not need one.
//   - Every answer is bounded and says when something was left out. Tools that could only fail, those about requests without a request log, are
//     not there.
package admin
