// Package cred owns outbound credentials: what configuration gives for the security schemes of an API, and the tokens that are had with it.
// Nobody else ever sees a secret.
//
// It stands beside egress at the end of the line. Translators hand it a finished request and the name of a scheme; it puts the credential on.
//
// Decisions:
//
//   - Secrets have a type that prints and marshals as [redacted], so that a struct that is logged whole tells nothing.
//   - A credential goes only to the origins that it was made for. A description can name any host, and must not be able to collect secrets with it.
//   - Token endpoints come from configuration alone, for the same reason; what a description says is used in the error that asks for it.
//   - A token is kept under a hash of everything that it was asked for with, so that a rotated secret or another audience never meets an old token.
//     One request for a token is under way at a time; the others wait for it.
//   - Errors of token endpoints are told as status and error code (RFC 6749 section 5.2). Their texts may hold what was sent.
package cred
