package once

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"weir/catalog"
	"weir/catalog/sqlitefile"
	"weir/server"
)

const (
	// patience bounds one statement.
	patience = 10 * time.Second
	// mostUnderWay is after how long nobody knows any more what became of a call.
	mostUnderWay = 10 * time.Minute
	// leastKept is how long keys are remembered at least: longer than calls take.
	leastKept = time.Hour
	// cleaned is how often old calls are removed at most.
	cleaned = time.Minute
)

// Spec is where the keys of calls are kept.
type Spec struct {
	// Database is the path of an SQLite file; without one keys mean nothing.
	Database string `yaml:"database"`
	// Keep is how long a key is remembered, at least an hour.
	Keep time.Duration `yaml:"keep"`
}

// Default is what stands where the file says nothing.
func Default() Spec { return Spec{Keep: 24 * time.Hour} }

// Store implements [server.Once]. It is safe for concurrent use, also by several programs.
type Store struct {
	db    *sql.DB
	keep  time.Duration
	now   func() time.Time
	clean atomic.Int64 // when old calls are removed next, Unix seconds
}

// The states of a call.
const (
	underWay = iota
	answered
	unsure
)

// Open opens the file, and makes it when needed.
func Open(ctx context.Context, s Spec) (*Store, error) {
	db, err := sqlitefile.Open(s.Database, "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, fmt.Errorf("keys of calls: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS calls (key BLOB PRIMARY KEY, arguments BLOB NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL,
		era INTEGER NOT NULL DEFAULT 0, answer BLOB)`); err != nil {
		return nil, errors.Join(fmt.Errorf("keys of calls: %s: %w", s.Database, err), db.Close())
	}
	return &Store{db: db, keep: max(s.Keep, leastKept), now: time.Now}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Claim implements [server.Once].
func (s *Store) Claim(ctx context.Context, key, arguments server.Digest) (*server.Earlier, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now := s.now()
	s.expire(ctx, now)
	done, err := s.db.ExecContext(ctx, `INSERT INTO calls (key, arguments, at, state) VALUES (?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET arguments = excluded.arguments, at = excluded.at, state = excluded.state, era = 0, answer = NULL WHERE at < ?`,
		key[:], arguments[:], now.Unix(), underWay, now.Add(-s.keep).Unix())
	if err != nil {
		return nil, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return nil, err
	}
	var given, answer []byte
	var at int64
	var state, era int
	if err := s.db.QueryRowContext(ctx, "SELECT arguments, at, state, era, answer FROM calls WHERE key = ?", key[:]).Scan(&given, &at, &state, &era, &answer); err != nil {
		return nil, err // also when it was forgotten meanwhile: the caller comes again
	}
	e := &server.Earlier{Answered: state == answered, Answer: answer, Era: catalog.Era(era)}
	copy(e.Arguments[:], given)
	e.Unsure = state == unsure || state == underWay && now.Sub(time.Unix(at, 0)) > mostUnderWay
	return e, nil
}

// Settle implements [server.Once].
func (s *Store) Settle(key server.Digest, e *server.Earlier) error {
	state := unsure
	if e.Answered {
		state = answered
	}
	return s.exec("UPDATE calls SET state = ?, era = ?, answer = ? WHERE key = ? AND state = ?", state, int(e.Era), e.Answer, key[:], underWay)
}

// Forget implements [server.Once].
func (s *Store) Forget(key server.Digest) error {
	return s.exec("DELETE FROM calls WHERE key = ? AND state = ?", key[:], underWay)
}

// exec runs a statement that a caller who went away does not stop.
func (s *Store) exec(statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := s.db.ExecContext(ctx, statement, args...)
	return err
}

// expire removes old calls once in a while. What it does not remove is not believed either, so a failure means nothing.
func (s *Store) expire(ctx context.Context, now time.Time) {
	if next := s.clean.Load(); now.Unix() >= next && s.clean.CompareAndSwap(next, now.Add(cleaned).Unix()) {
		_, _ = s.db.ExecContext(ctx, "DELETE FROM calls WHERE at < ?", now.Add(-s.keep).Unix())
	}
}
