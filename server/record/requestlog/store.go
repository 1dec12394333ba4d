package requestlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers pgx

	"weir/catalog/sqlitefile"
)

const (
	// chunkRows is how many rows a chunk has at most, chunkBytes how large it may become, and chunkSpan how long rows are added to it: rows are removed by
	// the chunk.
	chunkRows, chunkBytes, chunkSpan = 1024, 1 << 20, time.Hour
	// queuedRows and queuedBytes bound what waits in memory.
	queuedRows, queuedBytes = 8192, 16 << 20
	// pause gathers rows that come one by one.
	pause = 100 * time.Millisecond
	// expiry is how often old rows are removed.
	expiry = 10 * time.Minute
	// patience bounds one statement.
	patience = 10 * time.Second
)

// Log is an open request log. It is safe for concurrent use, also by several programs.
type Log struct {
	db    *sql.DB
	keep  time.Duration
	log   *slog.Logger
	lost  atomic.Int64
	wake  chan struct{} // has room for one: there is something to write
	timer *time.Timer   // wakes too
	end   chan struct{}
	done  chan struct{}
	once  sync.Once

	mu     sync.Mutex
	next   chunk // what is gathered
	closed bool

	// Of the goroutine that writes, alone.
	tail    tail
	failing bool  // the database did not take the last rows
	before  int64 // how many were lost before that
}

// chunk is rows that are kept together, in the order in which the requests ended.
type chunk struct {
	rows        []byte // JSON objects, with a comma and a line end between them
	n           int
	first, last int64 // when its earliest and its latest request began, Unix microseconds
}

// add puts a row into the chunk.
func (c *chunk) add(r *Row) {
	at := r.At.UnixMicro()
	c.span(at, at, 1)
	c.rows = r.append(c.rows)
}

// join puts the rows of another chunk behind its own.
func (c *chunk) join(other *chunk) {
	c.span(other.first, other.last, other.n)
	c.rows = append(c.rows, other.rows...)
}

// span makes room for n rows that began between first and last.
func (c *chunk) span(first, last int64, n int) {
	if c.n == 0 {
		c.first, c.last = first, last
	} else {
		c.rows = append(c.rows, ",\n"...)
	}
	c.first, c.last, c.n = min(c.first, first), max(c.last, last), c.n+n
}

// tail is the small chunks that were written last. They become one when there are enough of them.
type tail struct {
	chunk
	ids   []int64
	since time.Time
}

// Open opens the database of a spec, whose references are resolved, and makes its tables when needed. The error names an SQLite file, and is [ErrBroken]
// when that is no database or a damaged one.
func Open(ctx context.Context, s Spec, log *slog.Logger) (*Log, error) {
	db, err := connect(s.Database)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := create(ctx, db, isPostgres(s.Database)); err != nil {
		return nil, errors.Join(named(s.Database, err), db.Close())
	}
	l := &Log{db: db, keep: s.Keep, log: log, wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{})}
	l.timer = time.AfterFunc(pause, l.rouse)
	go l.run()
	return l, nil
}

func isPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// connect opens a database without talking to it.
func connect(database string) (*sql.DB, error) {
	if isPostgres(database) {
		db, err := sql.Open("pgx", database)
		if err != nil {
			return nil, errors.New("request log: the URL of the database is not one that PostgreSQL takes") // the error would show the password
		}
		db.SetMaxOpenConns(4)
		return db, nil
	}
	db, err := sqlitefile.Open(database, "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		return nil, fmt.Errorf("request log: %w", err)
	}
	return db, nil
}

