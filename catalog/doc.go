// Package catalog owns the virtual namespace and the nouns of the gateway: what upstreams offer ([Source]), the entries made of it
// ([Entry]), the immutable [Snapshot] that every call looks up in, the part of it one profile may see ([View]), and the form of a call
// ([Call], [Answer]) that the edge and the upstreams share.
//
// It stands below everything: the other packages meet in its types. It imports only rawjson.
//
// Decisions:
//
//   - Entries are the raw spans that upstreams listed, with the name or URI spliced where it changed. Typed structs drop keywords, unknown
//     fields and big integers, and fail a whole list for one odd schema.
//   - A malformed item is withheld by itself, with its reason, and never takes its list with it.
//   - Names are a pure function of configuration and [Ref]; a table maps them back, never string splitting. Two entries that want one
//     name are both withheld: a first-one-wins rule would let an upstream take over another's name, and the permissions with it.
//   - Lists are ordered by public name, so a cursor is the place in that order and not a position: pages stay complete and free
//     of duplicates while the catalogue changes beneath them, on any node.
//   - One snapshot, one pointer. Everything derived from a snapshot hangs on it and dies with it; nothing is invalidated.
package catalog
