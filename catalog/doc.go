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
//   - Clients do have such structs, and behind a gateway one server's tool would cost them the tools of all. So a tool has the types of the specification's Tool: an
//     inputSchema is made one of an object where nothing else can be meant, an optional member of another type is left out and told of, and a tool that cannot be
//     read even then is withheld. What a schema says inside of its properties is not looked at. Legacy lists drop an outputSchema without "type":"object", for
//     the same reason.
//   - A malformed item is withheld by itself, with its reason, and never takes its list with it. Of what one upstream lists twice the first counts and
//     the others are withheld: both have the same [Ref], so the same permissions, and a call of either reaches the same place; a server whose pages overlap
//     must not lose its tools for it.
//   - Names are a pure function of configuration and [Ref] (with naming "conflict", also of who else has the name); a table maps them back,
//     never string splitting. Two Refs that want one name are both withheld: a first-one-wins rule would let an upstream take
//     over another's name, and the permissions with it.
//   - The own URI is the public URI. Those that several upstreams have, templates with equal shape included, move, all of them: ui://host/x
//     becomes ui://UPSTREAM/host/x, since clients know user interfaces by the scheme; any other becomes weir://UPSTREAM/ and the own URI
//     whole, so that nobody takes it for a local file or fetches it from the web. UPSTREAM is percent-encoded. What stands behind the
//     inserted text keeps its bytes, so a template's expansions map back exactly. Putting the upstream into the scheme was turned
//     down: schemes have no underscore, and clients choose a viewer by scheme.
//   - A read is decided by the narrowest answer each upstream has, and an upstream whose narrowest answer is hidden has no other.
//     Filtering first and matching then would let a broad template open what a narrow one hides. URIs that nobody lists can be
//     read while only one upstream can be meant; exclude patterns hold for them as well.
//   - Include and exclude speak of the upstream's own names, in one pattern language, [Glob]. Include narrows names and URIs apart, or
//     naming three tools would silently take all resources away; what could be meant for both narrows both.
//   - Lists are ordered by public name, so a cursor is the place in that order and not a position: pages stay complete and free
//     of duplicates while the catalogue changes beneath them, on any node. A view renders a kind once, into one buffer that both eras
//     share where they can; a page is a part of it, wherever a cursor makes it begin. Keeping pages one by one was turned down: callers
//     choose where pages begin, so they would choose how much is kept.
//   - Build reads everything again each time, about 6 µs for a tool. Keeping what was read of unchanged sources was turned down: ten thousand
//     tools are built in less time than upstreams take to list them.
//   - One snapshot, one pointer. Everything derived from a snapshot hangs on it and dies with it; nothing is invalidated.
package catalog