// create makes the table, its index and, for people, the view request_log with a line for each request.
func create(ctx context.Context, db *sql.DB, postgres bool) error {
	id := "INTEGER PRIMARY KEY"
	if postgres {
		id = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
	}
	for _, statement := range [...]string{
		"CREATE TABLE IF NOT EXISTS request_chunks (id " + id + ", first BIGINT NOT NULL, last BIGINT NOT NULL, rows TEXT NOT NULL)",
		"CREATE INDEX IF NOT EXISTS request_chunks_last ON request_chunks (last)",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if viewed(ctx, db) {
		return nil
	}
	err := createView(ctx, db, postgres)
	if err != nil && viewed(ctx, db) {
		return nil // another program was quicker
	}
	return err
}

// viewed reports whether the view is there with all its columns.
func viewed(ctx context.Context, db *sql.DB) bool {
	rows, err := db.QueryContext(ctx, "SELECT "+names()[members-1]+" FROM request_log LIMIT 0") //nolint:gosec // all of it is written here
	return err == nil && errors.Join(rows.Err(), rows.Close()) == nil
}

// createView makes the view, in the place of one with fewer columns.
func createView(ctx context.Context, db *sql.DB, postgres bool) error {
	view := viewOf(members, postgres)
	if postgres {
		_, err := db.ExecContext(ctx, "CREATE OR REPLACE "+view)
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	for _, statement := range [...]string{"DROP VIEW IF EXISTS request_log", "CREATE " + view} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// viewOf defines the view of the first n members.
func viewOf(n int, postgres bool) string {
	value, each := "each.value", "json_each(request_chunks.rows) AS each"
	if postgres {
		value, each = "each", "json_array_elements(request_chunks.rows::json) AS each"
	}
	var columns []string
	all := names()
	for i, name := range all[:n] {
		column := "COALESCE(" + value + " ->> '" + name + "', '')"
		if i >= inMillis && i <= inOut {
			column = "CAST(COALESCE(" + value + " ->> '" + name + "', '0') AS DOUBLE PRECISION)"
		}
		columns = append(columns, column+` AS "`+name+`"`)
	}
	return "VIEW request_log AS SELECT " + strings.Join(columns, ", ") + " FROM request_chunks, " + each
}

// bare is an error without what pgx says of the connection, which may hold a password.
func bare(err error) error {
	if strings.Contains(err.Error(), "failed to connect to") {
		return errors.New("the database cannot be reached")
	}
	return err
}

// Put hands over a row. It never waits: a row that there is no room for is lost and counted.
func (l *Log) Put(r Row) {
	l.mu.Lock()
	if l.closed || l.next.n >= queuedRows || len(l.next.rows) >= queuedBytes {
		l.mu.Unlock()
		l.lost.Add(1)
		return
	}
	before := len(l.next.rows) >= chunkBytes
	l.next.add(&r)
	full := l.next.n == chunkRows || !before && len(l.next.rows) >= chunkBytes
	if l.next.n == 1 {
		l.timer.Reset(pause)
	}
	l.mu.Unlock()
	if full {
		l.rouse()
	}
}

// rouse has what was gathered written.
func (l *Log) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Lost is how many rows were lost since the log was opened.
func (l *Log) Lost() int64 { return l.lost.Load() }

// Close writes what waits and closes the database.
func (l *Log) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		close(l.end)
	})
	<-l.done
	return l.db.Close()
}

// run writes rows until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	defer l.timer.Stop()
	clean := time.NewTicker(expiry)
	defer clean.Stop()
	l.expire()
	var spare []byte
	for {
		select {
		case <-l.wake:
			spare = l.write(spare, false)
		case <-clean.C:
			l.expire()
		case <-l.end:
			l.write(nil, true)
			return
		}
	}
}

// write writes what was gathered, and returns its memory; spare is that of an earlier time. The last one leaves no small chunks.
func (l *Log) write(spare []byte, last bool) []byte {
	l.mu.Lock()
	c := l.next
	l.next = chunk{rows: spare[:0]}
	l.mu.Unlock()
	if c.n == 0 && (!last || len(l.tail.ids) < 2) {
		return c.rows
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := l.store(ctx, &c, last)
	switch {
	case err != nil && !l.failing:
		l.failing, l.before = true, l.lost.Load()
		l.log.Error("the request log cannot be written; requests go on", "error", bare(err))
	case err == nil && l.failing:
		l.failing = false
		l.log.Info("the request log is written again", "lost", l.lost.Load()-l.before)
	}
	if err != nil {
		l.lost.Add(int64(c.n))
	}
	return c.rows
}

// store writes a chunk. A small one is written by itself, and again with the others of the tail when they are large enough together: so each row is
// written twice at most, and chunks are large however slowly rows come.
func (l *Log) store(ctx context.Context, c *chunk, last bool) error {
	if c.n >= chunkRows/2 || len(c.rows) >= chunkBytes/2 {
		_, err := l.insert(ctx, c, nil)
		return err
	}
	t := l.tail
	if len(t.ids) == 0 {
		t = tail{since: time.Now()}
	}
	if c.n > 0 {
		t.join(c)
	}
	if last || t.n >= chunkRows || len(t.rows) >= chunkBytes || time.Since(t.since) >= chunkSpan {
		_, err := l.insert(ctx, &t.chunk, t.ids)
		if err == nil {
			l.tail = tail{}
		}
		return err
	}
	id, err := l.insert(ctx, c, nil)
	if err == nil {
		t.ids = append(t.ids, id)
		l.tail = t
	}
	return err
}

// insert writes a chunk in the place of others.
func (l *Log) insert(ctx context.Context, c *chunk, others []int64) (id int64, err error) {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	for _, other := range others {
		if _, err := tx.ExecContext(ctx, "DELETE FROM request_chunks WHERE id = $1", other); err != nil {
			return 0, err
		}
	}
	err = tx.QueryRowContext(ctx, "INSERT INTO request_chunks (first, last, rows) VALUES ($1, $2, $3) RETURNING id", c.first, c.last, "["+string(c.rows)+"]").Scan(&id)
	if err != nil {
		return 0, err
	}
	return id, tx.Commit()
}

// expire removes rows that are too old.
func (l *Log) expire() {
	if l.keep <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := l.db.ExecContext(ctx, "DELETE FROM request_chunks WHERE last < $1", time.Now().Add(-l.keep).UnixMicro()); err != nil {
		l.log.Warn("old rows of the request log could not be removed", "error", bare(err))
	}
}
