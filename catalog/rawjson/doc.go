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
//   - Keys are compared unescaped and folded as encoding/json folds them, because a Go peer executes what that reads: to
//     it a lone "Name" is the name. Such keys are refused and not rewritten; a rewrite would forward what nobody sent.
//   - Half of a surrogate pair is refused in keys and in the strings that are read: Go reads U+FFFD there, JavaScript keeps the half, Python cannot
//     write it out. In all other values it passes: servers in JavaScript send it when they cut a text in the middle of an emoji.
//   - What a client sends is held to the schema's types, since decisions rest on it. In a result a member of the wrong
//     type counts as absent: the work is done, and losing the answer would be worse than passing on a blemish.
//   - Own code, not gjson or encoding/json. The first decides before it validates and recurses without limit; the second
//     has no spans, takes the last of equal keys and needs twice the time for validation alone.
//   - No recursion: depth is a counter, so hostile nesting costs a comparison and never stack.
//   - Spans, not copies. A [Message] aliases the buffer it was scanned from.
package rawjson
