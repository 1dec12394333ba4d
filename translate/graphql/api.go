package graphql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/vektah/gqlparser/v2/ast"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// API is one GraphQL API as a backend.
type API struct {
	translate.API
	spec    Spec
	options translate.Options
	last    string // hash of everything that was read last; reading alone uses it
}

var _ translate.Backend = (*API)(nil)

// New reads the schema and the operations and starts watching them. The error says why nothing can be offered at all.
func New(ctx context.Context, spec Spec, o translate.Options) (*API, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a := &API{spec: spec, options: o}
	if err := a.Start(ctx, translate.Description{Read: a.read, Watch: a.watch}, o); err != nil {
		return nil, err
	}
	return a, nil
}

// run sends an operation with arguments that were checked.
func (a *API) run(ctx context.Context, t *tool, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
	x := exchange{api: a, tool: t, call: c, args: args, timeout: timeout}
	if t.op.def.Operation == ast.Subscription && a.spec.Subscriptions == overWebSocket {
		p := t.payload(&a.spec, args)
		return x.socket(ctx, &p)
	}
	out, err := a.outgoing(ctx, c.Reader, t, args)
	if err != nil {
		return translate.Failure("The call was not sent: " + err.Error() + ".")
	}
	if t.op.def.Operation == ast.Subscription {
		return x.events(ctx, out)
	}
	return x.run(ctx, out)
}

// read reads and translates everything. It returns the old reading itself when nothing changed.
func (a *API) read(ctx context.Context, old *translate.Reading) (*translate.Reading, error) {
	text, name, err := a.load(ctx, old == nil)
	if err != nil {
		return nil, err
	}
	files, err := operationFiles(a.spec.Operations)
	if err != nil {
		return nil, err
	}
	version := a.version(text, files)
	if old != nil && version == a.last {
		return old, nil
	}
	d, err := open(name, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b := &builder{description: d, spec: &a.spec, upstream: a.options.Upstream, inputs: newInputs(d, a.spec.Scalars)}
	tools := b.build(files)
	entries := make([]*translate.Entry, len(tools))
	names := make([]string, len(tools))
	for i, t := range tools {
		entries[i], names[i] = &t.Entry, t.Name
		t.Run = func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
			return b.call(ctx, a, t, c, args, timeout)
		}
	}
	entries = append(entries, b.queryTools(a, names)...)
	a.last = version
	return translate.NewReading(a.options.Upstream, &a.spec.Spec, entries, d.sorted(), schema.Shorten(schema.Clean(d.schema.Description), maxInstructions)), nil
}

// maxInstructions bounds what is passed on of what a schema says about itself.
const maxInstructions = 600

// call sends a tool's operation, written anew when the caller picks what it selects.
func (b *builder) call(ctx context.Context, a *API, t *tool, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
	paths := args.Get(translate.FieldsArgument).Strings()
	if t.op.field == nil || !t.selects || len(paths) == 0 {
		return a.run(ctx, t, c, args, timeout)
	}
	picked, err := b.pick(t, paths)
	if err != nil {
		return translate.Failure("The call was not sent: " + err.Error() + ".")
	}
	return a.run(ctx, picked, c, args, timeout)
}

// pick returns a copy of the tool whose operation selects what paths ask for.
func (b *builder) pick(t *tool, paths []string) (*tool, error) {
	w, err := wanted(paths)
	if err != nil {
		return nil, err
	}
	s := selector{schema: b.description.schema, left: mostFields}
	o := *t.op
	def := *o.def
	first, _ := def.SelectionSet[0].(*ast.Field)
	root := *first
	if root.SelectionSet, err = s.pick(s.of(o.field), w, fieldsDepth, ""); err != nil {
		return nil, err
	}
	if len(root.SelectionSet) == 0 {
		return nil, errors.New("`fields` names nothing")
	}
	def.SelectionSet = ast.SelectionSet{&root}
	o.def = &def
	o.id = ""
	o.seal(write(o.def, nil))
	return &tool{op: &o, Entry: translate.Entry{Name: t.Name, Key: t.Key, Annotations: t.Annotations, Output: t.Output}, shape: t.shape, head: requestHead(&o), pages: pagesOf(&o), uploads: t.uploads, selects: true}, nil
}

// version is a hash of everything that a reading is made of.
func (a *API) version(text []byte, files []file) string {
	h := sha256.New()
	put := func(part []byte) {
		_, _ = fmt.Fprintf(h, "%d\n", len(part))
		h.Write(part)
	}
	put(text)
	for _, f := range files {
		put([]byte(f.name))
		put(f.text)
	}
	if spec, err := json.Marshal(a.spec); err == nil {
		put(spec)
	}
	put([]byte(a.options.Upstream))
	return hex.EncodeToString(h.Sum(nil))
}

const (
	// maxSchemaBytes bounds a schema; the largest public ones have 10 MB as introspection.
	maxSchemaBytes = 64 << 20
	fetchTimeout   = 30 * time.Second
)

