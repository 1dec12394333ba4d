package translate

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must be left alone before they are read.
const settle = 500 * time.Millisecond

// openFolders begins to note changes in folders, nil when there are none or nothing can be noted. failed is told what is not watched.
func openFolders(folders []string, failed func(problem string, err error)) *fsnotify.Watcher {
	if len(folders) == 0 {
		return nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		failed("the description is not watched", err)
		return nil
	}
	folders = slices.Clone(folders)
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		if err := w.Add(folder); err != nil {
			failed("a folder is not watched: "+folder, err)
		}
	}
	return w
}

// watchFolders calls reload after something was noted and the folders were left alone, until ctx is done. It closes w.
func watchFolders(ctx context.Context, w *fsnotify.Watcher, failed func(problem string, err error), reload func()) {
	defer func() { _ = w.Close() }()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.Events:
			if !ok {
				return
			}
			timer.Reset(settle)
		case err := <-w.Errors:
			failed("watching the description failed", err)
		case <-timer.C:
			reload()
		}
	}
}

// poll calls reload every so often, spread a little so that many gateways do not ask at once, until ctx is done.
func poll(ctx context.Context, every time.Duration, reload func()) {
	for {
		jitter := time.Duration(rand.Int64N(int64(every)/5 + 1)) //nolint:gosec // no secret depends on it
		select {
		case <-ctx.Done():
			return
		case <-time.After(every - every/10 + jitter):
			reload()
		}
	}
}

// Often is how often a description is asked for again: what configuration says, or what is usual for its kind.
func (s *Spec) Often(usual time.Duration) time.Duration {
	if s.Refresh == 0 {
		return usual
	}
	return s.Refresh
}
