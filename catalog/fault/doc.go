// Package fault owns what becomes of a panic: the work at hand ends with an error that has an id, and the log has the id with the value and the stack.
//
// It stands below everything that starts goroutines, at the edge, behind it and in translators alike: Go ends the process for a panic that its own goroutine does not
// recover.
//
// Decisions:
//
//   - Every goroutine that handles bytes or lists which came from outside runs its work under [Catch], and its owner says what that work was: a call, a connection, a
//     description, an upstream. That ends; nothing is tried to be mended. Goroutines that only wait, close and pass on are left plain.
//   - Callers see the id alone. What a panic says may hold what nobody is to read.
//   - There is no `go` of our own that all must use. What has to end is different everywhere, and a goroutine without an owner who would notice could only
//     end in silence.
//   - A panic with a lock held leaves it locked: what the lock belongs to stays ended. Locks are not held while foreign bytes are read.
package fault
