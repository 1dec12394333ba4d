// Package once owns what is kept of calls that callers gave a key of their own, so that each is made once however often it is sent.
//
// It stands beside the line: the gateway asks it before such a call leaves and tells it what became of it.
//
// Decisions:
//
//   - A claim is on disk before the call leaves (synchronous=FULL), because a call that is repeated after a crash is what the key is there to prevent. Calls
//     without a key cost nothing.
//   - Nothing says which process made a claim. A call that is under way for longer than ten minutes is one of which nobody knows what became of it, whether
//     its process died or still waits; it is not made again either way.
//   - Keys and arguments are kept as digests. Answers are kept as they are, in a file that its owner alone can read: a digest cannot be answered.
//   - SQLite, because gateways on one machine share the file and one insert decides who makes the call. The audit log knows which calls were made, and would have
//     to be searched for it; a table in memory forgets.
package once
