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
	defer close(a.ended)
	remote, name := a.spec.location()
	defer func() { <-ctx.Done() }()
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

// Reload reads the description now and reports whether the source became another one. A description that cannot be read, or that has lost more
// than half of its tools, leaves the old one in place. Calls that are under way finish on what they began with.
func (a *API) Reload(ctx context.Context) bool {
	a.reading.Lock()
	defer a.reading.Unlock()
	old := a.current.Load()
	next, err := a.read(ctx, old)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			a.options.Log.Warn("the description cannot be read; the last one stays", "upstream", a.options.Upstream, "error", err)
		}
		return false
	case next == old:
		return false
	case len(next.tools)*2 < len(old.tools):
		a.options.Log.Warn("the description lost more than half of its tools; the last one stays",
			"upstream", a.options.Upstream, "before", len(old.tools), "now", len(next.tools))
		return false
	}
	same := slices.EqualFunc(old.source.Tools, next.source.Tools, slices.Equal[[]byte])
	a.current.Store(next)
	if same {
		return false
	}
	if a.options.Changed != nil {
		a.options.Changed()
	}
	return true
}
