package upstream

import (
	"cmp"
	"context"
	"math"
	"time"

	"golang.org/x/time/rate"

	"weir/catalog"
)

// Defaults of Spec.
const (
	DefaultProbe = 30 * time.Second
	DefaultGrace = 15 * time.Minute
)

const (
	// probeWait bounds the wait for a sign of life, probeTries is how often none may come.
	probeWait  = 5 * time.Second
	probeTries = 2
	// refreshEvery is how often the lists of one upstream are read again while it tells of changes without end. refreshBurst changes before are
	// read at once.
	refreshEvery = 5 * time.Second
	refreshBurst = 3
)

// prober is a backend that can be asked for a sign of life.
type prober interface {
	Probe(context.Context) error
}

// probe asks the server for a sign of life, unless calls gave or await one: a server that works on a call may do nothing else. seen is how many calls had
// begun at the last look.
func (m *member) probe(ctx context.Context, l *live, seen *uint64) error {
	p, ok := l.backend.(prober)
	calls := m.calls.Load()
	if !ok || l.busy() || calls != *seen {
		*seen = calls
		return nil
	}
	var silent error
	for range probeTries {
		bound, cancel := context.WithTimeout(ctx, probeWait)
		silent = p.Probe(bound)
		cancel()
		if silent == nil {
			return nil
		}
	}
	if l.busy() || ctx.Err() != nil || l.backend.Err() != nil || m.shortage(silent) != nil {
		return nil //nolint:nilerr // somebody else looks after it, or nobody asked
	}
	return silent
}

// busy reports whether calls are on the connection.
func (l *live) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open > 0
}

// hold keeps the lists fresh until the connection is lost, with the reason, or ctx ends.
func (m *member) hold(ctx context.Context, l *live) error {
	pulse := time.NewTicker(cmp.Or(m.spec.Load().Probe, DefaultProbe))
	defer pulse.Stop()
	seen := m.calls.Load()
	use := m.watchUse()
	defer use.timer.Stop()
	pace := rate.NewLimiter(rate.Every(refreshEvery), refreshBurst)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.backend.Done():
			return l.backend.Err()
		case <-pulse.C:
			if err := m.probe(ctx, l, &seen); err != nil {
				return err
			}
			continue
		case <-use.timer.C:
			if m.unused(l, use) {
				return errUnused
			}
			continue
		case <-m.changes:
		}
		if !sleep(ctx, l.backend.Done(), max(quiet, pace.Reserve().Delay())) {
			continue
		}
		drop(m.changes)
		if err := m.refresh(ctx, l); err != nil && ctx.Err() == nil && l.backend.Err() == nil {
			m.note(err)
		}
	}
}

// untilLapse is how long the entries of an upstream that is down stay listed.
func (m *member) untilLapse() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.source == nil {
		return math.MaxInt64
	}
	return time.Until(m.fell.Add(cmp.Or(m.spec.Load().Grace, DefaultGrace)))
}

// lapse takes the entries of an upstream that was down for too long off the lists.
func (m *member) lapse() {
	m.mu.Lock()
	var gone *catalog.Source
	gone, m.source = m.source, nil
	m.mu.Unlock()
	if gone != nil {
		m.set.o.Log.Warn("its entries are no longer listed", "upstream", m.name, "tools", len(gone.Tools))
		m.set.mark()
	}
}
