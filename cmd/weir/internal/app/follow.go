package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"weir/cmd/weir/internal/config"
)

// calm is how long a folder must be quiet before the file is read: editors and Kubernetes change it in several steps.
const calm = 100 * time.Millisecond

// follow reloads the file when its content changes, or that of a file its policy is read from, and on SIGHUP, until the returned function is
// called.
func (a *App) follow() (stop func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	w, err := watch(a.read())
	if err != nil {
		a.log.Warn("changes of the configuration are not noticed; SIGHUP reloads it", "error", err)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	known := sums(a.read(), a.first) // those that are new were read a moment ago; if one is gone now, any content is a change
	go func() {
		defer close(ended)
		a.followUntil(end, hup, w, known)
	}()
	return func() {
		signal.Stop(hup)
		close(end)
		<-ended
		w.close()
	}
}

// followUntil waits for reasons to read the file; last is what it and the others held before.
func (a *App) followUntil(end <-chan struct{}, hup <-chan os.Signal, w *watcher, last map[string]sum) {
	path := a.current().Path
	gone := false                // it was said that the file cannot be read
	quiet := time.NewTimer(calm) // a file may have changed before its folder was watched
	for {
		select {
		case <-end:
			quiet.Stop()
			return
		case <-w.events():
			quiet.Reset(calm)
			continue
		case <-hup:
			last = sums(a.read(), nil)
			last[path] = a.reread(path)
		case <-quiet.C:
			now := sums(a.read(), nil)
			w.renew(a.read())
			if now[path] == (sum{}) {
				if !gone {
					a.log.Warn("the configuration cannot be read any more; the last good one stays in force", "file", path)
				}
				gone = true
				continue // the file comes back with an event
			}
			gone = false
			if maps.Equal(now, last) {
				continue // something else in the folder
			}
			last = now
			last[path] = a.reread(path) // it may have changed since: what was read counts, or the same content would be read twice
		}
		w.renew(a.read())
		last = sums(a.read(), last)
	}
}

// read lists what the gateway is made of: the configuration, and the files that its policy was read from.
func (a *App) read() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	files := append([]string{a.file.Path}, a.files...)
	if r := a.router.Load(); r != nil {
		files = append(files, r.signIn.files(a.file)...)
	}
	return files
}

// sum is the SHA-256 of a file's content; zero of one that cannot be read.
type sum [sha256.Size]byte

// sums gives the content of files by path; what is known is kept.
func sums(paths []string, known map[string]sum) map[string]sum {
	all := make(map[string]sum, len(paths))
	for _, path := range paths {
		if s, ok := known[path]; ok {
			all[path] = s
		} else if b, err := os.ReadFile(path); err == nil {
			all[path] = sha256.Sum256(b)
		} else {
			all[path] = sum{}
		}
	}
	return all
}

// reread reads the file and makes it the one in force, unless there is anything wrong with it. It returns the sum of what it read.
func (a *App) reread(path string) (read sum) {
	var file *config.File
	data, err := config.Load(path)
	if err == nil {
		read = sha256.Sum256(data)
		file, err = config.Parse(path, data, a.env.Config)
	}
	if err == nil {
		for _, w := range file.Warnings {
			a.log.Warn("configuration", "warning", w.String())
		}
		if a.env.Override != nil {
			a.env.Override(file)
		}
		err = a.Reload(file)
	}
	outcome := "taken"
	if err != nil {
		outcome = "refused"
	}
	a.observation.reloads.Add(context.Background(), 1, metric.WithAttributes(attribute.String("weir.outcome", outcome)))
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			a.log.Error("configuration not reloaded", "problem", p.String())
		}
		a.log.Error("configuration not reloaded; the last good one stays in force", "problems", len(problems))
	case err != nil:
		a.log.Error("configuration not reloaded; the last good one stays in force", "error", err)
	}
	return read
}

// watcher watches the folders that paths lead through: their own, and those of the files which symlinks name.
type watcher struct{ w *fsnotify.Watcher }

func watch(paths []string) (*watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(filepath.Dir(paths[0])); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	watching := &watcher{w}
	watching.renew(paths)
	return watching, nil
}

// renew follows symlinks to where they lead now, and takes in paths that are new.
func (w *watcher) renew(paths []string) {
	if w == nil {
		return
	}
	for _, path := range paths {
		_ = w.w.Add(filepath.Dir(path)) // one that cannot be watched is read again with the others
		if end, err := filepath.EvalSymlinks(path); err == nil && filepath.Dir(end) != filepath.Dir(path) {
			_ = w.w.Add(filepath.Dir(end))
		}
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
