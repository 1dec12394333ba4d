package config

import (
	"fmt"
	"path"
	"strings"

	"weir/policy"
)

// The paths at which weir answers something else than MCP.
const (
	ReadyPath    = "/ready"   // whether requests should be sent here
	AlivePath    = "/healthz" // whether the process answers at all
	SignInPath   = "/signin"  // where users begin to sign in to an upstream
	SignedInPath = "/signin/callback"
)

// reserved are those paths.
func reserved() []string { return []string{ReadyPath, AlivePath, SignInPath, SignedInPath} }

// virtuals checks the virtual servers: their names are tenants in the policy and parts of paths, and no two are in one place.
func (r *reader) virtuals(root *node, file *File) {
	servers := root.get("servers")
	if servers == nil || servers.kind != object {
		return
	}
	taken := map[string]string{file.Server.Path: "the gateway itself"}
	for _, where := range reserved() {
		taken[where] = "something else"
	}
	for _, m := range servers.members {
		at := join("servers", m.key.text)
		if fault := nameFault(m.key.text); fault != "" {
			r.problem(m.key.at, "servers: the name %q %s", m.key.text, fault)
			continue
		}
		spec, ok := file.Servers[m.key.text]
		if !ok || m.value.kind != object {
			continue
		}
		where, place := spec.Path, m.value.get("path")
		if where == "" {
			where, place = path.Join(file.Server.Path, m.key.text), m.key
		}
		if !strings.HasPrefix(where, "/") || strings.ContainsAny(where, "?# ") || where != path.Clean(where) {
			r.mismatch(place, join(at, "path"), "a path that starts with /")
		} else if other := taken[where]; other != "" {
			r.problem(place.at, "%s: %s is where %s is", at, where, other)
		}
		taken[where] = at
		for _, key := range []string{"include", "exclude"} {
			r.patterns(m.value.get(key), join(at, key))
		}
		if tools := m.value.get("tools"); tools != nil {
			for _, tool := range tools.members {
				if up, name, ok := strings.Cut(tool.key.text, "/"); !ok || up == "" || name == "" {
					r.problem(tool.key.at, "%s.tools: %q names no upstream; write upstream/name", at, tool.key.text)
				}
			}
		}
	}
}

// patterns checks a list of patterns over upstream/name.
func (r *reader) patterns(n *node, at string) {
	if n == nil {
		return
	}
	for i, p := range n.items {
		if p.kind != text {
			continue
		}
		if _, err := policy.Selection([]string{p.text}); err != nil {
			r.problem(p.at, "%s: %v", fmt.Sprintf("%s[%d]", at, i), err)
		}
	}
}
