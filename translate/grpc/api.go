package grpc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/catalog"
	"weir/catalog/room"
	"weir/translate"
	"weir/translate/schema"
)

// API is one gRPC server as a backend.
type API struct {
	translate.API
	spec    Spec
	options translate.Options
	pool    *pool
	stale   chan struct{} // is told when the server lacks a method that it described
}

var (
	_ translate.Backend = (*API)(nil)
	_ translate.Prober  = (*API)(nil)
)

// defaultRefresh is how often a server is asked for its description again.
const defaultRefresh = 10 * time.Minute

// New reads the description and starts watching it. The error says why nothing can be offered at all.
func New(ctx context.Context, spec Spec, o translate.Options) (*API, error) {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	settings, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	p, err := open(&spec, &o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a := &API{spec: spec, options: o, pool: p, stale: make(chan struct{}, 1)}
	d := translate.Description{Settings: settings, Fetch: a.read, Again: a.reflected}
	if spec.Reflected() {
		d.Place, d.Every, d.Watch = spec.GRPC, spec.Often(defaultRefresh), a.watchServer
	}
	for _, name := range slices.Concat(spec.Descriptors, spec.Protos) {
		d.Folders = append(d.Folders, filepath.Dir(name))
	}
	d.Folders = append(d.Folders, spec.ImportPaths...)
	if err := a.Start(ctx, d, &a.spec.Spec, o); err != nil {
		p.close()
		return nil, err
	}
	return a, nil
}

// Close implements [translate.Backend].
func (a *API) Close(ctx context.Context) error {
	err := a.API.Close(ctx)
	a.pool.close()
	return err
}

// Probe implements [translate.Prober]: it asks the server's health service whether it serves. A server without one is well when it answers.
func (a *API) Probe(ctx context.Context) error {
	out, _, err := a.outgoing(ctx, healthPath, nil, &catalog.Call{})
	if err != nil {
		return err
	}
	r := new(grpc_health_v1.HealthCheckResponse)
	err = a.pool.next().Invoke(out, healthPath, &grpc_health_v1.HealthCheckRequest{}, r)
	switch {
	case status.Code(err) == codes.Unimplemented:
		return nil
	case err != nil:
		return fmt.Errorf("%s: the server cannot be asked for its health: %w", a.options.Upstream, a.pool.because(err))
	case r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return fmt.Errorf("%s: the server says that it is %s", a.options.Upstream, r.GetStatus())
	}
	return nil
}

const healthPath = "/grpc.health.v1.Health/Check"

// loaded is what the files of a description come from.
type loaded struct {
	set      *descriptorpb.FileDescriptorSet
	services []string // nil for all
	warnings []translate.Warning
}

// read reads the description from where configuration says.
func (a *API) read(ctx context.Context, _ string) (*translate.Text, error) {
	var in loaded
	var err error
	switch {
	case len(a.spec.Descriptors) > 0:
		if in.set, err = readSets(a.spec.Descriptors); err != nil {
			return nil, err
		}
		return a.text(in, false)
	case len(a.spec.Protos) > 0:
		s, err := openSources(a.spec.Protos, a.spec.ImportPaths)
		if err != nil {
			return nil, err
		}
		defer s.close()
		if in.set, in.services, in.warnings, err = s.compile(ctx); err != nil {
			return nil, err
		}
		return a.text(in, false)
	}
	out, _, err := a.outgoing(ctx, reflectV1, nil, &catalog.Call{})
	if err != nil {
		return nil, err
	}
	if in.set, in.services, err = reflect(out, a.pool.next()); err != nil {
		return nil, a.pool.because(described(err))
	}
	return a.text(in, true)
}

// servicesFile names the file that holds the names of the services that a server offers, as its imports, in the set that is kept.
const servicesFile = "weir:services"

// reflected is the text of what a server described before.
func (a *API) reflected(raw []byte) (*translate.Text, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, err
	}
	files := set.GetFile()
	if len(files) == 0 || files[len(files)-1].GetName() != servicesFile {
		return nil, errors.New("it is no description that was kept")
	}
	return a.text(loaded{
		set: &descriptorpb.FileDescriptorSet{File: files[:len(files)-1]}, services: files[len(files)-1].GetDependency(),
	}, true)
}

// text is that of files; remote says that the server told them.
func (a *API) text(in loaded, remote bool) (*translate.Text, error) {
	data, err := (proto.MarshalOptions{Deterministic: true, AllowPartial: true}).Marshal(&descriptorpb.FileDescriptorSet{
		File: append(slices.Clone(in.set.GetFile()), &descriptorpb.FileDescriptorProto{Name: new(servicesFile), Dependency: in.services}),
	})
	if err != nil {
		return nil, err
	}
	t := &translate.Text{Parts: [][]byte{data, fmt.Append(nil, in.warnings, in.services == nil)}}
	if remote {
		t.Raw = data
	}
	t.Translate = func() (*translate.Translation, error) {
		d, err := link(in.set, in.services)
		if err != nil {
			return nil, err
		}
		d.warnings = append(in.warnings, d.warnings...)
		b := &builder{description: d, spec: &a.spec, upstream: a.options.Upstream}
		return a.translation(b.build(), d), nil
	}
	return t, nil
}

// described says what a server without reflection needs.
func described(err error) error {
	if foreign(err) && status.Code(err) != codes.Unimplemented { // 404 may be that of a proxy that lets other methods through
		return fmt.Errorf("%s (%w)", notGRPC, err)
	}
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("the server describes nothing by reflection (%w); name a descriptor set under descriptors or sources under protos", err)
	}
	return fmt.Errorf("the server cannot be asked for its description: %w", err)
}

// translation is what the methods of a description came to.
func (a *API) translation(methods []*method, d *description) *translate.Translation {
	types := newTypes(d)
	t := &translate.Translation{Tools: make([]*translate.Entry, len(methods)), Warnings: d.warnings, Instructions: instructions(d)}
	for i, m := range methods {
		t.Tools[i] = &m.Entry
		m.Run = func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
			x := exchange{api: a, method: m, types: types, call: c, args: args, timeout: timeout, memory: room.Room{Memory: a.options.Memory}}
			defer x.memory.Release()
			return x.run(ctx)
		}
	}
	return t
}

// instructions name the services.
func instructions(d *description) string {
	parts := make([]string, len(d.services))
	for i, s := range d.services {
		parts[i] = string(s.FullName())
		if said := comment(s); said != "" {
			parts[i] += ": " + schema.Shorten(said, 120)
		}
	}
	return schema.Shorten(strings.Join(parts, "; "), 400)
}

// calm is the least time between two questions that failing calls lead to.
const calm = 5 * time.Second

// watchServer asks the server again after it was connected to anew, and when it lacked a method.
func (a *API) watchServer(ctx context.Context) {
	anew := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.watchConnection(ctx, anew)
	}()
	defer func() { <-done }()
	asked := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-anew:
		case <-a.stale:
			if time.Since(asked) < calm {
				continue
			}
		}
		asked = time.Now()
		a.Reload(ctx)
	}
}

// watchConnection tells when the connection is there again.
func (a *API) watchConnection(ctx context.Context, anew chan<- struct{}) {
	conn := a.pool.conns[0]
	was := conn.GetState()
	for conn.WaitForStateChange(ctx, was) {
		was = conn.GetState()
		if was == connectivity.Ready {
			select {
			case anew <- struct{}{}:
			default:
			}
		}
	}
}

// host is where calls go, for credentials.
func (a *API) host() (*url.URL, error) { return url.Parse(a.spec.Addresses()[0]) }
