package openapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog"
	"weir/translate"
)

// API is one described API as a backend.
type API struct {
	spec    Spec
	options translate.Options
	current atomic.Pointer[state]
	calls   sync.WaitGroup
	reading sync.Mutex // one Reload at a time
	stop    context.CancelFunc
	ended   chan struct{} // closed when watching has ended
}

var _ translate.Backend = (*API)(nil)

// state is what one reading of the description came to. It is immutable.
type state struct {
	source   *catalog.Source
	tools    map[string]*tool
	ordered  []*tool
	dynamic  *translate.Dynamic // nil when the tools are listed
	warnings []translate.Warning
	report   translate.Report
	version  string // hash of everything that was read
	etag     string
}

// New reads the description and starts watching it. The error says why nothing can be offered at all.
func New(ctx context.Context, spec Spec, o translate.Options) (*API, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := spec.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a := &API{spec: spec, options: o, ended: make(chan struct{})}
	s, err := a.read(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a.current.Store(s)
	watching, stop := context.WithCancel(context.Background())
	a.stop = stop
	go a.watch(watching)
	return a, nil
}

// check finds settings that are none.
func (s *Spec) check() error {
	switch s.Mode {
	case "", modeAuto, modeTools, modeDynamic, modeExplicit:
	default:
		return fmt.Errorf("mode %q is none of auto, tools, dynamic, explicit", s.Mode)
	}
	switch s.Arrays {
	case "", "index", "brackets", "repeat":
	default:
		return fmt.Errorf("arrays %q is none of index, brackets, repeat", s.Arrays)
	}
	if s.OpenAPI == "" {
		return errors.New("openapi names no description")
	}
	return nil
}

// Source implements [translate.Backend].
func (a *API) Source() *catalog.Source { return a.current.Load().source }

// List implements [translate.Backend].
func (a *API) List(context.Context) (*catalog.Source, map[catalog.Kind]error, error) {
	return a.Source(), nil, nil
}

// Done implements [translate.Backend].
func (a *API) Done() <-chan struct{} { return a.ended }

// errClosed is the state of an API after Close.
var errClosed = errors.New("openapi: closed")

// Err implements [translate.Backend].
func (a *API) Err() error {
	select {
	case <-a.ended:
		return errClosed
	default:
		return nil
	}
}

// Report implements [translate.Backend].
func (a *API) Report() translate.Report { return a.current.Load().report }

// Close implements [translate.Backend].
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

// Call implements [translate.Backend].
func (a *API) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	a.calls.Add(1)
	defer a.calls.Done()
	if c.Method != "tools/call" {
		return nil, catalog.Errorf(catalog.NotFound, "%s: has tools only", a.options.Upstream)
	}
	s := a.current.Load()
	raw := c.Message.Arguments.Of(c.Message.Data)
	if s.dynamic != nil && s.dynamic.Has(c.Target) {
		r, err := s.dynamic.Call(ctx, c, c.Target, raw)
		if err != nil {
			return nil, err
		}
		return r.Answer()
	}
	t, ok := s.tools[c.Target]
	if !ok || s.dynamic != nil && !s.dynamic.Pinned(c.Target) {
		return nil, catalog.Errorf(catalog.NotFound, "%s: has no tool %q", a.options.Upstream, c.Target)
	}
	r, err := a.run(ctx, c, t, raw)
	if err != nil {
		return nil, err
	}
	return r.Answer()
}

// defaultTimeout bounds one call.
const defaultTimeout = time.Minute

// run calls one operation.
func (a *API) run(ctx context.Context, c *catalog.Call, t *tool, raw []byte) (*translate.Result, error) {
	args, refused := t.input.Accept(raw)
	if refused != nil {
		return refused, nil
	}
	out, err := t.plan.outgoing(args, a.spec.Arrays)
	if err != nil {
		return translate.Failure("The call was not sent: " + err.Error() + "."), nil
	}
	timeout := a.spec.Timeout
	if t.timeout > 0 {
		timeout = time.Duration(t.timeout)
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	x := exchange{api: a, tool: t, call: c, args: args, timeout: timeout}
	r := x.run(limited, out)
	if ctx.Err() != nil {
		return nil, &catalog.Error{Code: catalog.Canceled, Msg: a.options.Upstream + ": the call was canceled", Err: ctx.Err()}
	}
	return r, nil
}

// location is where the description is.
func (s *Spec) location() (remote *url.URL, file string) {
	if strings.HasPrefix(s.OpenAPI, "http://") || strings.HasPrefix(s.OpenAPI, "https://") {
		if u, err := url.Parse(s.OpenAPI); err == nil {
			return u, ""
		}
	}
	return nil, strings.TrimPrefix(s.OpenAPI, "file://")
}

// inFolder finds the description in a folder: openapi or swagger, in YAML or JSON.
func inFolder(name string) (string, error) {
	st, err := os.Stat(name)
	if err != nil || !st.IsDir() {
		return name, err
	}
	for _, base := range [...]string{"openapi", "swagger", "api"} {
		for _, ext := range [...]string{".yaml", ".yml", ".json"} {
			if candidate := filepath.Join(name, base+ext); isFile(candidate) {
				return candidate, nil
			}
		}
	}
	var found []string
	for _, ext := range [...]string{"*.yaml", "*.yml", "*.json"} {
		matches, err := filepath.Glob(filepath.Join(name, ext))
		if err != nil {
			return "", err
		}
		found = append(found, matches...)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return "", fmt.Errorf("%s has no openapi.yaml or openapi.json", name)
}

func isFile(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}
