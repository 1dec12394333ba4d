// Package policy owns the question who may see and call what. Casbin is the authority and lives here and nowhere else; what runs at call time is
// a compiled answer.
//
// It stands in the middle of the line, after the caller is known and the entry is resolved: [Engine.Profile] gives a caller's part of a
// snapshot, [Profile.Decide] one decision. Listing, calling, reading and completing ask the same function, so an entry is listed exactly
// when it may be used.
//
// Decisions:
//
//   - Decisions are made on the resolved entry's Ref, never on the string a client sent and never on a public name: a rename cannot
//     move a permission.
//   - Subjects are typed ("user:", "role:") because Casbin's g(x, x) is true: a token whose subject is a role's name would hold that role.
//   - Casbin's Enforce is linear in policy rows, so a [Profile] is compiled once per snapshot and set of subjects, from the rows of those
//     subjects, and checked against Enforce; a difference withholds the entry.
//   - The zero [Principal] may do nothing.
package policy
