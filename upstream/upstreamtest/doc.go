// Package upstreamtest owns the fakes that tests put behind the gateway: MCP servers of both eras that speak the real protocol on the
// wire, misbehave on request, and keep a ledger of every message that reached them. With it a test proves at the upstream what happened
// to a call: that it came once, with which headers and bytes, or not at all.
//
// It stands beside the line, never in it: only tests import it.
//
//	up := upstreamtest.New(t, upstreamtest.Config{
//		Tools:  []upstreamtest.Raw{`{"name":"echo","inputSchema":{"type":"object"}}`},
//		Script: []upstreamtest.Act{{On: "echo", Nth: 2, Fault: upstreamtest.Hang}},
//	})
//	// … point the gateway at up.URL …
//	got := up.Ledger().Calls("tools/call")
//
// [New] serves over HTTP in the test's process, [Stdio] says how to run the same server as a child, and [Main] is that child: a test
// binary hands over to it in TestMain ([RunChild]) or registers it with testscript as the command fakemcp.
//
// Decisions:
//
//   - Written on net/http and bytes, without the code it tests and without an MCP library. A library would keep a test from sending the
//     bytes that matter: odd ids, huge numbers, broken frames, and content that its types do not know.
//   - What a test scripts goes out byte for byte. The one exception is resultType, which a modern result must have: it is put in front
//     of a scripted result that lacks it, unless the [Act] says Verbatim.
//   - Strict about what it receives: a message that breaks the specification is answered with the error the specification names, and
//     the ledger says what was wrong, so that a test can demand that there was nothing.
//   - Raw JSON is held in strings ([Raw]), not json.RawMessage, because encoding/json compacts and escapes the latter on its way to a child.
package upstreamtest
