package openapi

import (
	"context"
	"path/filepath"
	"time"

	"weir/translate"
)

const defaultRefresh = 5 * time.Minute

// watch reads the description again when it may have changed, until ctx is done.
func (a *API) watch(ctx context.Context) {
	reload := func() { a.Reload(ctx) }
	remote, name := a.spec.location()
	if remote != nil {
		translate.Poll(ctx, a.spec.Refresh, defaultRefresh, reload)
		return
	}
	folders := []string{name}
	if file, err := inFolder(name); err == nil {
		folders = []string{filepath.Dir(file)}
	}
	for _, overlay := range a.spec.Overlays {
		folders = append(folders, filepath.Dir(overlay))
	}
	translate.WatchFolders(ctx, folders, func(problem string, err error) {
		a.options.Log.Warn("watching the description failed", "upstream", a.options.Upstream, "problem", problem, "error", err)
	}, reload)
}
