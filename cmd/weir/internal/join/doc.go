// Package join owns the way from one weir to another on the same machine: weir stdio hands its client over to the weir serve of the same user and
// configuration, so that ten clients share one set of servers; weir ls, tools and call ask it.
//
// The wire is a Unix socket. The gateway speaks first, one line of JSON ([Hello]); whoever called compares and either stays, and from then on the
// connection is MCP over lines as on standard input and output, or hangs up. Who wants to know something of the gateway itself begins with the word
// ask and gets one line of answer ([Conn.Ask]). Nothing but that is this package's own, so the two programs need not be of one version.
//
// Decisions:
//
//   - Only weir serve is shared. A weir stdio that served others would have to outlive its client, and nobody would know whose it is.
//   - The socket is named after the configuration's real path, so different files never meet. The line proves more: a keyed hash of the file and of
//     what its variables are for the gateway. A client that starts weir with variables of its own gets servers of its own.
//   - Whoever only looks ([Find]) need not have what the gateway has read: a file that was changed since, or is broken, is when one looks.
//   - The socket lives in a folder that only its owner can enter, and on Linux both ends ask the kernel who the other one is.
//   - A gateway that goes away while clients are joined ends them: each open request is answered with an error, and weir stdio exits with an
//     error, so that the client starts it again. Taking over in place would need what the old session knew (capabilities, subscriptions, levels), and
//     a client that lost some of that in silence is worse off than one that starts anew.
package join
