package grpc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	"weir/translate"
	"weir/translate/schema"
)

// API is one gRPC server as a backend.
type API struct {
	translate.API
	spec    Spec
	options translate.Options
	pool    *pool
	last    string        // hash of the description that was read last; reading alone uses it
	stale   chan struct{} // is told when the server lacks a method that it described
}

var (
	_ translate.Backend = (*API)(nil)
	_ translate.Prober  = (*API)(nil)
)

// New reads the description and starts watching it. The error says why nothing can be offered at all.
func New(ctx context.Context, spec Spec, o translate.Options) (*API, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	p, err := open(&spec, &o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a := &API{spec: spec, options: o, pool: p, stale: make(chan struct{}, 1)}
	if err := a.Start(ctx, translate.Description{Read: a.read, Watch: a.watch}, o); err != nil {
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
		return fmt.Errorf("%s: the server cannot be asked for its health: %w", a.options.Upstream, err)
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

// load reads the description from where configuration says.
func (a *API) load(ctx context.Context) (loaded, error) {
	var in loaded
	var err error
	switch {
	case len(a.spec.Descriptors) > 0:
		in.set, err = readSets(a.spec.Descriptors)
		return in, err
	case len(a.spec.Protos) > 0:
		s, err := openSources(a.spec.Protos, a.spec.ImportPaths)
		if err != nil {
			return in, err
		}
		defer s.close()
		in.set, in.services, in.warnings, err = s.compile(ctx)
		return in, err
	}
	out, _, err := a.outgoing(ctx, reflectV1, nil, &catalog.Call{})
	if err != nil {
		return in, err
	}
	in.set, in.services, err = reflect(out, a.pool.next())
	if err != nil {
		return a.recall(in, err)
	}
	a.remember(in)
	return in, nil
}

// cacheKey is where the answers of a server's reflection are kept.
func (a *API) cacheKey() string {
	sum := sha256.Sum256([]byte("grpc reflection 1\n" + a.spec.GRPC))
	return hex.EncodeToString(sum[:])
}

// remember keeps what the server described for a start without it. The services stand in a file of their own.
func (a *API) remember(in loaded) {
	if a.options.Cache == nil {
		return
	}
	kept := &descriptorpb.FileDescriptorSet{File: append(slices.Clone(in.set.GetFile()), &descriptorpb.FileDescriptorProto{
		Name: new(servicesFile), Dependency: in.services,
	})}
	if data, err := (proto.MarshalOptions{Deterministic: true}).Marshal(kept); err == nil {
		a.options.Cache.Put(a.cacheKey(), data)
	}
}

const servicesFile = "weir:services"

// recall takes what was described before, when the server cannot be reached now.
func (a *API) recall(in loaded, cause error) (loaded, error) {
	cause = described(cause)
	if a.options.Cache == nil || a.last != "" || !unreachable(cause) {
		return in, cause
	}
	data, ok := a.options.Cache.Get(a.cacheKey())
	set := &descriptorpb.FileDescriptorSet{}
	if !ok || proto.Unmarshal(data, set) != nil || len(set.GetFile()) == 0 {
		return in, cause
	}
	files := set.GetFile()
	names := files[len(files)-1]
	if names.GetName() != servicesFile {
		return in, cause
	}
	in.set, in.services = &descriptorpb.FileDescriptorSet{File: files[:len(files)-1]}, names.GetDependency()
	in.warnings = []translate.Warning{{Message: "the server cannot be reached; this is what it described before"}}
	a.options.Log.Warn("the server cannot be reached; its last description is used", "upstream", a.options.Upstream, "error", cause)
	return in, nil
}

func unreachable(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded)
}

// described says what a server without reflection needs.
func described(err error) error {
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("the server describes nothing by reflection (%w); name a descriptor set under descriptors or sources under protos", err)
	}
	return fmt.Errorf("the server cannot be asked for its description: %w", err)
}

// read reads and translates the description. It returns the old reading itself when nothing changed.
func (a *API) read(ctx context.Context, old *translate.Reading) (*translate.Reading, error) {
	in, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	version := hash(in)
	if old != nil && version == a.last {
		return old, nil
	}
	d, err := link(in.set, in.services)
	if err != nil {
		return nil, err
	}
	d.warnings = append(in.warnings, d.warnings...)
	b := &builder{description: d, spec: &a.spec, upstream: a.options.Upstream}
	reading := a.reading(b.build(), d)
	a.last = version
	return reading, nil
}

// hash is that of everything that a reading is made of besides configuration.
func hash(in loaded) string {
	h := sha256.New()
	data, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(in.set)
	if err == nil {
		h.Write(data)
	}
	_, _ = fmt.Fprintf(h, "%q", in.services)
	return hex.EncodeToString(h.Sum(nil))
}

// reading makes a reading of the methods.
func (a *API) reading(methods []*method, d *description) *translate.Reading {
	types := newTypes(d)
	entries := make([]*translate.Entry, len(methods))
	for i, m := range methods {
		entries[i] = &m.Entry
		m.Run = func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
			x := exchange{api: a, method: m, types: types, call: c, args: args, timeout: timeout}
			return x.run(ctx)
		}
	}
	return translate.NewReading(a.options.Upstream, &a.spec.Spec, entries, d.warnings, instructions(d))
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

// watch reads the description again when it may have changed, until ctx is done.
func (a *API) watch(ctx context.Context) {
	if a.spec.Reflected() {
		a.watchServer(ctx)
		return
	}
	var folders []string
	for _, name := range slices.Concat(a.spec.Descriptors, a.spec.Protos) {
		folders = append(folders, filepath.Dir(name))
	}
	folders = append(folders, a.spec.ImportPaths...)
	translate.WatchFolders(ctx, folders, func(problem string, err error) {
		a.options.Log.Warn("watching the description failed", "upstream", a.options.Upstream, "problem", problem, "error", err)
	}, func() { a.Reload(ctx) })
}

const (
	defaultRefresh = 10 * time.Minute
	// calm is the least time between two questions that failing calls lead to.
	calm = 5 * time.Second
)

// watchServer asks the server again after it was connected to anew, when it lacked a method, and from time to time.
func (a *API) watchServer(ctx context.Context) {
	every := a.spec.Refresh
	if every == 0 {
		every = defaultRefresh
	}
	anew := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.watchConnection(ctx, anew)
	}()
	defer func() { <-done }()
	asked := time.Now()
	for {
		var timer <-chan time.Time
		if every > 0 {
			timer = time.After(every)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer:
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
