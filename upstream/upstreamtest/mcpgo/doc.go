// Mcpgo is an mcp-go server of both eras with one tool, echo, on a port of its own, which it prints. It owns nothing but the answer to one
// question: what a gateway costs beside a server of the kind that people write.
//
// It stands outside the line, as a program, so that nothing but itself imports mcp-go for it.
package main
