// Package e2e owns the proof that the built program works with the rest of the world: it starts the weir binary as a person would, puts
// real and scripted MCP servers behind it and real clients in front of it, and judges what crosses the wire. It holds nothing but tests.
//
// It stands outside the line: it imports nothing of weir but the fakes, and talks to the program through its command line, its
// endpoint, and its standard input and output. Only the crowd of principals wires the parts itself, because its callers are made by the hundred
// and what is left of them must be counted.
//
// Decisions:
//
//   - The binary is built once per run, with the race detector when the tests have it; a race it reports fails the test that ran it. The
//     other way, a test binary that turns into weir, would measure start and memory with every test library in it.
//   - The conformance suite is compared check by check with what the same fixture answers without weir. Its own exit code would call a
//     fault of the fixture a fault of the gateway, and hide a check that weir loses where the scenario still passes.
//   - What goes otherwise through weir for good stands in testdata/conformance/exceptions.yml with a reason; a failure only with the cells
//     in which an era lacks what is asked for. An entry that has come to pass is an error: the list can only shrink.
//   - The fixtures in Go are built from weir's own go.mod, so they are pinned by go.sum and need no step of their own. Those from npm are
//     installed by .ci/install into one place; without them these tests skip on a person's machine and fail in CI.
//   - Clients of other SDKs report what they saw as JSON and have no opinion: all expectations are on the Go side, in one table.
package e2e
