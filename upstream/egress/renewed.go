package egress

import (
	"net/http"
	"sync/atomic"
	"time"
)

// connLife is how long the connections of a client are used before it makes new ones.
const connLife = 5 * time.Minute

// Renewed is an http.Transport that asks again for the addresses behind names: net/http keeps a connection for as long as it is in use again and again, even
// where its name has had another address for days. Twice in five minutes, with the next request, it closes the connections that rest. So one that rests at
// times lives no longer than that, and no request is cut.
type Renewed struct {
	*http.Transport
	swept atomic.Int64 // when, in nanoseconds of Unix time
}

// RoundTrip implements http.RoundTripper.
func (t *Renewed) RoundTrip(r *http.Request) (*http.Response, error) {
	now := time.Now().UnixNano()
	last := t.swept.Load()
	if now-last >= int64(connLife/2) && t.swept.CompareAndSwap(last, now) {
		t.CloseIdleConnections()
	}
	return t.Transport.RoundTrip(r)
}
