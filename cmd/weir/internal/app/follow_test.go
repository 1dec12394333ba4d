package app

import (
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"weir/cmd/weir/internal/config"
)

// What was read is what is known of the file, whatever stands in it a moment later: so content is not read twice, and none is missed.
func TestRereadKnowsWhatItRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "mcpServers: {}\n", "mcpServers: {}\npageSize: 7\n"
	put(first)
	env := config.Env{Lookup: func(string) (string, bool) { return "", false }}
	file, err := config.Read(path, env)
	if err != nil {
		t.Fatal(err)
	}
	reading := false
	a, err := New(file, Env{Config: env, Log: slog.New(slog.DiscardHandler), Override: func(*config.File) {
		if reading {
			put(second)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	reading = true
	for _, want := range []string{first, second} {
		if a.reread(path) != sha256.Sum256([]byte(want)) {
			t.Errorf("it does not know that it read %q", want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if a.reread(path) != (sum{}) {
		t.Error("it read what is not there")
	}
}
