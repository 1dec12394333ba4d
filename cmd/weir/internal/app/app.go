package app

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/policy/guard"
	"weir/server"
	"weir/server/admin"
	"weir/server/once"
	"weir/server/record"
	"weir/upstream"
)

const (
	// closeWait bounds how long closing waits for the upstreams.
	closeWait = 10 * time.Second
	// look is how often upstreams that are starting are looked at.
	look = 20 * time.Millisecond
)

// Env is what the wiring takes from outside.
type Env struct {
	Config  config.Env
	Log     *slog.Logger
	Version string
	// Override says over each file that is read what the command line says; nil changes nothing.
	Override func(*config.File)
	// First is called before anything is opened or started, such as to listen; its error is that of New. nil does nothing.
	First func(*App) error
	// Answer answers what other commands of the same user ask a gateway that serves, see join.Options.
	Answer func(ctx context.Context, a *App, question []byte) []byte
}

// App is a gateway, wired.
type App struct {
	env      Env
	log      *slog.Logger
	expander atomic.Pointer[config.Expander] // of the file in force
	catalog  *catalog.Catalog
	set      *upstream.Set
	policy   *policy.Engine
	gateway  *server.Gateway
	virtuals virtuals
	router   atomic.Pointer[router] // nil unless serving HTTP

	logins      *logins
	observation *observation
	memory      *server.Memory // nil for no limit
	own         *admin.Tools
	once        *once.Store // nil for none
	guard       guard.Engine

	mu    sync.Mutex
	file  *config.File
	files []string // what the policy was read from last, besides the configuration

	first map[string]sum // what the configuration and files held when they were read first
}

// New wires the gateway of a file and starts connecting to its upstreams; it does not wait for them. Close must be called in the end. A policy
// that cannot be taken is an error of type config.Problems, and nothing is started.
func New(file *config.File, env Env) (*App, error) {
	if env.Override != nil {
		env.Override(file)
	}
	rules, err := Compile(file, env.Config, nil, env.Log)
	if err != nil {
		return nil, err
	}
	engine, err := policy.New()
	if err != nil {
		return nil, err
	}
	a := &App{env: env, log: env.Log, file: file, policy: engine, files: rules.Files, memory: server.NewMemory()}
	a.first = sums(append([]string{file.Path}, rules.Files...), nil)
	if env.First != nil {
		if err := env.First(a); err != nil {
			return nil, err
		}
	}
	a.enforce(rules)
	a.expander.Store(file.Expander)
	a.catalog = catalog.New()
	if a.observation, err = a.observe(file); err != nil {
		return nil, err
	}
	if a.own, err = a.newOwn(); err != nil {
		return nil, errors.Join(err, a.observation.close())
	}
	if a.logins, err = newLogins(file, env.Config, env.Log); err != nil {
		return nil, errors.Join(err, a.observation.close())
	}
	if a.once, err = openOnce(file); err != nil {
		return nil, errors.Join(err, a.logins.store.Close(), a.observation.close())
	}
	a.set = upstream.New(upstream.Options{
		SignIn:    a.logins.in,
		Namespace: a.spaceOf(file), Catalog: a.catalog, Log: env.Log, Version: env.Version, Cache: newCache(env.Config, env.Version),
		Hold:    a.memory.Take,
		Expand:  func(s string) (string, error) { return a.expander.Load().Expand(s) },
		Updated: func(upstream string, topic catalog.Topic, params []byte) { a.gateway.Updated(upstream, topic, params) },
	})
	a.logins.set = a.set
	a.gateway = a.newGateway(a.observation.observer())
	if err := a.setVirtuals(file); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.catalog.OnPublish(a.published)
	a.set.Start(context.Background()) // Close ends it
	return a, nil
}

func (a *App) newGateway(observer server.Observer) *server.Gateway {
	o := server.Options{
		Catalog: a.catalog, Policy: a.policy, Upstream: a.observation.upstream(a.set), Subscriber: a.observation.subscriber(a.set), RootsChanged: a.set.RootsChanged, Log: a.log, Version: a.env.Version,
		ListTTL: a.current().Server.ListTTL, Observer: observer, Own: a.own, Memory: a.memory, Guard: &a.guard,
	}
	if a.once != nil {
		o.Once = a.once
	}
	return server.New(o)
}

