// Package guard owns what may pass in calls that the policy allows: credentials in what goes out and comes back, and private data that would leave after
// untrusted content was read.
//
// It stands in the line after the decision and around the upstream: [Engine.Enter] before a call leaves, [Guard.Arguments] on what it takes along,
// [Guard.Results] on what comes back, also in the middle of the call. Without guards in the configuration there is none of it.
//
// Decisions:
//
//   - Off until asked for. A guard costs each byte a look, and what it changes nobody else changed: weir relays bytes otherwise.
//   - Secrets are known by the forms that their makers gave them: a prefix, an alphabet, a length. Such a rule is a row of a table and a loop, no regular
//     expression: a hostile answer of 16 MiB costs what a harmless one does, and one that cannot be told from chance has no rule. Rules that need
//     the words around ("password is …") find too much in prose; who wants them names a file of rules in the format of gitleaks.
//   - One pass finds where a rule can begin, by the rarest pair of letters in what it begins with; most texts end there.
//   - Strings are looked at as they are read, not as they are written: A may stand as \u0041. A value is looked at together with its key.
//   - Redacting changes the strings that hold a secret and no byte besides. What a protocol hands back and forth unread (requestState) is left alone.
//   - Text that stands in base64, is cut in two, or was translated passes. This finds mistakes, and those who do not hide; it is no wall.
//   - A call that would send is refused when its caller has read both private data and untrusted content before: that order is what an attack needs. What was
//     read after is of no use to it, and the next one is refused.
//   - What was read is noted when the call leaves, not when it answers: of two calls at the same time one is the earlier. It belongs to the caller (user
//     and client, at whichever virtual server), or to the trace of an agent that has one; a session would be as good, but modern clients have none.
package guard
