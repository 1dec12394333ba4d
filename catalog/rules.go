package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rules say how the entries of one upstream appear in the namespace.
type Rules struct {
	Alias map[string]string // upstream's tool or prompt name → public name
	// Include are globs on the upstream's own names and URIs; empty means all. Tools and prompts must match one of them unless all of them
	// are written for URIs (with "://"). Resources and templates must match one of them if any is written for URIs (with ":").
	Include []string
	// Exclude are globs on the upstream's own names and URIs of every kind. They win over Include.
	Exclude []string
}

// filter is the compiled form of Include and Exclude.
type filter struct {
	include, exclude []Glob
	names, uris      bool // whether include limits tools and prompts, resources and templates
	upstream         string
	offer            *Offer // nil: all of it
}

func newFilter(upstream string, r Rules, offer *Offer) filter {
	f := filter{upstream: upstream, offer: offer}
	for _, p := range r.Include {
		f.include = append(f.include, Glob(p))
		f.names = f.names || !strings.Contains(p, "://")
		f.uris = f.uris || strings.Contains(p, ":")
	}
	for _, p := range r.Exclude {
		f.exclude = append(f.exclude, Glob(p))
	}
	return f
}

// keeps reports whether the entry of kind that the upstream calls name may be in the namespace.
func (f *filter) keeps(kind Kind, name string) bool {
	limited := f.names
	if kind == Resource || kind == Template {
		limited = f.uris
	}
	return (!limited || matchesAny(f.include, name)) && !f.excludes(name) && f.offer.includes(Ref{f.upstream, name})
}

// excludes reports whether name is taken out by a pattern of its own, whatever its kind.
func (f *filter) excludes(name string) bool {
	return matchesAny(f.exclude, name) || f.offer.excludes(Ref{f.upstream, name})
}

func matchesAny(globs []Glob, name string) bool {
	return slices.ContainsFunc(globs, func(g Glob) bool { return g.Match(name) })
}

// checkRules reports include patterns and aliases of o that name nothing it lists, and aliases that cannot stand as they are. An
// upstream that lists nothing at all has another problem.
func (b *build) checkRules(o *origin, listed [kinds][]string) {
	if len(listed[Tool])+len(listed[Prompt])+len(listed[Resource])+len(listed[Template]) == 0 {
		return
	}
	for _, p := range o.filter.include {
		if !slices.ContainsFunc(listed[:], func(names []string) bool { return slices.ContainsFunc(names, p.Match) }) {
			b.problem(Problem{Upstream: o.name, Reason: fmt.Sprintf("%s: include pattern %s matches nothing that it lists", o.name, quote(string(p)))})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.alias)) {
		alias := o.alias[name]
		if !slices.Contains(listed[Tool], name) && !slices.Contains(listed[Prompt], name) {
			b.problem(Problem{Upstream: o.name, Name: name, Reason: fmt.Sprintf("%s: alias for %s names no tool or prompt that it lists", o.name, quote(name))})
		} else if public := fit("", alias, Ref{o.name, name}); public != alias {
			b.problem(Problem{
				Upstream: o.name, Name: name,
				Reason: fmt.Sprintf("%s: alias %s cannot be a name as it is; %s is used", o.name, quote(alias), quote(public)),
			})
		}
	}
}