func isURL(s string) bool { return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") }

// load reads the schema: a file, what a URL has, or what the endpoint says about itself. What it said last is kept, for a start at which it is
// not there.
func (a *API) load(ctx context.Context, starting bool) (text []byte, name string, err error) {
	switch {
	case a.spec.Schema == "":
		key := "graphql " + a.options.Upstream + " " + a.spec.GraphQL
		text, err = a.introspect(ctx)
		if a.options.Cache == nil {
			return text, a.spec.GraphQL, err
		}
		if err == nil {
			a.options.Cache.Put(key, text)
			return text, a.spec.GraphQL, nil
		}
		if kept, ok := a.options.Cache.Get(key); ok && starting && ctx.Err() == nil {
			a.options.Log.Warn("the API does not tell its schema; the one of an earlier run is used", "upstream", a.options.Upstream, "error", err)
			return kept, a.spec.GraphQL, nil
		}
		return nil, a.spec.GraphQL, err
	case isURL(a.spec.Schema):
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.spec.Schema, nil)
		if err != nil {
			return nil, "", err
		}
		r.Header.Set("Accept", "text/plain, application/graphql, application/json, */*;q=0.5")
		data, status, err := a.fetch(ctx, r)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("the schema at %s cannot be fetched: status %d", r.URL.Redacted(), status)
		}
		return data, "schema", err
	}
	f, err := os.Open(strings.TrimPrefix(a.spec.Schema, "file://"))
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }()
	text, err = readLimited(f)
	return text, filepath.Base(a.spec.Schema), err
}

func readLimited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSchemaBytes+1))
	if err == nil && len(data) > maxSchemaBytes {
		return nil, fmt.Errorf("the schema is larger than %d MiB", maxSchemaBytes>>20)
	}
	return data, err
}

// fetch sends a request for the schema.
func (a *API) fetch(ctx context.Context, r *http.Request) (data []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	if a.configured() {
		if u, err := url.Parse(a.spec.GraphQL); err == nil && u.Scheme == r.URL.Scheme && u.Host == r.URL.Host {
			if err := a.options.Credentials.Authorize(ctx, r, scheme(), ""); err != nil {
				return nil, 0, err
			}
		}
	}
	response, err := a.options.Transport.RoundTrip(r)
	if err != nil {
		return nil, 0, fmt.Errorf("the schema cannot be fetched: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err = readLimited(response.Body)
	return data, response.StatusCode, err
}

// introspect asks the endpoint for its schema: by POST, by GET where that is not allowed, and in the older form where the newer one is not known.
func (a *API) introspect(ctx context.Context) ([]byte, error) {
	var said string
	for _, text := range introspectionQueries() {
		p := payload{text: text, name: "Introspection", variables: schema.Map()}
		data, status, err := a.ask(ctx, &outgoing{method: http.MethodPost, url: a.spec.GraphQL, contentType: "application/json", accept: acceptJSON, body: p.json()})
		if err == nil && status == http.StatusMethodNotAllowed {
			data, status, err = a.ask(ctx, &outgoing{method: http.MethodGet, url: a.spec.GraphQL + separator(a.spec.GraphQL) + p.query(), accept: acceptJSON})
		}
		if err != nil {
			return nil, err
		}
		v, err := schema.Parse(data)
		switch {
		case err != nil || !v.Is(schema.Object):
			return nil, fmt.Errorf("the endpoint answered %d and no GraphQL; is %s the right address?", status, a.spec.GraphQL)
		case v.Get("data").Get("__schema").Is(schema.Object):
			return data, nil
		}
		said = sentences(v.Array("errors"))
	}
	return nil, fmt.Errorf("the endpoint does not tell its schema: %s Give it as a file with the key schema", said)
}

func (a *API) ask(ctx context.Context, out *outgoing) ([]byte, int, error) {
	r, err := out.request(ctx)
	if err != nil {
		return nil, 0, err
	}
	return a.fetch(ctx, r)
}

const (
	defaultRefresh = 5 * time.Minute
	// settle is how long a file must be left alone before it is read.
	settle = 500 * time.Millisecond
)

// watch reads everything again when it may have changed, until ctx is done.
func (a *API) watch(ctx context.Context) {
	var folders []string
	if a.spec.Schema != "" && !isURL(a.spec.Schema) {
		folders = append(folders, filepath.Dir(strings.TrimPrefix(a.spec.Schema, "file://")))
	}
	for _, name := range a.spec.Operations {
		if st, err := os.Stat(name); err == nil && !st.IsDir() {
			name = filepath.Dir(name)
		}
		folders = append(folders, name)
	}
	var events chan fsnotify.Event
	if w, err := fsnotify.NewWatcher(); err != nil {
		a.options.Log.Warn("the description is not watched", "upstream", a.options.Upstream, "error", err)
	} else {
		defer func() { _ = w.Close() }()
		events = w.Events
		slices.Sort(folders)
		for _, folder := range slices.Compact(folders) {
			if err := w.Add(folder); err != nil {
				a.options.Log.Warn("a folder is not watched", "upstream", a.options.Upstream, "folder", folder, "error", err)
			}
		}
	}
	every := a.spec.Refresh
	if every == 0 {
		every = defaultRefresh
	}
	if every < 0 || a.spec.Schema != "" && !isURL(a.spec.Schema) {
		every = 1 << 62
	}
	changed, again := time.NewTimer(time.Hour), time.NewTimer(jittered(every))
	changed.Stop()
	defer changed.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			changed.Reset(settle)
		case <-changed.C:
			a.Reload(ctx)
		case <-again.C:
			a.Reload(ctx)
			again.Reset(jittered(every))
		}
	}
}

// jittered spreads d, so that many gateways do not ask at once.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d)/5+1)) //nolint:gosec // no secret depends on it
}
