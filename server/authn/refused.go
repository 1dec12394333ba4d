package authn

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	// refusedAgain is how long nothing more is logged about refusals of one reason to one address.
	refusedAgain = time.Minute
	// reasons is how many pairs of address and reason are remembered for that.
	reasons = 4096
)

// refused tells the operator of sign-ins that failed. Whoever tries them decides how many there are, so the log has one line a minute for each reason and
// address; the metric counts all.
type refused struct {
	counter metric.Int64Counter

	mu  sync.Mutex
	all *lru.Cache[refusedKey, refusedTally]
}

// refusedKey is what the log tells apart.
type refusedKey struct{ address, reason string }

// refusedTally is when the last line was written, and how many refusals there were since.
type refusedTally struct {
	at time.Time
	n  int
}

func newRefused(m metric.Meter) (*refused, error) {
	counter, err := m.Int64Counter("weir.auth.refusals", metric.WithDescription("Credentials that were refused, by the reason"))
	if err != nil {
		return nil, err
	}
	all, err := lru.New[refusedKey, refusedTally](reasons)
	return &refused{counter: counter, all: all}, err
}

// add takes a refusal. It returns how many there were for this address and reason since the last line of log, 0 when it is too early for another.
func (f *refused) add(ctx context.Context, address string, c *cause) (n int) {
	f.counter.Add(ctx, 1, metric.WithAttributes(attribute.Int("http.response.status_code", c.status), attribute.String("weir.reason", c.reason)))
	f.mu.Lock()
	defer f.mu.Unlock()
	k, now := refusedKey{address, c.reason}, time.Now()
	t, known := f.all.Get(k)
	t.n++
	if known && now.Sub(t.at) < refusedAgain {
		f.all.Add(k, t)
		return 0
	}
	f.all.Add(k, refusedTally{at: now})
	return t.n
}

// tell notes that a credential was refused. The log has neither the credential nor what it claims.
func (a *Authenticator) tell(r *http.Request, res *resource, c *cause) {
	if c.bare {
		return
	}
	a.log.Debug("sign-in refused", "resource", res.url, "status", c.status, "reason", c.reason, "detail", c.detail)
	address := host(r.RemoteAddr)
	if n := a.refused.add(r.Context(), address, c); n > 0 {
		a.log.Warn("sign-in refused", "address", address, "status", c.status, "reason", c.reason, "resource", res.url, "times", n)
	}
}

// host is an address without its port.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}
