package server

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/policy/guard"
)

// Upstream carries calls to what is behind the gateway. Errors are *catalog.Error.
type Upstream interface {
	Call(context.Context, *catalog.Call) (*catalog.Answer, error)
}

// Subscriber subscribes to resources and tasks of upstreams.
type Subscriber interface {
	// Subscribe asks an upstream to tell about a topic, and keeps asking whenever its connection is made anew, until Unsubscribe. What it tells
	// goes to Gateway.Updated.
	Subscribe(ctx context.Context, upstream string, topic catalog.Topic) error
	Unsubscribe(ctx context.Context, upstream string, topic catalog.Topic)
}

// Options are what a Gateway is made of. The first four are required.
type Options struct {
	Catalog    *catalog.Catalog
	Policy     *policy.Engine
	Upstream   Upstream
	Log        *slog.Logger
	Subscriber Subscriber // nil when nothing can be subscribed to
	// RootsChanged tells the upstreams with a session of their own for a client session that the client's roots changed; nil for none.
	RootsChanged func(session string)
	Version      string        // of weir, for serverInfo
	ListTTL      time.Duration // ttlMs of lists for modern clients
	Observer     Observer      // nil for none
	Own          Own           // answers for OwnUpstream; nil where the catalogue has no such entries
	Memory       *Memory       // calls are refused when it is short; nil for no limit
	Guard        *guard.Engine // what may pass; nil for everything
	Once         Once          // nil where nothing is kept of calls with a key, which are then like any other
}

// Gateway decides and routes requests. It is safe for concurrent use.
type Gateway struct {
	catalog      *catalog.Catalog
	policy       *policy.Engine
	upstream     Upstream
	watching     Subscriber
	rootsChanged func(session string)
	log          *slog.Logger
	observer     Observer
	own          Own
	memory       *Memory
	once         Once
	guard        *guard.Engine
	wire         wire
	changes      changes
	parking      *parking
	watches      *watches // shared by the gateways of one program, like parking
	part         bool     // of another gateway, which owns what they share
	unhook       []func() // ends the following of catalogue and policy
}

// New returns a gateway.
func New(o Options) *Gateway {
	g := &Gateway{
		catalog: o.Catalog, policy: o.Policy, upstream: o.Upstream, watching: o.Subscriber, rootsChanged: o.RootsChanged, log: o.Log, observer: o.Observer, own: o.Own, memory: o.Memory,
		once: o.Once, guard: o.Guard,
	}
	if g.observer == nil {
		g.observer = Unobserved{}
	}
	g.wire = newWire(o.Version, o.ListTTL)
	g.parking = newParking()
	g.watches = &watches{byID: make(map[watchID]*watch)}
	g.changes.listeners = make(map[*listener]struct{})
	g.follow(func() {
		g.compare()
		g.dropLost()
	})
	return g
}

// follow calls f after each change of the catalogue or the policy.
func (g *Gateway) follow(f func()) {
	g.unhook = []func(){g.catalog.OnPublish(func(_, _ *catalog.Snapshot) { f() }), g.policy.OnSwap(f)}
}

// Part returns a gateway to a part of the namespace, with lists of its own. It shares everything else with g: upstreams, policy, what is
// parked and watched, the record. Closing it ends none of that.
func (g *Gateway) Part(c *catalog.Catalog) *Gateway {
	part := &Gateway{
		part: true, catalog: c, policy: g.policy, upstream: g.upstream, watching: g.watching, rootsChanged: g.rootsChanged, log: g.log, observer: g.observer, own: g.own, memory: g.memory, once: g.once, guard: g.guard,
		wire:    g.wire,
		parking: g.parking, watches: g.watches,
	}
	part.changes.listeners = make(map[*listener]struct{})
	part.follow(part.compare) // g looks after what is watched
	return part
}

// Close ends the upstream calls that wait for an answer of their user. It must be called after the last request was served.
func (g *Gateway) Close() {
	for _, f := range g.unhook {
		f()
	}
	if !g.part {
		g.parking.close()
	}
}

// Request is one JSON-RPC request of a known caller.
type Request struct {
	Principal policy.Principal
	Client    *catalog.Client
	Message   *rawjson.Message
	// Token is the verified bearer token of the request, "" when there is none.
	Token catalog.Token
	// Address is where the request came from; the zero Addr when that is not known, as over stdio.
	Address netip.Addr
	// Session is the caller's legacy session or stdio connection, nil for a modern HTTP request.
	Session *Session
	// Header returns a request header's value, for the check of Mcp-Param-* headers and for traces; nil where there is none that matters.
	Header func(name string) (string, bool)
	// Notify and Ask are as in catalog.Call. They write to the stream that will carry the reply.
	Notify func(catalog.Notification)
	Ask    func(context.Context, catalog.Request) ([]byte, error)

	reading // for the call that the request makes
	course  // of that call
}

