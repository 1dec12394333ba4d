// Package graphql owns the translation of GraphQL APIs: a schema in, tools and their calls out.
//
// It stands beside openapi at the end of the line: an [API] is a backend like an MCP server, and what is behind it is one endpoint that takes
// operations.
//
// Decisions:
//
//   - A tool is one operation whose text is fixed when the schema is read: written by an operator, or generated for one root field. Arguments
//     are variables, typed values beside the text, and never become part of it.
//   - Generated operations select what is short and close: the leaves of the result and of what it holds, to a depth, without cycles and
//     without fields that need arguments. The fields argument selects something else; its paths are looked up in the schema, and the text is
//     written from what was found there, so that no letter of an argument is sent as text.
//   - vektah/gqlparser parses and validates. Its schema validation is not used: it stops at the first fault, and published schemas have faults
//     (GitHub's defines fields twice, others declare built-in scalars again or repeat directives). The schema is put together here from what
//     can be used, with a warning for the rest. Generic names are checked when the schema comes from introspection, since they become text.
//   - A query text of a model's own is taken only where configuration says so. It is parsed, validated against the schema and measured (depth,
//     fields, aliases, cost) before anything is sent; fragments count each time they are spread, without being written out.
//   - Errors beside data are not a failure of the call: what came is given with a note of what is missing. The call failed when nothing came.
//   - Subscriptions are collected to a limit: MCP has no streamed result. Both protocols in the field are spoken: graphql-sse in its distinct
//     connections mode, and graphql-transport-ws with coder/websocket, which takes the guarded transport that is handed in; gorilla/websocket
//     dials by itself.
//   - The answer is the GraphQL response as it is, data beside errors and extensions: unwrapping it would leave no place for the two others.
package graphql
