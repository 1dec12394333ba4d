// Package upstream owns the connections to everything behind the gateway: it starts them, keeps them alive, knows what each one offers, and
// carries calls to them.
//
// It stands between the gateway's one line and the backends (mcpconn, and the translators for APIs): the catalogue gets its snapshots from here, the server hands its calls
// to [Set.Call].
//
// Decisions:
//
//   - One goroutine per upstream, which alone connects, lists, waits and connects again. What others need of it, the live connection and the state, is
//     read without asking it. So a dead, hung or slow upstream delays nobody else's start, list or call.
//   - The entries of an upstream that is lost stay in the catalogue for a grace period, marked stale. Tools that come and go with every hiccup confuse models
//     and clients more than a call that says at once why it cannot run.
//   - A server that gets no calls is asked for a sign of life in the protocol itself. While it works on a call it is not asked: many do one thing at a time,
//     and the call has its deadline.
//   - A call to an upstream that is down makes it try again at once, at most once a second, and waits for that a moment: a restarted upstream is back
//     with the first call, whatever the back-off says. Without calls the back-off goes up to 30 seconds.
//   - A failed call is sent again only when it provably was not executed and its connection was found dead. Where nobody knows whether it was executed it is
//     sent again only if it reads a resource or its tool is one that the operator marked, once, and at most one call in ten. A hedge is such a
//     repetition that does not wait for the failure: the same marks, the same budget, and one of both for a call.
//   - What a server asks for with Retry-After is kept for what weir would do by itself: repetitions and attempts to connect. Other callers' calls are not
//     held back for it, since limits often are for one of them; that is the breaker's work, once calls do fail.
//   - What fails several calls in a row is left alone for a while, tool by tool; then one call tries it. The breakers are our own: those of failsafe-go hold a
//     lock for every call, wait equally long each time unless a call is run inside of them, and take the calls that one crash loses for as many failures. Here
//     a breaker exists only from a failure to the next success.
//   - A stdio server may be stopped while nobody uses it, and started by the first call. To its clients nothing happens then: its entries stay as they
//     are, not marked stale, and the call that starts it waits as long as the start may take. Use is looked for now and then rather than noted by
//     every call, so that calls pay nothing. A server that rests cannot tell of changed lists; they are read whenever it is started.
//   - The lists of a lazy server are kept in the cache under all that says what is started, as configured and never with what variables resolve to.
//   - An upstream of several endpoints is a member whose one connection is a pool of members, one for each. So each endpoint has all that an upstream has
//     (its own goroutine, sessions, breakers), and an upstream with one pays nothing for the others. Sessions stick by hashing, not by a table
//     that would have to be kept: when an endpoint is lost, only what was there moves.
//   - How many calls an upstream has at a time is bounded only where the configuration says so: nobody knows better what a server takes.
//   - A call has a bound in all and may have one for silence. Neither runs while the caller's user is asked something. Where silence is bounded, the server
//     is asked for progress even if the caller was not interested: its silence would mean nothing otherwise.
//   - Snapshots are coalesced. At start each upstream that becomes ready would otherwise cost a build and a notification to every client; when the last one
//     is in, the snapshot is published without waiting.
//   - An API is an upstream like an MCP server: one goroutine, one state, one catalogue. Which translator it gets is decided in one place, by the key
//     that names its description, and everything that it sends goes through one guarded transport made for it.
//   - Configured headers and credentials go to the addresses that the entry itself names. A description may name any host, and must not be able to
//     collect secrets with it.
//   - References to variables and files are resolved when a connection is made and nowhere kept. To notice at a reload that one resolves to something
//     else now, a keyed hash of all of them is remembered.
package upstream
