// Package egress owns the way out: to MCP servers behind URLs, for descriptions, the calls of translated APIs, token endpoints. What it will not dial,
// nobody behind it reaches.
//
// It stands at the very end of the line, handed to the translators and to cred as an http.RoundTripper, and to mcpconn, which speaks HTTP itself, as the
// dialer.
//
// Decisions:
//
//   - Addresses are judged by the dialer after names were resolved, so a name that changes its answer between two looks is no way around.
//   - The guard is code.dny.dev/ssrf, generated from the IANA registries. Checks made of netip.IsPrivate and its siblings let shared address space,
//     NAT64, 6to4 and site-local addresses pass.
//   - An endpoint that configuration names may be private and may have any port, for that name and port alone. Link-local addresses, where clouds keep
//     their metadata, are open only to an endpoint that is written as such an address.
//   - Redirects are not followed here: whoever sends a request knows whether what it carries may go elsewhere.
//   - No proxy from the environment: the guard would judge the proxy's address instead of the target's. Only mcpconn, which dials nothing but the one
//     origin that configuration names, takes the proxy that the environment names for that.
//   - Connections are renewed every few minutes, for whoever keeps them: names get new addresses.
//   - HTTP/1.1 only: HTTP/2 clients repeat requests after stream errors that do not prove that nothing was executed.
package egress