// dispatch routes by method. Methods of the other era do not exist. A panic on the way is the error of this request and of no other.
func (g *Gateway) dispatch(ctx context.Context, r *Request, e *Event) (_ *Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Recovered(p)
		}
	}()
	switch e.Method {
	case "tools/call", "prompts/get", "resources/read", "completion/complete":
		if g.memory.Short() {
			return nil, errShort
		}
	default:
	}
	switch e.Method {
	case "tools/call":
		return g.use(ctx, r, e, policy.Call)
	case "prompts/get":
		return g.use(ctx, r, e, policy.Get)
	case "resources/read":
		return g.use(ctx, r, e, policy.Read)
	case "tools/list":
		return g.list(r, catalog.Tool)
	case "prompts/list":
		return g.list(r, catalog.Prompt)
	case "resources/list":
		return g.list(r, catalog.Resource)
	case "resources/templates/list":
		return g.list(r, catalog.Template)
	case "completion/complete":
		return g.complete(ctx, r, e)
	}
	if r.Client.Era == catalog.Modern {
		switch e.Method {
		case "server/discover":
			return g.reply(r, g.wire.discover(g.catalog.Snapshot())), nil
		case "tasks/get", "tasks/update", "tasks/cancel":
			return g.task(ctx, r, e)
		}
		return nil, errNoMethod
	}
	switch e.Method {
	case "ping":
		return g.reply(r, emptyObject), nil
	case "logging/setLevel":
		return g.setLevel(r)
	case "resources/subscribe", "resources/unsubscribe":
		return g.subscribe(ctx, r, e)
	}
	return nil, errNoMethod
}

var (
	emptyObject = []byte(`{}`)
	errNoMethod = errors.New("method not found")
	errShort    = errors.New(shortOfMemory)
)

// profile is the caller's part of the current snapshot.
func (g *Gateway) profile(p policy.Principal) *policy.Profile {
	return g.policy.Profile(p, g.catalog.Snapshot())
}

// use is the line of tools/call, prompts/get and resources/read: look up, decide, guard, route.
func (g *Gateway) use(ctx context.Context, r *Request, e *Event, a policy.Action) (*Reply, error) {
	profile := g.profile(r.Principal)
	entry, name, target, err := resolve(profile.View.Snapshot(), profile.Knows, r.Message, a)
	if err != nil {
		reply := g.fail(r, e, err)
		noteHidden(r, e, profile, a) // now that it can change nothing of the reply
		return reply, nil
	}
	if err := g.admit(r, e, profile, a, entry, name, target, r.Message.Arguments.Of(r.Message.Data)); err != nil {
		return nil, err
	}
	if err := g.admitBehind(r, e, profile, entry); err != nil {
		return nil, err
	}
	if err := checkParamHeaders(r, entry); err != nil {
		return nil, err
	}
	if err := g.guardFlow(r, e); err != nil {
		return nil, err
	}
	if err := g.guardIn(r, e); err != nil {
		return nil, err
	}
	if g.once != nil && a == policy.Call {
		return g.useOnce(ctx, r, e, func() (*Reply, error) { return g.route(ctx, r, e, profile, entry, target) })
	}
	return g.route(ctx, r, e, profile, entry, target)
}

// route is the last step of use: whoever has the entry answers.
func (g *Gateway) route(ctx context.Context, r *Request, e *Event, profile *policy.Profile, entry *catalog.Entry, target string) (*Reply, error) {
	if g.own != nil && entry.Ref.Upstream == OwnUpstream {
		return g.useOwn(ctx, r, e, profile, g.call(r, e, entry, target))
	}
	if crosses(r, profile.View.Snapshot(), entry) {
		return g.useCrossing(ctx, r, e, entry, target)
	}
	call := g.call(r, e, entry, target)
	if entry.IsDoor() {
		call.Sees = seesBehind(profile, entry)
	}
	answer, err := g.send(ctx, e, call)
	if err != nil {
		return nil, err
	}
	return g.answer(r, e, answer), nil
}

// useCrossing is the last step of use for a call from a modern client to a legacy upstream: it can be parked, if the client can be asked at all.
func (g *Gateway) useCrossing(ctx context.Context, r *Request, e *Event, entry *catalog.Entry, target string) (*Reply, error) {
	if interactive(r.Client) && !r.inside {
		return g.usePark(ctx, r, e, entry, target)
	}
	var w wanting
	call := g.call(r, e, entry, target)
	call.Ask = w.refuseAll
	answer, err := g.send(ctx, e, call)
	if err != nil {
		return nil, err
	}
	if reply := w.missed(r, e, answer); reply != nil {
		return reply, nil
	}
	return g.answer(r, e, answer), nil
}

