// Package room owns how a large answer comes by the memory that it takes: it asks for it, waits while there is none, and gives it back;
// and which errors say that the system has nothing left for weir.
//
// It stands below everything that takes answers, MCP connections and translators alike; who counts the memory is handed in as a [Hold].
//
// Decisions:
//
//   - An answer that finds no memory is not read on: it stays with who sends it, whom TCP tells to wait. To read and then throw away would need
//     the memory that there is none of.
//   - Answers that grow side by side, each holding what another waits for, would all end with nothing. So one whose size nobody knows takes the most that it
//     may come to, and where that is not to be had such answers take turns; one that holds something already does not wait for more as long
//     as one that holds nothing.
//   - Waiting is polling. A queue would have to be told by a counter that also changes with every collection of garbage, and who waits is short of
//     memory, not of time.
//   - To have no file or buffer left is no failure of what could not be reached for it. Both sides that reach out, connections and translators, must tell it
//     alike.
//   - What is small asks nobody: most answers are, and they must not pay for the few that are not.
package room
