package server

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// panicError is a fault of weir itself, or of a library, that ended the work on one request.
type panicError struct {
	id    string // what the caller is told, and the log
	value any
	stack []byte
}

// newPanicError makes the error of a recovered value. It must be called by the deferred func that recovered.
func newPanicError(value any) *panicError {
	return &panicError{id: rand.Text()[:8], value: value, stack: debug.Stack()}
}

func (p *panicError) Error() string { return "internal error (fault " + p.id + " in the log of weir)" }

func (p *panicError) log(l *slog.Logger, about ...any) {
	l.Error("panic", append(about, "fault", p.id, "error", fmt.Sprint(p.value), "stack", string(p.stack))...)
}

// Panicked answers a request, nil when its id is not known, whose transport recovered value on the way. It must be called by the deferred func that did so.
func Panicked(l *slog.Logger, id []byte, value any) *Reply {
	p := newPanicError(value)
	p.log(l)
	return ErrorReply(statusInternal, id, CodeInternal, p.Error(), nil)
}
