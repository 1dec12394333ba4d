package app

import (
	"strings"

	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/server/admin"
	"weir/translate"
	"weir/upstream"
)

// newOwn makes the gateway's own tools. They are made whether or not the file has them listed, so that a reload can.
func (a *App) newOwn() (*admin.Tools, error) {
	o := admin.Options{
		Version: a.env.Version, Upstreams: a.told, Endpoints: a.endpoints, Rank: rank,
		Policy: func() *policy.Policy { return a.policy.Policy() },
	}
	if a.observation.requests != nil {
		o.Requests = a.observation.requests
	}
	return admin.New(o)
}

// spaceOf is the namespace of a file, with the gateway's own tools if they are wanted.
func (a *App) spaceOf(file *config.File) upstream.Namespace {
	n := namespaceOf(file)
	if file.OwnTools {
		n.Extra = []upstream.Extra{{Source: a.own.Source(), Rules: a.own.Rules()}}
	}
	return n
}

// told is what callers may be told of upstreams.
func (a *App) told() []admin.Upstream {
	var all []admin.Upstream
	for _, s := range a.set.Status() {
		u := admin.Upstream{
			Name: s.Name, Transport: s.Transport, State: string(s.State), Since: s.Since, Reason: s.Reason, Hint: s.Hint, NextTry: s.NextTry,
			Era: s.Era, Version: s.Version, Server: strings.TrimSpace(s.ServerName + " " + s.ServerVer), Calls: s.Calls, Errors: s.Errors,
			Restarts: s.Restarts, Stale: s.Stale, Required: s.Required,
		}
		for _, p := range s.Problems {
			u.Problems = append(u.Problems, p.Reason)
		}
		all = append(all, u)
	}
	return all
}

// endpoints are the gateway itself and its virtual servers.
func (a *App) endpoints() []admin.Endpoint {
	all := []admin.Endpoint{{Path: a.current().Server.Path, Snapshot: a.catalog.Snapshot()}}
	for _, v := range a.virtualServers() {
		all = append(all, admin.Endpoint{Name: v.name, Path: v.path, Snapshot: v.catalog.Snapshot()})
	}
	return all
}

// rank makes the ranker that finds operations of APIs find entries too.
func rank(documents []admin.Document) admin.Search {
	all := make([]translate.Document, len(documents))
	for i, d := range documents {
		all[i] = translate.Document{Name: d.Name, Path: d.Path, Summary: d.Summary, Text: d.Text, Arguments: d.Arguments}
	}
	return translate.NewIndex(all).Search
}
