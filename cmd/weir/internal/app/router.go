package app

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/server"
	"weir/server/mcphttp"
)

// router sends requests to what is at their path. Everything that is served over HTTP stands in its table: the gateway's own endpoint, one for each
// virtual server, and what clients must know before they can sign in.
type router struct {
	app    *App
	spec   server.Spec
	signIn *signIn
	main   *mcphttp.Endpoint
	routes atomic.Pointer[map[string]route]
	mu     sync.Mutex // one update at a time
	closed bool
	// stopping says that no requests are wanted any more.
	stopping atomic.Bool
}

// route is what is served at one path.
type route struct {
	http.Handler
	access   access
	virtual  *virtual          // nil for what belongs to no virtual server
	endpoint *mcphttp.Endpoint // nil for what is no endpoint
}

// access says who may use a route.
type access string

const (
	everybody access = "everybody" // nothing there is worth protecting, and nothing leads to an upstream
	callers   access = "callers"   // who they are is verified with every request
	holders   access = "holders"   // of a ticket that was made for one caller, and of the cookie that it was taken up with
)

func (a *App) newRouter(spec server.Spec, in *signIn) *router {
	r := &router{app: a, spec: spec, signIn: in}
	r.main = mcphttp.New(mcphttp.Options{
		Gateway: a.gateway, Spec: spec, Log: a.log, Memory: a.memory, Authenticate: in.at(spec.Path, policy.LocalUser()),
	})
	r.routes.Store(&map[string]route{})
	r.update()
	return r
}

// update opens endpoints for new virtual servers and closes those of servers that are gone.
func (r *router) update() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	old := *r.routes.Load()
	next := make(map[string]route)
	next[config.ReadyPath] = route{Handler: http.HandlerFunc(r.ready), access: everybody}
	next[config.AlivePath] = route{Handler: http.HandlerFunc(alive), access: everybody}
	paths, metadata := r.signIn.metadata()
	for _, path := range paths {
		next[path] = route{Handler: metadata, access: everybody}
	}
	if r.app.logins.offered.Load() {
		next[loginPath] = route{Handler: http.HandlerFunc(r.app.logins.begin), access: holders}
		next[callbackPath] = route{Handler: http.HandlerFunc(r.app.logins.callback), access: holders}
	}
	for _, v := range r.app.virtualServers() {
		if was := old[v.path]; was.virtual == v {
			next[v.path] = was
			continue
		}
		e := mcphttp.New(mcphttp.Options{Gateway: v.gateway, Spec: r.spec, Log: r.app.log, Memory: r.app.memory, Authenticate: r.signIn.at(v.path, v.local)})
		next[v.path] = route{Handler: e, access: callers, virtual: v, endpoint: e}
	}
	next[r.spec.Path] = route{Handler: r.main, access: callers, endpoint: r.main}
	r.routes.Store(&next)
	for path, was := range old {
		if was.endpoint != nil && next[path].endpoint != was.endpoint {
			was.endpoint.Close()
		}
	}
}

// ServeHTTP tells whoever comes to another path where MCP is.
func (r *router) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if at, ok := (*r.routes.Load())[q.URL.Path]; ok {
		at.ServeHTTP(w, q)
		return
	}
	paths := []string{r.spec.Path}
	for _, v := range r.app.virtualServers() {
		paths = append(paths, v.path)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.Error(w, "weir speaks MCP at "+strings.Join(paths, ", "), http.StatusNotFound)
}

// endpoints are those of the table.
func (r *router) endpoints() []*mcphttp.Endpoint {
	var all []*mcphttp.Endpoint
	for at := range maps.Values(*r.routes.Load()) {
		if at.endpoint != nil {
			all = append(all, at.endpoint)
		}
	}
	return all
}

// stop says that no requests are wanted any more.
func (r *router) stop() { r.stopping.Store(true) }

// giveUp ends what was not answered in time.
func (r *router) giveUp(cause error) {
	for _, e := range r.endpoints() {
		e.GiveUp(cause)
	}
}

// drain ends the held streams.
func (r *router) drain() {
	for _, e := range r.endpoints() {
		e.Drain()
	}
}

// close ends every endpoint.
func (r *router) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, e := range r.endpoints() {
		e.Close()
	}
}
