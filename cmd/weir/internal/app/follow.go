package app

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"weir/cmd/weir/internal/config"
)

// calm is how long a folder must be quiet before the file is read: editors and Kubernetes change it in several steps.
const calm = 100 * time.Millisecond

// follow reloads the file when its content changes and on SIGHUP, until the returned function is called.
func (a *App) follow() (stop func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	path := a.current().Path
	w, err := watch(path)
	if err != nil {
		a.log.Warn("changes of the configuration are not noticed; SIGHUP reloads it", "error", err)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		a.followUntil(end, hup, w, path)
	}()
	return func() {
		signal.Stop(hup)
		close(end)
		<-ended
		w.close()
	}
}

// followUntil waits for reasons to read the file.
func (a *App) followUntil(end <-chan struct{}, hup <-chan os.Signal, w *watcher, path string) {
	last, _ := os.ReadFile(path) // it was read a moment ago; if it is gone now, any content is a change
	quiet := time.NewTimer(0)
	if !quiet.Stop() {
		<-quiet.C
	}
	for {
		select {
		case <-end:
			quiet.Stop()
			return
		case <-w.events():
			quiet.Reset(calm)
		case <-hup:
			last, _ = os.ReadFile(path) // a failure is reported by the reload
			a.reread(path)
		case <-quiet.C:
			w.renew()
			now, err := os.ReadFile(path)
			if err != nil || bytes.Equal(now, last) {
				continue // in the middle of a change, or something else in the folder
			}
			last = now
			a.reread(path)
		}
	}
}

// reread reads the file and makes it the one in force, unless there is anything wrong with it.
func (a *App) reread(path string) {
	file, err := config.Read(path, a.env.Config)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			a.log.Error("configuration not reloaded", "problem", p.String())
		}
		a.log.Error("configuration not reloaded; the last good one stays in force", "problems", len(problems))
	case err != nil:
		a.log.Error("configuration not reloaded; the last good one stays in force", "error", err)
	default:
		for _, w := range file.Warnings {
			a.log.Warn("configuration", "warning", w.String())
		}
		if a.env.Override != nil {
			a.env.Override(file)
		}
		a.Reload(file)
	}
}

// watcher watches the folders that a path leads through: its own, and that of the file which a symlink names.
type watcher struct {
	w    *fsnotify.Watcher
	path string
}

func watch(path string) (*watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	watching := &watcher{w: w, path: path}
	if err := w.Add(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	watching.renew()
	return watching, nil
}

// renew follows a symlink to where it leads now.
func (w *watcher) renew() {
	if end, err := filepath.EvalSymlinks(w.path); err == nil && filepath.Dir(end) != filepath.Dir(w.path) {
		_ = w.w.Add(filepath.Dir(end)) // the folder of the path itself is watched in any case
	}
}

// events is never ready without a watcher.
func (w *watcher) events() <-chan fsnotify.Event {
	if w == nil {
		return nil
	}
	return w.w.Events
}

func (w *watcher) close() {
	if w != nil {
		_ = w.w.Close()
	}
}
