// Package rawjson owns the reading and editing of JSON as bytes: one pass over a JSON-RPC message that checks it and
// finds the few values a gateway needs, and splices that change those values and nothing else.
//
// It stands at both ends of the line. Every message that enters weir, from a client or from an upstream, is scanned here
// once before anything else looks at it; what leaves is spliced from the scanned bytes.
//
// Decisions:
//
//   - One scanner checks syntax, UTF-8, nesting depth and key uniqueness together and records spans on the way. Two
//     parsers that disagree on a duplicate or case-variant key are an authorization bypass: gjson takes the first of two
//     equal keys, Go's encoding/json takes the last and ignores case. The scanner refuses what could be read two ways.
//   - No recursion: depth is a counter, so hostile nesting costs a comparison and never stack.
//   - Spans, not copies. A [Message] aliases the buffer it was scanned from.
package rawjson
