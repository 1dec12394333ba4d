package term

import (
	"context"
	"errors"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
)

// The exit codes of weir, stable for scripts.
const (
	OK          = 0
	Failed      = 1
	BadUsage    = 2
	BadConfig   = 3
	NeedsLogin  = 4
	Unavailable = 5
	Denied      = 6
	ToolError   = 7
	TestsFailed = 8
	Interrupted = 130
)

// UsageError is a command line that makes no sense.
type UsageError struct {
	Msg  string
	Hint string // one thing to type, may be empty
}

func (u *UsageError) Error() string { return u.Msg }

// ErrTool says that a called tool reported an error; what it said is printed already.
var ErrTool = errors.New("the tool reported an error")

// ErrTests says that tests of the policy failed; which ones is printed already.
var ErrTests = errors.New("tests of the policy failed")

// ExitCode is the exit code of a command that ended with err.
func ExitCode(err error) int {
	if err == nil {
		return OK
	}
	if usage := new(UsageError); errors.As(err, &usage) {
		return BadUsage
	}
	if errors.Is(err, ErrTool) {
		return ToolError
	}
	if errors.Is(err, ErrTests) {
		return TestsFailed
	}
	switch codeOf(err) {
	case catalog.Invalid:
		return BadUsage
	case catalog.Config:
		return BadConfig
	case catalog.Unauthenticated, catalog.NeedsLogin:
		return NeedsLogin
	case catalog.Unavailable, catalog.Timeout, catalog.Limited:
		return Unavailable
	case catalog.Denied:
		return Denied
	case catalog.Canceled:
		return Interrupted
	default:
		return Failed
	}
}

// codeOf classifies an error.
func codeOf(err error) catalog.Code {
	var e *catalog.Error
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return catalog.Config
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return catalog.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return catalog.Timeout
	default:
		return catalog.Internal
	}
}
