package server

import (
	"log/slog"

	"weir/catalog/fault"
)

// Panicked answers a request, nil when its id is not known, whose transport recovered value on the way. It must be called by the deferred func that did so.
func Panicked(l *slog.Logger, id []byte, value any) *Reply {
	p := fault.Recovered(value)
	p.Log(l)
	return ErrorReply(statusInternal, id, CodeInternal, p.Error(), nil)
}
