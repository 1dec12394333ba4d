package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// kongFile is what is read of a declarative configuration of Kong: whatever holds plugins, and the names of consumers and groups.
type kongFile struct {
	kongScope `yaml:",inline"`
	Services  []kongScope `yaml:"services"`
	Consumers []struct {
		Username string `yaml:"username"`
		CustomID string `yaml:"custom_id"`
	} `yaml:"consumers"`
	ConsumerGroups []struct {
		Name string `yaml:"name"`
	} `yaml:"consumer_groups"`
}

type kongScope struct {
	Plugins []kongPlugin `yaml:"plugins"`
	Routes  []kongScope  `yaml:"routes"`
}

type kongPlugin struct {
	Name   string `yaml:"name"`
	Config struct {
		IncludeConsumerGroups bool      `yaml:"include_consumer_groups"`
		DefaultACL            []kongACL `yaml:"default_acl"`
		Tools                 []struct {
			Name string   `yaml:"name"`
			ACL  *kongACL `yaml:"acl"`
		} `yaml:"tools"`
	} `yaml:"config"`
}

type kongACL struct {
	Scope string   `yaml:"scope"`
	Allow []string `yaml:"allow"`
	Deny  []string `yaml:"deny"`
}

// kongOwn is the condition for tools that have lists of their own.
const kongOwn = "own-lists"

// ImportKong translates the access lists of Kong's ai-mcp-proxy plugin, from its declarative file, into a policy for the tools of one
// upstream. It decides as Kong does: a tool's own lists replace the default ones, a list of those allowed that is empty or missing allows
// everyone, and a name in deny wins. The notes say where that surprises.
func ImportKong(data []byte, upstream string) (spec Spec, notes []string, err error) {
	var file kongFile
	if err := yaml.Unmarshal(data, &file); err != nil {
		return Spec{}, nil, fmt.Errorf("kong: %w", err)
	}
	if p, err := parsePattern(upstream + "/*"); err != nil || !p.plainUpstream {
		return Spec{}, nil, fmt.Errorf("kong: %q cannot be an upstream", upstream)
	}
	plugins := file.find()
	switch {
	case len(plugins) == 0:
		return Spec{}, nil, fmt.Errorf("kong: no plugin ai-mcp-proxy in the file")
	case len(plugins) > 1:
		return Spec{}, nil, fmt.Errorf("kong: %d plugins ai-mcp-proxy in the file; import them one by one", len(plugins))
	}
	k := kongImport{file: &file, plugin: &plugins[0], upstream: upstream}
	k.spec.Grants = make(map[string][]string)
	if err := k.run(); err != nil {
		return Spec{}, nil, err
	}
	return k.spec, k.notes, nil
}

func (f *kongFile) find() (found []kongPlugin) {
	scopes := append([]kongScope{f.kongScope}, f.Services...)
	for len(scopes) > 0 {
		s := scopes[0]
		scopes = append(scopes[1:], s.Routes...)
		for _, p := range s.Plugins {
			if p.Name == "ai-mcp-proxy" {
				found = append(found, p)
			}
		}
	}
	return found
}

// kongImport is one import under way.
type kongImport struct {
	file     *kongFile
	plugin   *kongPlugin
	upstream string
	spec     Spec
	notes    []string
}

func (k *kongImport) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(k.notes, text) {
		k.notes = append(k.notes, text)
	}
}

func (k *kongImport) run() error {
	var own []string
	for i, t := range k.plugin.Config.Tools {
		if t.ACL == nil {
			continue
		}
		if p, err := parsePattern(k.upstream + "/" + t.Name); err != nil || !p.plainName {
			return fmt.Errorf("kong: tools[%d] has lists and no name that a rule can match; give it a name", i)
		}
		if slices.Contains(own, t.Name) {
			return fmt.Errorf("kong: two tools are named %q", t.Name)
		}
		own = append(own, t.Name)
		k.lists(t.ACL, t.Name, "")
	}
	var defaults *kongACL
	for i := range k.plugin.Config.DefaultACL {
		d := &k.plugin.Config.DefaultACL[i]
		if d.Scope != "" && d.Scope != "tools" {
			k.note("default_acl[%d]: the scope %q is left out", i, d.Scope)
			continue
		}
		if defaults != nil {
			return fmt.Errorf("kong: more than one default_acl for tools")
		}
		defaults = d
	}
	when := ""
	if len(own) > 0 {
		quoted := make([]string, len(own))
		for i, name := range own {
			quoted[i] = fmt.Sprintf("%q", name)
		}
		k.spec.Conditions = map[string]string{kongOwn: "tool.name in [" + strings.Join(quoted, ", ") + "]"}
		when = "!" + kongOwn
	}
	if defaults == nil {
		k.note("there is no default_acl: Kong lets everyone call a tool without lists, and so do these rules; remove the grant to * to deny that")
		defaults = &kongACL{}
	} else if len(own) > 0 {
		k.note("a tool's own lists replace default_acl, they do not add to it: whom default_acl denies may call %s unless denied there as well", strings.Join(own, ", "))
	}
	k.lists(defaults, "*", when)
	return nil
}

// lists translates one pair of lists.
func (k *kongImport) lists(acl *kongACL, name, when string) {
	rule := k.upstream + "/" + name
	entry := rule
	if when != "" {
		entry += " when " + when
	}
	if len(acl.Allow) == 0 {
		if name != "*" {
			k.note("%s: nobody is listed in allow, so everyone who is not denied may call it, whatever default_acl says", rule)
		}
		k.spec.Grants[everyone] = append(k.spec.Grants[everyone], entry)
	}
	for _, who := range acl.Allow {
		for _, subject := range k.subjects(who) {
			if !slices.Contains(k.spec.Grants[subject], entry) {
				k.spec.Grants[subject] = append(k.spec.Grants[subject], entry)
			}
		}
	}
	var denied []string
	for _, who := range acl.Deny {
		denied = append(denied, k.subjects(who)...)
	}
	if len(denied) > 0 {
		k.spec.Deny = append(k.spec.Deny, Deny{Match: rule, For: denied, When: when})
	}
}

// subjects are whom a name in a list may mean: a consumer, a group, or when the file says neither, both.
func (k *kongImport) subjects(name string) []string {
	group := slices.ContainsFunc(k.file.ConsumerGroups, func(g struct {
		Name string `yaml:"name"`
	},
	) bool {
		return g.Name == name
	})
	user := slices.ContainsFunc(k.file.Consumers, func(c struct {
		Username string `yaml:"username"`
		CustomID string `yaml:"custom_id"`
	},
	) bool {
		return c.Username == name || c.CustomID == name
	})
	if group && !k.plugin.Config.IncludeConsumerGroups {
		k.note("%s is a group, and include_consumer_groups is not set: Kong looks at consumers only, and so does this rule", name)
		group, user = false, true
	}
	switch {
	case group && user:
		k.note("%s is a consumer and a group: both are meant", name)
		return []string{userType + name, groupType + name}
	case group:
		return []string{groupType + name}
	case user:
		return []string{userType + name}
	case k.plugin.Config.IncludeConsumerGroups:
		k.note("%s is neither a consumer nor a group of this file: both are meant", name)
		return []string{userType + name, groupType + name}
	}
	return []string{userType + name}
}

// YAML is the policy section as text for the configuration file.
func (s *Spec) YAML() ([]byte, error) {
	return yaml.Marshal(struct {
		Policy *Spec `yaml:"policy"`
	}{s})
}
