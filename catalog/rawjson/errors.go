package rawjson

import (
	"errors"
	"strconv"
)

// JSON-RPC 2.0 error codes that a [SyntaxError] carries (JSON-RPC 2.0, section 5.1).
const (
	CodeParse          = -32700 // the bytes are not JSON
	CodeInvalidRequest = -32600 // the JSON is not an acceptable JSON-RPC message
)

// ErrBatch is matched by the error of [Scan] for a message that is an array. No MCP revision after 2025-03-26 has
// batches. The rest of the array is not looked at.
var ErrBatch = errors.New("json: batches are not supported")

// SyntaxError says why bytes were refused. It holds no part of the input, so it is safe to send back and to log.
type SyntaxError struct {
	Offset int    // index of the byte at which the reader stopped
	Code   int    // CodeParse or CodeInvalidRequest
	Reason string // made of constant text and names from the MCP specification only

	err error
}

// Error returns "json: byte OFFSET: REASON".
func (e *SyntaxError) Error() string {
	return "json: byte " + strconv.Itoa(e.Offset) + ": " + e.Reason
}

// Unwrap returns ErrBatch for a batch, otherwise nil.
func (e *SyntaxError) Unwrap() error { return e.err }
