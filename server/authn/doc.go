// Package authn owns the question who is calling: it turns the credential of a request into a policy.Principal, or into the refusal that its client
// understands.
//
// It stands at the edge, before the line: a transport asks [Authenticator.Authenticate] first and passes on what it returned. weir is an OAuth 2.1
// resource server (RFC 6750, 8707, 9068, 9728 and the MCP specification, basic/authorization): it verifies what issuers made and issues nothing.
//
// Decisions:
//
//   - A request has one credential. A bearer token that is wrong is refused, whatever certificate the connection has; nothing is guessed from
//     addresses, headers or query parameters. Only this package makes principals of requests, and every way out of it that is not a verified
//     credential is an error.
//   - go-oidc verifies tokens, with a KeySet of ours. Its own fetches keys for every bad signature and every unknown kid, without a limit, and forgets
//     withdrawn keys only when something else makes it look.
//   - What a token says before it is verified only chooses who verifies it, and gives the reason of a refusal. The audience is then given to go-oidc,
//     never skipped. A payload in which two keys differ by case at most is refused, because encoding/json and gjson would read it differently.
//   - An ID token is not an access token. Where an issuer marks access tokens (at+jwt, RFC 9068) the mark decides; an unmarked token must look like
//     an access token and not like an ID token. Issuers whose access tokens cannot be told apart need a word in the configuration.
//   - Verified credentials are remembered by the SHA-256 of resource and token, until they expire or the keys they were verified with change. So a call
//     costs a hash and a look-up, and a token is nowhere in memory longer than its request.
//   - Opaque tokens are asked about (RFC 7662) at one issuer at most: asking several would show each the tokens of the others. Every doubt is a no.
//   - API keys are long random strings of which the configuration has the SHA-256; a slow password hash would cost much and add nothing to 128 bits.
//     They stand in the same bearer header, which is the one place that every MCP client can fill.
//   - An issuer that is away delays nothing at start. Known keys are used for an hour more; what cannot be verified meanwhile is answered with 503,
//     because a client would throw away a good token after a 401.
//   - Where weir has a client of its own at an issuer, the issuer can be asked who sits before a browser. That serves links that were made for one user,
//     and never a call.
//   - A credential that was refused is told to the operator in the log, at most once a minute for each reason and address, and counted in the metric
//     weir.auth.refusals. It is in neither the audit log nor the request log: their records are requests of somebody, and are chained and kept for
//     years, or shown to callers; a stranger could fill them. A request without a credential is how every client asks where to sign in, and no news.
//   - Reasons in challenges are fixed sentences. What an issuer or a library said stays in the log.
package authn
