package sqlitefile_test

import (
	"os"
	"path/filepath"
	"testing"

	"weir/catalog/sqlitefile"
)

// A database is its owner's alone, whatever signs its path has, and At makes none.
func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder", "50%#1?x=y.db")
	if db, err := sqlitefile.At(path, "mode=rw"); err != nil || db.Ping() == nil || db.Close() != nil {
		t.Error("a file that is not there is opened:", err)
	}
	db, err := sqlitefile.Open(path, "_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	var mode string
	if err := db.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal_mode is %q: %v", mode, err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (a)"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, path + "-wal": 0o600, filepath.Dir(path): 0o700} {
		if i, err := os.Stat(name); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", filepath.Base(name), i, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := sqlitefile.Open(filepath.Join(path, "x.db"), ""); err == nil {
		t.Error("a file is taken for a folder")
	}
}
