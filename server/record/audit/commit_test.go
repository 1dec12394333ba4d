package audit

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a disk whose fsync takes a while.
type slow struct {
	*os.File
	syncs *atomic.Int64 // of segments
}

const syncTime = 300 * time.Microsecond

func (s slow) Sync() error {
	if strings.HasSuffix(s.Name(), ".jsonl") {
		s.syncs.Add(1)
		time.Sleep(syncTime)
	}
	return nil
}

// Callers share commits, and what that makes them wait is bounded: a few wait for the disk alone.
func TestCallersShareCommits(t *testing.T) {
	const rounds = 200
	for _, tt := range []struct {
		name    string
		callers int
		call    time.Duration // what a caller does between two records
		share   float64       // callers of one commit, at least
		wait    time.Duration // for one record, at most, but for the first ones
	}{
		{"alone", 1, 0, 1, syncTime},
		{"alone, slow", 1, 100 * time.Millisecond, 1, syncTime},
		{"a few", 7, 100 * time.Microsecond, 3, 2 * syncTime},
		{"a few, slow", 7, 5 * time.Millisecond, 1, 2 * syncTime},
		{"many", 32, 100 * time.Microsecond, 30, 5 * syncTime},
		{"very many", 256, 2 * time.Millisecond, 100, 6 * time.Millisecond},
		{"one by one", 32, 100 * time.Millisecond, 1, syncTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var syncs, worst atomic.Int64
				l := open(t, Options{Dir: dir, Log: slog.New(slog.DiscardHandler), create: func(path string) (file, error) {
					f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
					return slow{f, &syncs}, err
				}})
				var callers sync.WaitGroup
				for c := range tt.callers {
					callers.Go(func() {
						time.Sleep(time.Duration(c) * tt.call / time.Duration(tt.callers)) // they come one after the other
						for i := range rounds {
							start := time.Now()
							if err := l.Append(t.Context(), event("intent", c*rounds+i)); err != nil {
								t.Error(err)
								return
							}
							if wait := int64(time.Since(start)); i > 10 && wait > worst.Load() {
								worst.Store(wait)
							}
							time.Sleep(tt.call)
						}
					})
				}
				callers.Wait()
				share := float64(tt.callers*rounds) / float64(syncs.Load())
				if share < tt.share || time.Duration(worst.Load()) > tt.wait {
					t.Errorf("%.1f callers share a commit, one waited %v", share, time.Duration(worst.Load()))
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
