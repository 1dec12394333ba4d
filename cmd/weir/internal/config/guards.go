package config

import (
	"fmt"
	"slices"
	"strings"

	"weir/policy/guard"
	"weir/server"
)

// guards checks what the guards watch. A pattern that matches nothing guards nothing, and nobody would notice.
func (r *reader) guards(root *node, file *File) {
	section := root.get("guards")
	if section == nil || section.kind != object {
		return
	}
	flows := section.get("flows")
	for _, list := range []struct {
		at   *node
		path string
	}{
		{section.get("secrets").get("except"), "guards.secrets.except"},
		{flows.get("private"), "guards.flows.private"},
		{flows.get("untrusted"), "guards.flows.untrusted"},
		{flows.get("external"), "guards.flows.external"},
	} {
		if list.at == nil {
			continue
		}
		r.patterns(list.at, list.path)
		for i, p := range list.at.items {
			up, _, ok := strings.Cut(p.text, "/")
			if p.kind != text || !ok || strings.ContainsAny(up, "*?") || up == server.OwnUpstream || slices.ContainsFunc(file.MCPServers, func(u Upstream) bool { return u.Name == up }) {
				continue
			}
			r.warn(p.at, "%s[%d]: there is no upstream %q", list.path, i, up)
		}
	}
	if ignore := section.get("secrets").get("ignore"); ignore != nil && section.get("secrets").get("rules") == nil {
		for i, id := range ignore.items {
			if id.kind == text && !slices.Contains(guard.IDs(), id.text) {
				msg := fmt.Sprintf("guards.secrets.ignore[%d]: there is no rule %q", i, id.text)
				if best := Nearest(id.text, guard.IDs()); best != "" {
					msg += fmt.Sprintf("; did you mean %q?", best)
				}
				r.problem(id.at, "%s", msg)
			}
		}
	}
	if flows != nil && flows.kind == object {
		for _, key := range []string{"private", "untrusted", "external"} {
			if n := flows.get(key); n == nil || len(n.items) == 0 {
				r.problem(flows.at, "guards.flows: %s is missing; a flow has all three: private, untrusted, external", key)
			}
		}
		if n := flows.get("window"); n != nil && file.Guards.Flows.Window <= 0 {
			r.mismatch(n, "guards.flows.window", "a duration longer than 0s, such as 1h")
		}
	}
}
