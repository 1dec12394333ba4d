package graphql

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"weir/catalog"
	"weir/catalog/room"
	"weir/translate"
	"weir/translate/schema"
)

// API is one GraphQL API as a backend.
type API struct {
	translate.API
	spec    Spec
	options translate.Options
}

var _ translate.Backend = (*API)(nil)

// defaultRefresh is how often a schema behind a URL is asked for again.
const defaultRefresh = 5 * time.Minute

// New reads the schema and the operations and starts watching them. The error says why nothing can be offered at all.
func New(ctx context.Context, spec Spec, o translate.Options) (*API, error) {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	settings, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a := &API{spec: spec, options: o}
	d := translate.Description{Settings: settings, Fetch: a.read, Again: a.text}
	if spec.Remote() {
		d.Place, d.Every = cmp.Or(spec.Schema, spec.GraphQL), spec.Often(defaultRefresh)
	} else {
		d.Folders = append(d.Folders, filepath.Dir(spec.file()))
	}
	for _, name := range spec.Operations {
		if st, err := os.Stat(name); err == nil && !st.IsDir() {
			name = filepath.Dir(name)
		}
		d.Folders = append(d.Folders, name)
	}
	if err := a.Start(ctx, d, &a.spec.Spec, o); err != nil {
		return nil, err
	}
	return a, nil
}

// run sends an operation with arguments that were checked.
func (a *API) run(ctx context.Context, t *tool, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
	x := exchange{api: a, tool: t, call: c, args: args, timeout: timeout, memory: room.Room{Memory: a.options.Memory}}
	defer x.memory.Release()
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

// read reads the schema and the operations.
func (a *API) read(ctx context.Context, _ string) (*translate.Text, error) {
	text, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	return a.text(text)
}

// text adds the operations to a schema.
func (a *API) text(sdl []byte) (*translate.Text, error) {
	files, err := operationFiles(a.spec.Operations)
	if err != nil {
		return nil, err
	}
	t := &translate.Text{Parts: [][]byte{sdl}}
	for _, f := range files {
		t.Parts = append(t.Parts, []byte(f.name), f.text)
	}
	if a.spec.Remote() {
		t.Raw = sdl
	}
	t.Translate = func() (*translate.Translation, error) {
		name := a.spec.place()
		d, err := open(name, sdl)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b := &builder{description: d, spec: &a.spec, upstream: a.options.Upstream, inputs: newInputs(d, a.spec.Scalars)}
		return b.translation(a, b.build(files)), nil
	}
	return t, nil
}

// translation is what the operations came to.
func (b *builder) translation(a *API, tools []*tool) *translate.Translation {
	d := b.description
	all := &translate.Translation{Warnings: d.sorted(), Instructions: schema.Shorten(schema.Clean(d.schema.Description), maxInstructions)}
	names := make([]string, len(tools))
	for i, t := range tools {
		names[i] = t.Name
		t.Run = func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
			return b.call(ctx, a, t, c, args, timeout)
		}
		all.Tools = append(all.Tools, &t.Entry)
	}
	all.Tools = append(all.Tools, b.queryTools(a, names)...)
	return all
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

func isURL(s string) bool { return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") }

// load reads the schema: a file, what a URL has, or what the endpoint says about itself.
func (a *API) load(ctx context.Context) ([]byte, error) {
	switch {
	case a.spec.Schema == "":
		return a.introspect(ctx)
	case !isURL(a.spec.Schema):
		return translate.ReadDescription(a.spec.file())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.spec.Schema, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/plain, application/graphql, application/json, */*;q=0.5")
	data, status, err := a.fetch(ctx, r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the schema at %s cannot be fetched: status %d", translate.Address(r.URL), status)
	}
	return data, err
}

// fetch sends a request for the schema, with the credential where it goes to the API itself.
func (a *API) fetch(ctx context.Context, r *http.Request) (data []byte, status int, err error) {
	var s *translate.SecurityScheme
	if u, err := url.Parse(a.spec.GraphQL); err == nil && a.configured() && u.Scheme == r.URL.Scheme && u.Host == r.URL.Host {
		own := scheme()
		s = &own
	}
	f, err := a.options.Fetch(ctx, r, s)
	return f.Text, f.Status, err
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
