package requestlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"weir/catalog/sqlitefile"
)

// ErrBroken is in the error of an SQLite file that is no database, or a damaged one.
var ErrBroken = errors.New("it is no SQLite database, or a damaged one")

// Look opens the database of a spec, whose references are resolved, for reading: it makes, changes and removes nothing, and needs no more than to be
// allowed to read. The error is as that of [Open]; a database without a request log is one.
func Look(ctx context.Context, s Spec) (*Log, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	db, err := look(ctx, s.Database, "")
	if _, none := os.Stat(s.Database + "-wal"); err != nil && !isPostgres(s.Database) && errors.Is(none, fs.ErrNotExist) {
		// Nobody has it open, and who may not make SQLite's files beside it reads it as one that does not change.
		if still, failed := look(ctx, s.Database, "&immutable=1"); failed == nil {
			db, err = still, nil
		}
	}
	if err != nil {
		return nil, err
	}
	l := &Log{db: db, log: slog.New(slog.DiscardHandler), end: make(chan struct{}), done: make(chan struct{}), closed: true}
	close(l.done) // nothing is written
	return l, nil
}

// look opens a database for reading and reads from it.
func look(ctx context.Context, database, query string) (db *sql.DB, err error) {
	if isPostgres(database) {
		db, err = connect(database)
	} else if f, failed := os.Open(database); failed != nil { // SQLite's error would not say why
		return nil, fmt.Errorf("request log: %w", failed)
	} else {
		_ = f.Close() // nothing was written
		if db, err = sqlitefile.At(database, "mode=ro&_pragma=busy_timeout(5000)"+query); err != nil {
			err = fmt.Errorf("request log: %w", err)
		}
	}
	if err != nil {
		return nil, err
	}
	err = db.QueryRowContext(ctx, "SELECT id FROM request_chunks LIMIT 1").Scan(new(int64))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, errors.Join(named(database, err), db.Close())
	}
	return db, nil
}

// named is the error of a database, with the name of its file.
func named(database string, err error) error {
	if isPostgres(database) {
		return fmt.Errorf("request log: %w", bare(err))
	}
	if own, ok := errors.AsType[*sqlite.Error](err); ok {
		switch own.Code() & 0xff { // the rest are details
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			err = ErrBroken
		default:
		}
	}
	return fmt.Errorf("request log: %s: %w", database, err)
}
