// Package audit owns the append-only log of what weir was asked and did: JSON lines in segments, chained by hashes, on disk before anybody is told
// so.
//
// It stands beside the line. The record writes an intent before a call leaves and an outcome after it came back; weir log and policy diff read
// it; weir audit verify checks it.
//
// A line is {"seq":N,"prev":"…","time":"…","event":{…}}. prev is the SHA-256, in hex, of the whole line before, without its line end; that of the first
// line is zeros. So a line cannot be changed, dropped or moved without the next one saying so, and a segment cannot go without the next
// segment's first line saying so. The file HEAD names the newest line that was on disk, so that a tail that was cut off is missed.
//
// A folder has lanes: each program that writes takes one that is free. A chain has one writer, and a user may run several gateways.
//
// Decisions:
//
//   - Group commit: one goroutine writes what was gathered, then asks the disk once for all of it. That costs the processor 60 to 200 µs however much it
//     is, more than all else that is done for a call, so callers wait for each other: until as many wait as at the last commit and during it, or none
//     comes for a millisecond, or for five. Without those who came during it there would be two groups for ever, in turn. Fewer than eight wait for
//     nobody: the processor has time then, and the delay would be felt. Records that nobody waits for go with the next commit, or after 50 ms.
//   - A segment is longer than its lines while it is written: line ends stand in advance, and go when it is sealed. A commit that changes no file's size is one write of
//     the disk, not two or three. Tools that read lines see empty ones.
//   - A record that could not be written whole is cut off again at once, and a segment whose fsync failed is never written to again: after a failed
//     fsync nobody knows what the disk has.
//   - What the log cannot take is either refused (Block: the call does not happen) or kept in memory and written when the disk takes
//     it again (Degrade); what memory could not hold is counted in a gap record. There is no third way in which it silently goes missing.
//   - What a crash left of the last commit, behind what HEAD says was durable, is cut off when the log is opened, and the log says so itself in a
//     recovered record, with the intents that have no outcome.
//   - Rotators for application logs do not fsync, and databases are one more thing to run: files that can be read with any tool are neither.
//   - The chain shows what was changed by somebody who cannot write all of it anew. Against somebody who can, the head that weir audit verify
//     prints must be kept elsewhere.
package audit
