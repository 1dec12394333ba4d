// Package grpc owns the translation of gRPC servers: descriptions of services in, tools and their calls out.
//
// It stands beside openapi: an [API] is a backend like an MCP server, and what is behind it speaks gRPC over HTTP/2.
//
// Decisions:
//
//   - Descriptions come by reflection (v1, then v1alpha), as descriptor sets, or as .proto files; all of them become one set of files, so that
//     the same services give the same tools. Files are linked one by one: a broken one costs itself and what needs it.
//   - Methods are called on messages that are made at run time, with the connections, keepalive and balancing of grpc-go. A client for reflection is
//     200 lines here; jhump/protoreflect was turned down, since it brings its own descriptors and messages.
//   - .proto files are compiled by bufbuild/protocompile, up to edition 2023. Edition 2024 comes as a descriptor set.
//   - Options (field_behavior, google.api.http, buf.validate) are read from the wire by their numbers. Their generated types panic on
//     descriptors that were made at run time. Of buf.validate, what JSON Schema can say is told to models; CEL is left to the server.
//   - Schemas follow the JSON mapping of protobuf. 64-bit numbers are texts, and numbers in their place are taken without a way through a float.
//     Messages are definitions that refer to each other, so that one that holds itself is as small as any.
//   - A oneof is plain fields that say so, checked before anything is sent: model providers refuse combinators at the root.
//   - Nothing is repeated but a call that the server refused for its credential, once. Retries of the service configuration and of the
//     library are off, and so are service configurations from DNS, and proxies from the environment.
//   - Methods that are offered can be called, and no others; a server is asked for its description when it is read, never on behalf of a caller.
//   - TLS unless the address says http. Names are looked up by the dialer that is handed in, which judges the addresses.
//   - Connect and gRPC-Web are not spoken: they would be a second transport with its own limits. Servers of connectrpc speak gRPC at the same address and
//     are called in it; of one that takes the other two alone, errors say so.
package grpc
