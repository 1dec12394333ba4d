// Package graphqltest owns a GraphQL server for tests and examples: a small library of books on github.com/graph-gophers/graphql-go, with unions,
// interfaces, pages, partial failures, uploads and subscriptions, and a ledger of what reached it.
//
// The executor is that of graphql-go; the transports around it (GraphQL over HTTP, multipart requests, graphql-sse, graphql-transport-ws) are written here, as
// it has none.
package graphqltest
