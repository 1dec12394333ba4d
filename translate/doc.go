// Package translate owns what every API that is dressed as an MCP upstream shares: the contract with the upstream side ([Backend]), what is
// handed in for reaching the network ([Options], [Credentials]), readings of a description, from its text to what is kept of it, and the calls on
// them ([API], [Description]), which operations become tools and under which names ([Spec.Choose]), what configuration changes about arguments and
// words ([Curate], [Entry.Say]), the check of arguments ([Input]), what becomes of answers ([Output], [Collector]) and is said where none came,
// the search over many operations and the three tools that stand for them when a list would be too long ([Dynamic]). A kind of API says only
// what its patterns match, how its descriptions read, and how its calls are sent.
//
// It stands beside the MCP connections: upstream gives a Backend a call in the form of catalog and gets an answer in it.
//
// Decisions:
//
//   - A backend answers with a JSON-RPC response like any upstream, built here, so that nothing behind it needs to know that no MCP server
//     was asked.
//   - What an API answers, errors too, is a tool result: a model can read it and act. Only an unknown tool is a protocol error.
//   - What lists and searches need of a description is kept from one run to the next, under a hash of its text and of the configuration; the rest is
//     made when the first tool is called. What came over the network is kept too, for a start at which nobody answers there.
//   - Nothing in a description is fatal. What cannot be used is a [Warning] with its place.
//   - The network is handed in. Translators hold no dialer and no secret: credentials are put on a finished request, so that no argument can
//     take their place.
//   - Search is BM25 over names, summaries and parameters, without embeddings: it needs no model, costs microseconds, and its ranking can be
//     explained. bleve was turned down: 77,000 lines for an index of a thousand short texts.
package translate
