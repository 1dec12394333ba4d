package translate

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestNoChangeFallsBetween: what changes while the description is read for the first time is read again.
func TestNoChangeFallsBetween(t *testing.T) {
	folder := t.TempDir()
	again := make(chan struct{}, 1)
	first := true
	d := Description{Folders: []string{folder}, Fetch: func(context.Context, string) (*Text, error) {
		if !first {
			select {
			case again <- struct{}{}:
			default:
			}
			return nil, ErrUnchanged
		}
		first = false
		if err := os.WriteFile(filepath.Join(folder, "x"), nil, 0o600); err != nil {
			t.Error(err)
		}
		return &Text{Translate: func() (*Translation, error) { return &Translation{}, nil }}, nil
	}}
	var a API
	if err := a.Start(t.Context(), d, &Spec{}, Options{Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-again:
	case <-time.After(10 * time.Second):
		t.Error("the change was not seen")
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
