package translate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"

	"weir/catalog"
	"weir/catalog/room"
)

// API is the part of a backend that is the same for every kind of API: readings of a description, one after the other, and calls on the one
// in force.
type API struct {
	description Description
	spec        *Spec
	options     Options
	current     atomic.Pointer[Reading]
	failed      atomic.Pointer[string] // why the last Reload left the old reading in place, nil when it did not
	calls       sync.WaitGroup
	reading     sync.Mutex         // one Reload at a time
	last, etag  string             // version and ETag of the current reading; reading holds the lock
	stop        context.CancelFunc // ends watching
	ended       chan struct{}      // closed when watching has ended
}

var _ Backend = (*API)(nil)

// Start reads the description and starts watching it. The error says why nothing can be offered at all.
func (a *API) Start(ctx context.Context, d Description, spec *Spec, o Options) error {
	a.description, a.spec, a.options, a.ended = d, spec, o, make(chan struct{})
	w := openFolders(d.Folders, a.unwatched) // before the reading, so that no change falls between the two
	s, err := a.read(ctx, nil)
	if err != nil {
		if w != nil {
			_ = w.Close()
		}
		return fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a.current.Store(s)
	watching, stop := context.WithCancel(context.Background())
	a.stop = stop
	go func() {
		defer close(a.ended)
		a.watch(watching, w)
		<-watching.Done()
	}()
	return nil
}

func (a *API) unwatched(problem string, err error) {
	a.options.Log.Warn("watching the description failed", "upstream", a.options.Upstream, "problem", problem, "error", err)
}

// Source implements [Backend].
func (a *API) Source() *catalog.Source { return a.current.Load().Source }

// List implements [Backend].
func (a *API) List(context.Context) (*catalog.Source, map[catalog.Kind]error, error) {
	return a.Source(), nil, nil
}

// Done implements [Backend].
func (a *API) Done() <-chan struct{} { return a.ended }

// errClosed is the state of an API after Close.
var errClosed = errors.New("translate: closed")

// Err implements [Backend].
func (a *API) Err() error {
	select {
	case <-a.ended:
		return errClosed
	default:
		return nil
	}
}

// Report implements [Backend].
func (a *API) Report() Report {
	r := a.current.Load().Report
	if why := a.failed.Load(); why != nil {
		r.Outdated = *why
	}
	return r
}

// Close implements [Backend].
func (a *API) Close(ctx context.Context) error {
	a.stop()
	done := make(chan struct{})
	go func() {
		a.calls.Wait()
		<-a.ended
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: calls are still under way: %w", a.options.Upstream, ctx.Err())
	}
}

// Call implements [Backend].
func (a *API) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	a.calls.Add(1)
	defer a.calls.Done()
	if c.Method != "tools/call" {
		return nil, catalog.Errorf(catalog.NotFound, "%s: has tools only", a.options.Upstream)
	}
	r, err := a.current.Load().Call(ctx, c)
	if err != nil {
		return nil, err
	}
	answer, err := r.Answer()
	if err != nil || len(answer.Message.Data) < room.Large {
		return answer, err
	}
	return a.counted(answer), nil
}

// counted makes a large answer count as memory in use until it is released, or was forgotten.
func (a *API) counted(answer *catalog.Answer) *catalog.Answer {
	memory := &room.Room{Memory: a.options.Memory}
	memory.Ask(int64(len(answer.Message.Data))) // it is there in any case
	counted := catalog.NewAnswer(answer.Message, answer.Era, memory.Release)
	runtime.AddCleanup(counted, (*room.Room).Release, memory)
	return counted
}

// Reload reads the description now and reports whether the source became another one. A description that cannot be read, or that has lost more
// than half of its tools, leaves the old one in place, and the report says so. Calls that are under way finish on what they began with.
func (a *API) Reload(ctx context.Context) bool {
	a.reading.Lock()
	defer a.reading.Unlock()
	old := a.current.Load()
	next, err := a.read(ctx, old)
	if err == nil && len(next.tools)*2 < len(old.tools) {
		err = fmt.Errorf("it has lost more than half of its tools: there were %d, now there are %d", len(old.tools), len(next.tools))
		a.last, a.etag = "", "" // of what is not in force
	}
	if err != nil {
		if ctx.Err() == nil {
			why := err.Error()
			a.failed.Store(&why)
			a.options.Log.Warn("the new description is not used; the last one stays", "upstream", a.options.Upstream, "error", err)
		}
		return false
	}
	a.failed.Store(nil)
	if next == old {
		return false
	}
	same := slices.EqualFunc(old.Source.Tools, next.Source.Tools, slices.Equal[[]byte]) &&
		slices.EqualFunc(old.Source.Hidden, next.Source.Hidden, slices.Equal[[]byte])
	a.current.Store(next)
	if same {
		return false
	}
	if a.options.Changed != nil {
		a.options.Changed()
	}
	return true
}

// watch calls Reload when the description may have changed, until ctx is done. It closes w, which may be nil.
func (a *API) watch(ctx context.Context, w *fsnotify.Watcher) {
	reload := func() { a.Reload(ctx) }
	var all sync.WaitGroup
	if w != nil {
		all.Go(func() { watchFolders(ctx, w, a.unwatched, reload) })
	}
	if a.description.Every > 0 {
		all.Go(func() { poll(ctx, a.description.Every, reload) })
	}
	if a.description.Watch != nil {
		all.Go(func() { a.description.Watch(ctx) })
	}
	all.Wait()
}
