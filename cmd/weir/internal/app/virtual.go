package app

import (
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/server"
)

// virtual is a virtual server, wired: a part of the catalogue that follows the whole.
type virtual struct {
	name    string
	path    string
	catalog *catalog.Catalog
	gateway *server.Gateway
	offer   atomic.Pointer[catalog.Offer]
	local   policy.Principal // the local user in this tenant

	following sync.Mutex // one publication at a time, so that the newest is the last
}

// virtuals are the virtual servers of the file in force, by name.
type virtuals struct {
	mu  sync.Mutex
	all map[string]*virtual
}

// offerOf compiles what a virtual server shows.
func offerOf(v server.Virtual) (*catalog.Offer, error) {
	o := &catalog.Offer{Naming: v.Naming, Tools: make(map[catalog.Ref]catalog.Overlay, len(v.Tools))}
	var err error
	if o.Include, err = policy.Selection(v.Include); err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	if o.Exclude, err = policy.Selection(v.Exclude); err != nil {
		return nil, fmt.Errorf("exclude: %w", err)
	}
	for text, overlay := range v.Tools {
		upstream, name, ok := strings.Cut(text, "/")
		if !ok || upstream == "" || name == "" {
			return nil, fmt.Errorf("tools: %q names no upstream; write upstream/name", text)
		}
		o.Tools[catalog.Ref{Upstream: upstream, Name: name}] = overlay
	}
	return o, nil
}

// pathOf is where a virtual server is found.
func pathOf(file *config.File, name string) string {
	if p := file.Servers[name].Path; p != "" {
		return p
	}
	return path.Join(file.Server.Path, name)
}

// setVirtuals makes the virtual servers of a file the ones in force. Those that stay keep their clients.
func (a *App) setVirtuals(file *config.File) error {
	a.virtuals.mu.Lock()
	defer a.virtuals.mu.Unlock()
	next := make(map[string]*virtual, len(file.Servers))
	offers := make(map[string]*catalog.Offer, len(file.Servers))
	for name, spec := range file.Servers {
		o, err := offerOf(spec)
		if err != nil {
			return catalog.Errorf(catalog.Config, "servers.%s.%v", name, err)
		}
		offers[name] = o
	}
	for name, o := range offers {
		v := a.virtuals.all[name]
		if at := pathOf(file, name); v == nil || v.path != at {
			var err error
			if v, err = a.newVirtual(name, at); err != nil {
				return err
			}
		}
		v.offer.Store(o)
		v.follow(a.catalog, a.log)
		next[name] = v
	}
	for name, v := range a.virtuals.all {
		if next[name] != v {
			v.gateway.Close()
		}
	}
	a.virtuals.all = next
	return nil
}

func (a *App) newVirtual(name, at string) (*virtual, error) {
	local, err := policy.LocalUser().At(name)
	if err != nil {
		return nil, catalog.Errorf(catalog.Config, "servers.%s: %v", name, err)
	}
	v := &virtual{name: name, path: at, catalog: catalog.New(), local: local}
	v.gateway = a.gateway.Part(v.catalog)
	return v, nil
}

// follow offers the part of the whole as it is now.
func (v *virtual) follow(whole *catalog.Catalog, log *slog.Logger) {
	v.following.Lock()
	defer v.following.Unlock()
	part := whole.Snapshot().Offer(*v.offer.Load())
	for _, p := range part.Problems() {
		log.Debug("virtual server", "server", v.name, "problem", p.Reason)
	}
	v.catalog.Publish(part)
}

// published tells the virtual servers of a new snapshot of the whole.
func (a *App) published(_, _ *catalog.Snapshot) {
	for _, v := range a.virtualServers() {
		v.follow(a.catalog, a.log)
	}
}

// virtualServers are the virtual servers in force, ordered by name.
func (a *App) virtualServers() []*virtual {
	a.virtuals.mu.Lock()
	defer a.virtuals.mu.Unlock()
	return slices.SortedFunc(maps.Values(a.virtuals.all), func(x, y *virtual) int { return strings.Compare(x.name, y.name) })
}
