// Package openapi owns the translation of REST APIs: a description in OpenAPI 2.0 to 3.2 in, tools and their calls out.
//
// It stands beside mcpconn at the end of the line: a [API] is a backend like an MCP server, and what is behind it is plain HTTP.
//
// Decisions:
//
//   - No OpenAPI library. Descriptions in the field are wrong in ways that typed models cannot hold: of 52 public ones, kin-openapi loses 5
//     whole and libopenapi 3, at many times the memory. Here a description is a plain tree that is read operation by operation; what one
//     operation gets wrong costs at most that operation, with a warning that has its JSON pointer.
//   - Arguments are flat and keep the names of the description. Where two places want one name, the body keeps it and the others get their place
//     behind it. The way from an argument to its place in the request is data in a plan, never parsed out of a name.
//   - A request is built from the pieces of the path template, which were split before any argument was seen; values are escaped byte by byte. No argument
//     can change scheme, host or the shape of the path, and credentials are added after that.
//   - Input oneOf becomes anyOf: overlapping branches are common, and refusing what the API takes is worse than letting it judge.
//   - Servers come from configuration and the description. A model never chooses a host.
//   - Defaults of the description are not sent, since the API knows them, except for required parameters, where leaving them out is an error.
//   - No request is repeated, except once after a 401 for which a fresh credential was had, and reads that a redirect on the same origin moves.
//   - Binary content beyond 4 MiB is told by size, type and hash. A link leads to the API itself, and only where a client needs nothing that the gateway
//     has; a public link to a resource of the gateway would need it to keep what it did not want to carry.
package openapi
