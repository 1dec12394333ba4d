package app

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"weir/policy"
	"weir/server"
	"weir/server/mcphttp"
)

// router sends requests to the endpoint at their path: the gateway's own, and one for each virtual server.
type router struct {
	app    *App
	spec   server.Spec
	main   *mcphttp.Endpoint
	routes atomic.Pointer[map[string]route]
	mu     sync.Mutex // one update at a time
	closed bool
}

type route struct {
	virtual  *virtual
	endpoint *mcphttp.Endpoint
}

func (a *App) newRouter(spec server.Spec) *router {
	r := &router{app: a, spec: spec}
	r.main = mcphttp.New(mcphttp.Options{Gateway: a.gateway, Spec: spec, Log: a.log, Authenticate: authenticate(spec, policy.LocalUser())})
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
	for _, v := range r.app.virtualServers() {
		if was := old[v.path]; was.virtual == v {
			next[v.path] = was
			continue
		}
		next[v.path] = route{v, mcphttp.New(mcphttp.Options{
			Gateway: v.gateway, Spec: r.spec, Log: r.app.log, Authenticate: authenticate(r.spec, v.local),
		})}
	}
	r.routes.Store(&next)
	for path, was := range old {
		if next[path].endpoint != was.endpoint {
			was.endpoint.Close()
		}
	}
}

// ServeHTTP tells whoever comes to another path where MCP is.
func (r *router) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path == r.spec.Path {
		r.main.ServeHTTP(w, q)
		return
	}
	routes := *r.routes.Load()
	if at, ok := routes[q.URL.Path]; ok {
		at.endpoint.ServeHTTP(w, q)
		return
	}
	paths := []string{r.spec.Path}
	for _, v := range r.app.virtualServers() {
		paths = append(paths, v.path)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.Error(w, "weir speaks MCP at "+strings.Join(paths, ", "), http.StatusNotFound)
}

// drain ends the held streams of the virtual servers; those of the main endpoint end with its Serve.
func (r *router) drain() {
	for _, at := range *r.routes.Load() {
		at.endpoint.Drain()
	}
}

// close ends every endpoint.
func (r *router) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.main.Close()
	for _, at := range *r.routes.Load() {
		at.endpoint.Close()
	}
}
