package sqlitefile

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // registers sqlite
)

// Open opens the database in a file, which it makes when needed. query is that of the file's URI (sqlite.org/uri.html), with _pragma=NAME(VALUE) as the
// driver has it. The database is not talked to.
func Open(path, query string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return At(path, query)
}

// At is Open for a file that is there.
func At(path, query string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	uri := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query}
	return sql.Open("sqlite", uri.String())
}
