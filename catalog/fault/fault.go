package fault

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// PanicError is a fault of weir itself, or of a library, that ended a piece of work.
type PanicError struct {
	id     string // what the caller is told, and the log
	value  any
	stack  []byte
	logged bool
}

// Recovered makes the error of a recovered value. It must be called by the deferred func that recovered.
func Recovered(value any) *PanicError {
	return &PanicError{id: rand.Text()[:8], value: value, stack: debug.Stack()}
}

// Error names the fault, and says nothing else of it.
func (p *PanicError) Error() string { return "internal error (fault " + p.id + " in the log of weir)" }

// Log writes everything that is known, once. l may be nil for no log; about are attributes.
func (p *PanicError) Log(l *slog.Logger, about ...any) {
	if l == nil || p.logged {
		return
	}
	p.logged = true
	l.Error("panic", append(about, "fault", p.id, "error", fmt.Sprint(p.value), "stack", string(p.stack))...)
}

// Catch runs work. A panic in it is logged, with about as attributes, and becomes its error, a [*PanicError].
func Catch(l *slog.Logger, work func() error, about ...any) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p := Recovered(v)
			p.Log(l, about...)
			err = p
		}
	}()
	return work()
}