// call puts a request into the form that upstreams take.
func (g *Gateway) call(r *Request, e *Event, entry *catalog.Entry, target string) *catalog.Call {
	r.gateway = g
	c := &catalog.Call{
		Method: e.Method, Entry: entry, Target: target, Message: r.Message, Client: r.Client, Owner: r.Principal.Owner(), Who: r.Principal, Token: r.Token,
		Notify: r.Notify, InputRequired: r.Client.Era == catalog.Modern, Reader: r,
	}
	if r.Client.Era == catalog.Legacy && interactive(r.Client) {
		c.Ask = r.Ask
	}
	return c
}

// resolve finds the entry that the message names, among those the caller may hear of (nil: all); name is what the message calls it.
func resolve(snapshot *catalog.Snapshot, knows func(*catalog.Entry) bool, m *rawjson.Message, a policy.Action) (entry *catalog.Entry, name, target string, err error) {
	if a == policy.Read {
		uri, ok := rawjson.String(m.URI.Of(m.Data))
		if !ok {
			return nil, "", "", catalog.Errorf(catalog.Invalid, "resources/read: params.uri is missing")
		}
		entry, target, err = snapshot.ResolveURI(uri, knows)
		return entry, uri, target, err
	}
	kind, method := catalog.Tool, "tools/call"
	if a == policy.Get {
		kind, method = catalog.Prompt, "prompts/get"
	}
	name, ok := rawjson.String(m.Name.Of(m.Data))
	if !ok {
		return nil, "", "", catalog.Errorf(catalog.Invalid, "%s: params.name is missing", method)
	}
	entry, err = snapshot.Resolve(kind, name, knows)
	if err != nil {
		return nil, "", "", err
	}
	return entry, name, entry.Ref.Name, nil
}

// list answers the four list methods from the rendered lists of the caller's profile.
func (g *Gateway) list(r *Request, kind catalog.Kind) (*Reply, error) {
	cursor := ""
	if !r.Message.Cursor.Absent() {
		cursor, _ = rawjson.String(r.Message.Cursor.Of(r.Message.Data))
	}
	view := g.profile(r.Principal).View
	page, err := view.List(kind, r.Client.Era, cursor)
	if err != nil {
		return nil, err
	}
	return g.wire.list(r, kind, page, view.Snapshot()), nil
}

// complete routes completion/complete by the prompt or template it refers to.
func (g *Gateway) complete(ctx context.Context, r *Request, e *Event) (*Reply, error) {
	profile := g.profile(r.Principal)
	entry, name, target, err := resolveRef(profile, r.Message)
	if err != nil {
		return nil, err
	}
	if err := g.admit(r, e, profile, policy.Complete, entry, name, target, r.Message.Arguments.Of(r.Message.Data)); err != nil {
		return nil, err
	}
	if err := g.guardIn(r, e); err != nil {
		return nil, err
	}
	answer, err := g.send(ctx, e, g.call(r, e, entry, target))
	if err != nil {
		return nil, err
	}
	return g.answer(r, e, answer), nil
}

// resolveRef finds the entry of a completion reference (spec, server/utilities/completion).
func resolveRef(profile *policy.Profile, m *rawjson.Message) (entry *catalog.Entry, name, target string, err error) {
	ref := m.Ref.Of(m.Data)
	if ref == nil {
		return nil, "", "", catalog.Errorf(catalog.Invalid, "completion/complete: params.ref is missing")
	}
	f, err := rawjson.Fields(ref, "type", "name", "uri")
	if err != nil {
		return nil, "", "", catalog.Errorf(catalog.Invalid, "completion/complete: params.ref: %v", err)
	}
	kind, _ := rawjson.String(f[0].Of(ref))
	name, _ = rawjson.String(f[1].Of(ref))
	uri, _ := rawjson.String(f[2].Of(ref))
	snapshot := profile.View.Snapshot()
	switch {
	case kind == "ref/prompt" && name != "":
		if entry, err = snapshot.Resolve(catalog.Prompt, name, profile.Knows); err != nil {
			return nil, "", "", err
		}
		return entry, name, entry.Ref.Name, nil
	case kind == "ref/resource" && uri != "":
		if entry, err = snapshot.Resolve(catalog.Template, uri, profile.Knows); err == nil {
			return entry, uri, entry.Ref.Name, nil
		}
		entry, target, err = snapshot.ResolveURI(uri, profile.Knows)
		return entry, uri, target, err
	}
	return nil, "", "", catalog.Errorf(catalog.Invalid, "completion/complete: params.ref must be a ref/prompt with name or a ref/resource with uri")
}

// setLevel remembers the level of a legacy session (spec 2025-11-25, server/utilities/logging).
func (g *Gateway) setLevel(r *Request) (*Reply, error) {
	level, _ := rawjson.String(r.Message.Level.Of(r.Message.Data))
	if !catalog.ValidLogLevel(level) {
		return nil, catalog.Errorf(catalog.Invalid, "logging/setLevel: unknown level %q", level)
	}
	if r.Session != nil {
		r.Session.setLogLevel(level)
	}
	return g.reply(r, emptyObject), nil
}
