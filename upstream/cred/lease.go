package cred

import (
	"context"
	"crypto/rand"
	"time"
)

const (
	// leaseLife is how long one process may take to refresh tokens; one that died is waited for so long.
	leaseLife = tokenTimeout + 5*time.Second
	// leasePause is how long is waited before a lease is tried again.
	leasePause = 25 * time.Millisecond
)

// lease is the right to refresh the tokens of a user, which one of the processes that share a store has at a time.
type lease struct {
	store                   *Store
	owner, resource, issuer string

	holder string // "" as long as it was not had
}

// take takes the lease for a while, and reports whether it was free.
func (l *lease) take(ctx context.Context, d time.Duration) (bool, error) {
	if err := l.store.open(ctx); err != nil {
		return false, err
	}
	if l.holder == "" {
		l.holder = rand.Text()
	}
	now := time.Now()
	result, err := l.store.db.ExecContext(ctx, `INSERT INTO leases (owner, resource, issuer, holder, until) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (owner, resource, issuer) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE until < ?`,
		l.store.name(l.owner), l.store.name(l.resource), l.issuer, l.holder, now.Add(d).UnixNano(), now.UnixNano())
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// wait takes the lease when it is free.
func (l *lease) wait(ctx context.Context) error {
	for {
		free, err := l.take(ctx, leaseLife)
		if free || err != nil {
			return err
		}
		select {
		case <-time.After(leasePause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release gives the lease back, when it is still had. One that cannot be given back ends by itself.
func (l *lease) release(ctx context.Context) {
	_, _ = l.store.db.ExecContext(ctx, `DELETE FROM leases WHERE owner = ? AND resource = ? AND issuer = ? AND holder = ?`,
		l.store.name(l.owner), l.store.name(l.resource), l.issuer, l.holder)
}
