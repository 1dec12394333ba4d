package translate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"weir/catalog"
)

// Description is where the readings of an [API] come from.
type Description struct {
	// Read reads it. old is nil at first; returning it says that nothing changed. It is never called concurrently.
	Read func(ctx context.Context, old *Reading) (*Reading, error)
	// Watch calls Reload when the description may have changed, until ctx is done.
	Watch func(ctx context.Context)
}

// API is the part of a backend that is the same for every kind of API: readings of a description, one after the other, and calls on the one
// in force.
type API struct {
	upstream    string
	description Description
	changed     func()
	log         *slog.Logger
	current     atomic.Pointer[Reading]
	calls       sync.WaitGroup
	reading     sync.Mutex // one Reload at a time
	stop        context.CancelFunc
	ended       chan struct{} // closed when watching has ended
}

var _ Backend = (*API)(nil)

// Start reads the description and starts watching it. The error says why nothing can be offered at all.
func (a *API) Start(ctx context.Context, d Description, o Options) error {
	a.upstream, a.description, a.changed, a.log, a.ended = o.Upstream, d, o.Changed, o.Log, make(chan struct{})
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	s, err := d.Read(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a.current.Store(s)
	watching, stop := context.WithCancel(context.Background())
	a.stop = stop
	go func() {
		defer close(a.ended)
		d.Watch(watching)
		<-watching.Done()
	}()
	return nil
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
func (a *API) Report() Report { return a.current.Load().Report }

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
		return fmt.Errorf("%s: calls are still under way: %w", a.upstream, ctx.Err())
	}
}

// Call implements [Backend].
func (a *API) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	a.calls.Add(1)
	defer a.calls.Done()
	if c.Method != "tools/call" {
		return nil, catalog.Errorf(catalog.NotFound, "%s: has tools only", a.upstream)
	}
	r, err := a.current.Load().Call(ctx, c)
	if err != nil {
		return nil, err
	}
	return r.Answer()
}

// Reload reads the description now and reports whether the source became another one. A description that cannot be read, or that has lost more
// than half of its tools, leaves the old one in place. Calls that are under way finish on what they began with.
func (a *API) Reload(ctx context.Context) bool {
	a.reading.Lock()
	defer a.reading.Unlock()
	old := a.current.Load()
	next, err := a.description.Read(ctx, old)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			a.log.Warn("the description cannot be read; the last one stays", "upstream", a.upstream, "error", err)
		}
		return false
	case next == old:
		return false
	case len(next.tools)*2 < len(old.tools):
		a.log.Warn("the description lost more than half of its tools; the last one stays",
			"upstream", a.upstream, "before", len(old.tools), "now", len(next.tools))
		return false
	}
	same := slices.EqualFunc(old.Source.Tools, next.Source.Tools, slices.Equal[[]byte]) &&
		slices.EqualFunc(old.Source.Hidden, next.Source.Hidden, slices.Equal[[]byte])
	a.current.Store(next)
	if same {
		return false
	}
	if a.changed != nil {
		a.changed()
	}
	return true
}
