package mcphttp

import (
	"errors"
	"net/http"
	"time"

	"weir/server/authn"
)

const (
	// recheck is how often the client of a held stream is asked about: keys, groups and certificates change while a stream is open.
	recheck = 4 * time.Second
	// leastRecheck keeps an identity that is good for no time at all from being asked about without end.
	leastRecheck = 250 * time.Millisecond
)

// Identify says who sends a request that is not MCP but is answered beside it, under the same guard. The error is a *authn.Refusal.
func (e *Endpoint) Identify(r *http.Request) (authn.Caller, error) {
	if reason := e.guard.refuse(r); reason != "" {
		return authn.Caller{}, &authn.Refusal{Status: http.StatusForbidden, Reason: reason}
	}
	return e.identify(r)
}

// unidentified answers a request whose client is nobody.
func unidentified(w http.ResponseWriter, r *http.Request, err error) {
	refusal := new(authn.Refusal)
	if !errors.As(err, &refusal) {
		refusal = &authn.Refusal{Status: http.StatusServiceUnavailable, Reason: "sign-in failed"}
	}
	refusal.ServeHTTP(w, r)
}

// still reports whether the client of a held stream is who it was when the stream was opened, with the same rights.
func (x *exchange) still() bool {
	c, err := x.endpoint.identify(x.r)
	x.until = c.Until
	return err == nil && c.Principal == x.principal
}

// again is how long still need not be asked.
func (x *exchange) again() time.Duration {
	if x.until.IsZero() {
		return recheck
	}
	return min(max(time.Until(x.until), leastRecheck), recheck)
}
