// Package policy owns the question who may see and use what. Casbin is the authority and lives here and nowhere else; what runs at call time
// is a compiled answer.
//
// It stands in the middle of the line, after the caller is known and the entry is resolved: [Engine.Profile] gives a caller's part of a
// snapshot, [Profile.Decide] and [Profile.DecideWith] one decision, [Profile.Refusal] its words. A [Policy] is made of the configuration's
// [Spec] by [Compile] and put in force by [Engine.Swap].
//
// Decisions:
//
//   - Listing is asking for use. There is no list right of its own: an entry is listed exactly when it may be used, at least with some
//     arguments. Denying list denies use; allowing list alone is an error. A separate right would make lists that lie.
//   - Decisions are made on the resolved entry's Ref, never on the string a client sent and never on a public name: a rename cannot
//     move a permission.
//   - Subjects are typed ("user:", "role:") because Casbin's g(x, x) is true: a token whose subject is a role's name would hold that role.
//     A caller is asked about with all its subjects at once, so that a deny for one of its groups wins over an allow for another.
//   - One matcher, see pattern: * never leaves the upstream's part, and in URIs never its segment. keyMatch ignores what stands behind the
//     first *, and a * that crosses slashes lets "*/get_*" match a file by its path. A URI that nobody listed must be in normal form
//     where rules look at paths: else "/docs/../etc" is in "/docs/**".
//   - Casbin's Enforce is linear in rows, so rules are indexed by subject and a [Profile] is compiled once per snapshot and set of roles: a
//     verdict per entry. Callers with equal roles share it. A sample of every new profile is compared with Enforce; where they differ
//     the entry is withheld. CachedEnforcer, SyncedEnforcer and reloading an Enforcer are not used: the first mixes requests up, the others race.
//   - A Casbin model of one's own is compiled when it is of a known form, else Casbin decides every entry: slow and right. Its g is replaced by
//     one without memory, which would grow with every stranger.
//   - Conditions are CEL: typed, named, compiled when the policy is loaded, bounded in cost. Those that look at the tool or the caller decide
//     what is listed; those that look at arguments or the request are a second stage, for entries with such rules alone. A condition
//     without an answer denies, either way. Casbin's eval makes an error of the whole decision.
//   - What an upstream says of its tools (readOnlyHint and so on) counts only where the operator trusts it.
//   - A policy is taken whole or not at all: [Compile] reports everything that is wrong, runs the policy's own tests, and refuses what looks cut
//     off. What it returns never changes, so one atomic pointer is all there is to swap, and caches die with it.
//   - A caller who may use an entry but for a deny rule with a reason is told so; to everyone else it does not exist, word for word.
//   - The zero [Principal] may do nothing.
package policy
