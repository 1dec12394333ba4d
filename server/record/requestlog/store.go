package requestlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers pgx
	_ "modernc.org/sqlite"             // registers sqlite
)

// Row is one request.
type Row struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Who       string    `json:"who"`
	Method    string    `json:"method"`
	Upstream  string    `json:"upstream,omitempty"`
	Name      string    `json:"name,omitempty"` // of the tool or prompt, or the URI
	Kind      string    `json:"kind,omitempty"`
	Era       string    `json:"era"`
	Rule      string    `json:"rule,omitempty"`
	Outcome   string    `json:"outcome"`
	Execution string    `json:"execution,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Millis    float64   `json:"ms"`
	Upstreams float64   `json:"upstreamMs,omitempty"` // of it, with the upstream
	In        int       `json:"in"`
	Out       int       `json:"out"`
	Trace     string    `json:"trace,omitempty"`
	Address   string    `json:"address,omitempty"`
	Arguments string    `json:"arguments,omitempty"` // raw, redacted
}

const (
	queued = 8192
	batch  = 1024
	// together is how many rows one statement inserts; fields is how many columns a row has.
	together, fields = 64, 19
	// pause gathers rows that come one by one.
	pause = 100 * time.Millisecond
	// expiry is how often old rows are removed.
	expiry = 10 * time.Minute
	// patience bounds one statement.
	patience = 10 * time.Second
)

// schema is the table. Ids begin with their time, so the one tree of a table without rowids, which only SQLite has, is written at its end; the index
// of traces has only the rows that have one.
const schema = `CREATE TABLE IF NOT EXISTS requests (
	id TEXT PRIMARY KEY, at BIGINT NOT NULL, who TEXT NOT NULL, method TEXT NOT NULL, upstream TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
	era TEXT NOT NULL, rule TEXT NOT NULL, outcome TEXT NOT NULL, execution TEXT NOT NULL, reason TEXT NOT NULL, ms DOUBLE PRECISION NOT NULL,
	upstream_ms DOUBLE PRECISION NOT NULL, size_in BIGINT NOT NULL, size_out BIGINT NOT NULL, trace TEXT NOT NULL, address TEXT NOT NULL, arguments TEXT NOT NULL)%s;
CREATE INDEX IF NOT EXISTS requests_trace ON requests (trace) WHERE trace <> ''`

const columns = "id, at, who, method, upstream, name, kind, era, rule, outcome, execution, reason, ms, upstream_ms, size_in, size_out, trace, address, arguments"

// Log is an open request log. It is safe for concurrent use, also by several programs.
type Log struct {
	db       *sql.DB
	keep     time.Duration
	log      *slog.Logger
	queue    chan Row
	postgres bool
	many     string // the statement for together rows
	lost     atomic.Int64
	end      chan struct{}
	done     chan struct{}
	once     sync.Once
}

// Open opens the database of a spec, whose references are resolved, and makes the table when needed.
func Open(ctx context.Context, s Spec, log *slog.Logger) (*Log, error) {
	db, err := connect(s.Database)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	only := " WITHOUT ROWID"
	if isPostgres(s.Database) {
		only = ""
	}
	for statement := range strings.SplitSeq(fmt.Sprintf(schema, only), ";") {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("request log: %w", bare(err)), db.Close())
		}
	}
	l := &Log{db: db, keep: s.Keep, log: log, queue: make(chan Row, queued), postgres: isPostgres(s.Database), many: insertion(together, isPostgres(s.Database)), end: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l, nil
}

func isPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// ID makes the id of a request that began at a moment; rest tells it from others of the same microsecond. Ids are in the order of time.
func ID(at time.Time, rest string) string {
	const digits = 10 // of base 36: enough until 2085
	moment := strconv.FormatInt(at.UnixMicro(), 36)
	return strings.Repeat("0", max(digits-len(moment), 0)) + moment + "-" + rest
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
	if err := os.MkdirAll(filepath.Dir(database), 0o700); err != nil {
		return nil, fmt.Errorf("request log: %w", err)
	}
	f, err := os.OpenFile(database, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would make it readable for others
	if err != nil {
		return nil, fmt.Errorf("request log: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("request log: %w", err)
	}
	path, err := filepath.Abs(database)
	if err != nil {
		return nil, fmt.Errorf("request log: %w", err)
	}
	uri := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: "_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)"}
	db, err := sql.Open("sqlite", uri.String()) // a URI, in which # and ? mean something
	if err != nil {
		return nil, fmt.Errorf("request log: %w", err)
	}
	return db, nil
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
	select {
	case l.queue <- r:
	default:
		l.lost.Add(1)
	}
}

// Lost is how many rows were lost since the log was opened.
func (l *Log) Lost() int64 { return l.lost.Load() }

// Close writes what waits and closes the database.
func (l *Log) Close() error {
	l.once.Do(func() { close(l.end) })
	<-l.done
	return l.db.Close()
}

// run writes rows until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	clean := time.NewTicker(expiry)
	defer clean.Stop()
	l.expire()
	for {
		select {
		case r := <-l.queue:
			l.write(l.gather(r))
		case <-clean.C:
			l.expire()
		case <-l.end:
			for len(l.queue) > 0 {
				l.write(l.gather(<-l.queue))
			}
			return
		}
	}
}

// gather returns r and what comes within a moment.
func (l *Log) gather(r Row) []Row {
	rows := append(make([]Row, 0, batch), r)
	for wait := time.After(pause); len(rows) < batch; {
		select {
		case r := <-l.queue:
			rows = append(rows, r)
		case <-wait:
			return rows
		case <-l.end:
			wait = nil
			if len(l.queue) == 0 {
				return rows
			}
		}
	}
	return rows
}

// write inserts rows in one transaction.
func (l *Log) write(rows []Row) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.insert(ctx, rows); err != nil {
		if l.lost.Add(int64(len(rows))) == int64(len(rows)) {
			l.log.Error("the request log cannot be written; requests go on", "error", bare(err))
		}
	}
}

func (l *Log) insert(ctx context.Context, rows []Row) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	for part := range slices.Chunk(rows, together) {
		query := l.many
		if len(part) < together {
			query = insertion(len(part), l.postgres)
		}
		args := make([]any, 0, len(part)*fields)
		for _, r := range part {
			args = append(args, r.ID, r.At.UnixMilli(), r.Who, r.Method, r.Upstream, r.Name, r.Kind, r.Era, r.Rule, r.Outcome, r.Execution, r.Reason,
				r.Millis, r.Upstreams, r.In, r.Out, r.Trace, r.Address, r.Arguments)
		}
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// insertion is the statement that inserts n rows. SQLite takes $1 for a name, and looks names up one by one.
func insertion(n int, postgres bool) string {
	b := []byte("INSERT INTO requests (" + columns + ") VALUES ")
	for i := range n * fields {
		switch {
		case i == 0:
			b = append(b, '(')
		case i%fields == 0:
			b = append(b, "),("...)
		default:
			b = append(b, ',')
		}
		if postgres {
			b = strconv.AppendInt(append(b, '$'), int64(i+1), 10)
		} else {
			b = append(b, '?')
		}
	}
	return string(append(b, ')'))
}

// expire removes rows that are too old.
func (l *Log) expire() {
	if l.keep <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := l.db.ExecContext(ctx, "DELETE FROM requests WHERE id < $1", ID(time.Now().Add(-l.keep), "")); err != nil {
		l.log.Warn("old rows of the request log could not be removed", "error", bare(err))
	}
}
