package catalog

import (
	"fmt"
	"time"
)

// Code classifies what went wrong on weir's side of a call. What an upstream itself answers is never an [Error].
type Code string

// The closed set of codes. Each has a help topic of its name.
const (
	Invalid         Code = "invalid"         // arguments or request malformed
	NotFound        Code = "not_found"       // no such entry, or hidden from this caller
	Unauthenticated Code = "unauthenticated" // no or bad credentials
	Denied          Code = "denied"          // policy said no
	NeedsLogin      Code = "needs_login"     // the upstream wants the user's own sign-in
	Unavailable     Code = "unavailable"     // upstream down, starting or broken
	Timeout         Code = "timeout"         // weir's deadline passed
	Limited         Code = "limited"         // rate, concurrency or quota
	TooLarge        Code = "too_large"       // request or result over the cap
	Config          Code = "config"          // file or policy invalid
	Internal        Code = "internal"        // a fault of weir itself
	Canceled        Code = "canceled"        // the caller went away
)

// Execution says whether the upstream ran a call that failed (at most once: a call of unknown outcome is never repeated).
type Execution uint8

// Unknown is the zero value: nothing is promised.
const (
	Unknown Execution = iota
	NotExecuted
	Executed
)

// String returns the words that error texts use.
func (x Execution) String() string {
	switch x {
	case NotExecuted:
		return "not executed"
	case Executed:
		return "executed"
	default:
		return "outcome unknown"
	}
}

// Error is a failure of weir's own. Msg is safe to show to any caller and starts with the subject; Err is for the log only.
type Error struct {
	Code      Code
	Msg       string
	Hint      string // one thing to type or do, may be empty
	Execution Execution
	URL       string        // where the caller's user can do what is missing, may be empty
	Retry     time.Duration // when it makes sense to try again, 0 when nobody knows
	Err       error
}

// Errorf makes an Error without cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Msg: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Msg }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// RPCError is a JSON-RPC error object on its way as it is: what a client answered to an upstream's request.
type RPCError struct {
	Object []byte // raw, with code and message
}

func (e *RPCError) Error() string { return "the client answered with an error" }
