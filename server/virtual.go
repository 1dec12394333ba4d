package server

import "weir/catalog"

// Virtual is a virtual server: a part of the namespace at a path of its own, with a name in the policy (a tenant) and an audience of its
// own. Patterns and names are those of rules: upstream/name.
type Virtual struct {
	// Path is the endpoint's path; the gateway's own path and the virtual server's name when empty.
	Path string `yaml:"path"`
	// Audience is what tokens must be made out to; the endpoint's own URL when empty.
	Audience string `yaml:"audience"`
	// Naming is how public names are made, as at the top of the file.
	Naming catalog.Naming `yaml:"naming"`
	// Include are patterns of what it offers; everything when empty.
	Include []string `yaml:"include"`
	// Exclude are patterns of what it does not; they win over Include.
	Exclude []string `yaml:"exclude"`
	// Tools give single tools and prompts, by upstream/name, another public name, title or description.
	Tools map[string]catalog.Overlay `yaml:"tools"`
}
