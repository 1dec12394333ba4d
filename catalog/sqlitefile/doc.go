// Package sqlitefile owns how weir opens databases in files: the tokens of users, the request log, the keys of calls.
//
// It stands below those that keep something, on either side of the line, and knows nothing of what they keep.
//
// Decisions:
//
//   - A file and its folder are made here, for their owner alone, before SQLite sees them: it would make a file that others can read.
//   - Paths become URIs, in which # and ? mean something, and pragmas their query, so that they hold for every connection.
package sqlitefile
