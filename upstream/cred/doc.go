// Package cred owns outbound credentials: what configuration gives for the security schemes of an API or for an MCP server, and the tokens that are
// had with it. Nobody else ever sees a secret.
//
// It stands beside egress at the end of the line. Translators and mcpconn hand it a finished request; it puts the credential on.
//
// Decisions:
//
//   - Secrets have a type that prints and marshals as [redacted], so that a struct that is logged whole tells nothing.
//   - A credential goes only to the origins that it was made for. A description can name any host, and must not be able to collect secrets with it.
//   - Token endpoints come from configuration alone, for the same reason; what a description says is used in the error that asks for it.
//   - A token is kept under a hash of everything that it was asked for with, so that a rotated secret or another audience never meets an old token.
//     One request for a token is under way at a time; the others wait for it.
//   - A token of a caller is kept under a hash that has the caller and the caller's own token in it, which never leaves but to the token endpoint that
//     configuration names. Two users cannot meet in it, nor two tokens of one user with different rights.
//   - Processes that share a token store refresh a user's tokens one at a time, under a lease in the store that ends by itself: an authorization server that
//     sees a refresh token twice takes it for stolen. A lock of the whole store would make all users wait for one slow server.
//   - What the gateway does on nobody's behalf, such as reading lists, it does as itself: as the client, where callers have tokens exchanged. It never
//     falls back to that for a caller.
//   - Errors of token endpoints are told as status and error code (RFC 6749 section 5.2). Their texts may hold what was sent.
package cred