// current is the file in force.
func (a *App) current() *config.File {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file
}

// record writes one line of log for each request that is over.
func (a *App) record(e *record.Record) {
	if !a.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	a.log.Debug("request", "method", e.Method, "ref", e.Ref.String(), "principal", e.Principal.String(), "era", e.Era().String(),
		"id", e.ID, "outcome", e.Outcome, "rule", e.Rule, "duration", e.Duration, "in", e.In, "out", e.Out)
}

// Reload makes file the one in force. Upstreams whose entry did not change keep their connections. Where its policy cannot be taken, nothing
// changes at all.
func (a *App) Reload(file *config.File) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	rules, err := Compile(file, a.env.Config, a.policy.Policy(), a.log)
	a.files = rules.Files
	if err != nil {
		return err
	}
	router := a.router.Load()
	if router != nil {
		if err := router.signIn.apply(file); err != nil {
			return err
		}
	}
	if !reflect.DeepEqual(a.file.Server, file.Server) {
		a.log.Warn("listen, path and the limits of requests change with a restart only")
	}
	if a.file.Log != file.Log {
		a.log.Warn("log changes with a restart only")
	}
	if a.file.Telemetry != file.Telemetry || a.file.Audit != file.Audit || a.file.RequestLog != file.RequestLog || a.file.Idempotency != file.Idempotency || !reflect.DeepEqual(a.file.Export, file.Export) {
		a.log.Warn("telemetry, audit, requestLog, export and idempotency change with a restart only")
	}
	a.enforce(rules) // before what it is about: a new upstream meets the new policy
	a.expander.Store(file.Expander)
	if err := a.setVirtuals(file); err != nil {
		a.log.Error("virtual servers not reloaded; the last good ones stay", "error", err)
	}
	a.logins.offered.Store(file.SignsIn())
	if router != nil {
		router.update()
	}
	a.set.Reload(a.spaceOf(file))
	a.file = file
	a.log.Info("configuration reloaded", "file", file.Name, "upstreams", len(file.MCPServers), "policy", a.policy.Policy().Digest())
	return nil
}

// Settled waits until every upstream is ready or has failed once, or until ctx ends.
func (a *App) Settled(ctx context.Context) error { return a.set.Settled(ctx) }

// Status is where each upstream stands, in the order of the file.
func (a *App) Status() []upstream.Status { return a.set.Status() }

// View is the part of the current snapshot that the local user may see.
func (a *App) View() *catalog.View { return a.Profile().View }

// Profile is what the policy says to the local user about the current snapshot.
func (a *App) Profile() *policy.Profile {
	return a.policy.Profile(policy.LocalUser(), a.catalog.Snapshot())
}

// Required waits until every upstream that the file calls required is ready and listed, and fails when one of them is not.
func (a *App) Required(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		waiting := false
		for _, s := range a.set.Status() {
			switch {
			case !s.Required || s.State == upstream.Disabled:
			case s.State == upstream.Ready, s.State == upstream.Idle:
				waiting = waiting || !a.shows(s.Name)
			case s.State == upstream.Starting:
				waiting = true
			default:
				return &catalog.Error{Code: catalog.Unavailable, Msg: s.Reason + " (and it is required)", Hint: s.Hint}
			}
		}
		if !waiting {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// shows reports whether the catalogue holds what an upstream offers now: it is published a moment after the upstream is ready.
func (a *App) shows(name string) bool {
	return slices.ContainsFunc(a.catalog.Snapshot().Sources(), func(s *catalog.Source) bool { return s.Upstream == name && !s.Stale })
}

// Close ends the upstreams. Serve and Stdio must have returned.
func (a *App) Close() error {
	if a.gateway != nil {
		a.gateway.Close()
	}
	a.sayTally()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err := errors.Join(a.set.Close(ctx), a.logins.store.Close())
	if a.observation != nil {
		err = errors.Join(err, a.observation.close())
	}
	if a.once != nil {
		err = errors.Join(err, a.once.Close())
	}
	return err
}
