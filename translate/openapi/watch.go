package openapi

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	defaultRefresh = 5 * time.Minute
	// settle is how long a file must be left alone before it is read.
	settle = 500 * time.Millisecond
)

// watch reads the description again when it may have changed, until ctx is done.
func (a *API) watch(ctx context.Context) {
	remote, name := a.spec.location()
	if remote != nil {
		a.poll(ctx)
		return
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		a.options.Log.Warn("the description is not watched", "upstream", a.options.Upstream, "error", err)
		return
	}
	defer func() { _ = w.Close() }()
	folders := []string{name}
	if file, err := inFolder(name); err == nil {
		folders = []string{filepath.Dir(file)}
	}
	for _, overlay := range a.spec.Overlays {
		folders = append(folders, filepath.Dir(overlay))
	}
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		if err := w.Add(folder); err != nil {
			a.options.Log.Warn("a folder is not watched", "upstream", a.options.Upstream, "folder", folder, "error", err)
		}
	}
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
			a.options.Log.Warn("watching the description failed", "upstream", a.options.Upstream, "error", err)
		case <-timer.C:
			a.Reload(ctx)
		}
	}
}

// poll asks for the description again and again.
func (a *API) poll(ctx context.Context) {
	every := a.spec.Refresh
	if every < 0 {
		return
	}
	if every == 0 {
		every = defaultRefresh
	}
	for {
		jitter := time.Duration(rand.Int64N(int64(every)/5 + 1)) //nolint:gosec // no secret depends on it
		select {
		case <-ctx.Done():
			return
		case <-time.After(every - every/10 + jitter):
			a.Reload(ctx)
		}
	}
}
