// Package mcpstdio owns MCP over standard input and output towards one client, both eras.
//
// Like mcphttp it is the first and last step of the line: one message is one line, scanned once and handed to server.Gateway. Requests
// run side by side; whatever is written is written as one whole line.
//
// Decisions:
//
//   - The era is told message by message, as on HTTP: a client may probe with server/discover and then initialize.
//   - At the end of input the requests in flight are finished and answered before Serve returns; a client that pipes a few requests into weir and closes
//     gets every answer. mcp-go's stdio server cancels them.
//   - Nothing but whole JSON-RPC messages is ever written to the output, and nobody else has it.
package mcpstdio
