package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// readScope reads roles, grants and denials that hold in one tenant, "" for everywhere.
func (c *compiler) readScope(tenant string, roles, grants map[string][]string, deny []Deny) {
	s := scope{compiler: c, tenant: tenant, column: everywhere}
	if tenant != "" {
		s.prefix, s.column = "tenants."+tenant+".", tenant
	}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		s.role(name, roles[name])
	}
	for _, subject := range slices.Sorted(maps.Keys(grants)) {
		s.grant(subject, grants[subject])
	}
	for i := range deny {
		s.deny(fmt.Sprintf("%sdeny[%d]", s.prefix, i), &deny[i])
	}
}

// scope is a compiler at work on what holds in one tenant.
type scope struct {
	*compiler
	tenant string
	prefix string // of paths
	column string // the tenant column of rows
}

func (s *scope) role(name string, entries []string) {
	path := s.prefix + "roles." + name
	switch {
	case !isRoleName(name):
		s.problem(path, "%q cannot name a role; use letters, digits, -, _ and .", name)
		return
	case strings.Contains(name, ":"):
		s.problem(path, "names of roles with a colon are weir's own; %q cannot be one", name)
		return
	case len(entries) == 0:
		s.problem(path, "the role is empty")
		return
	}
	s.entries(path, roleType+name, entries)
}

func (s *scope) grant(subject string, entries []string) {
	path := s.prefix + "grants." + subject
	subject, err := s.subject(subject)
	switch {
	case err != nil:
		s.problem(path, "%v", err)
		return
	case len(entries) == 0:
		s.problem(path, "nothing is granted")
		return
	}
	s.entries(path, subject, entries)
}

// subject checks a subject and gives a user of the one trusted issuer the full name.
func (c *compiler) subject(text string) (string, error) {
	if err := checkSubject(text); err != nil {
		return "", err
	}
	return fullSubject(text, c.options.Issuer), nil
}

// fullSubject puts the issuer into the name of a user that has none.
func fullSubject(text, issuer string) string {
	name, isUser := strings.CutPrefix(text, userType)
	own, isOwn := strings.CutPrefix(name, "|")
	switch {
	case !isUser || issuer == "" || name == localUser:
		return text
	case isOwn:
		return userType + own
	case strings.Contains(name, "|"):
		return text
	}
	return userType + issuer + "|" + name
}

// entries reads the list of a role or of a grant.
func (s *scope) entries(path, subject string, entries []string) {
	for i, text := range entries {
		at := fmt.Sprintf("%s[%d]", path, i)
		e, err := parseEntry(text)
		switch {
		case err != nil:
			s.problem(at, "%v", err)
		case e.role != "":
			s.link(at, subject, e.role)
		default:
			cond, unless := s.condition(at, e.condition)
			s.add(&rule{
				id: at, place: s.place(at), subject: subject, tenant: s.column, pattern: e.pattern, actions: e.actions, when: cond, unless: unless,
			})
		}
	}
}

// link gives subject a role.
func (s *scope) link(path, subject, role string) {
	_, known := s.spec.Roles[role]
	if !known && s.tenant != "" {
		_, known = s.spec.Tenants[s.tenant].Roles[role]
	}
	if !known {
		if known = s.preset(role); !known {
			s.problem(path, "unknown role %q; roles are %s%s", role, orNone(s.roleNames()), asPattern(role))
			return
		}
	}
	s.used["role "+role] = true
	s.p.links.add(s.column, subject, roleType+role)
}

// asPattern is a hint for a word that was meant as a pattern.
func asPattern(role string) string {
	return fmt.Sprintf(" (for everything of an upstream write \"%s/*\")", role)
}

func (s *scope) roleNames() []string {
	names := slices.Collect(maps.Keys(s.spec.Roles))
	if s.tenant != "" {
		names = slices.AppendSeq(names, maps.Keys(s.spec.Tenants[s.tenant].Roles))
	}
	names = append(names, Presets()...)
	slices.Sort(names)
	return names
}

func (s *scope) deny(path string, d *Deny) {
	if d.Match == "" {
		s.problem(path, "match is missing")
		return
	}
	p, err := parsePattern(d.Match)
	if err != nil {
		s.problem(path+".match", "%v", err)
		return
	}
	set := allActions
	if len(d.Actions) > 0 {
		if set, err = parseActions(d.Actions, true); err != nil {
			s.problem(path+".actions", "%v", err)
			return
		}
	}
	cond, unless := s.condition(path+".when", d.When)
	for _, text := range [...]string{d.Reason, d.Instead} {
		if strings.ContainsFunc(text, hidden) {
			s.problem(path, "reason and instead are one line of plain text each")
			return
		}
	}
	subjects := d.For
	if len(subjects) == 0 {
		subjects = []string{everyone}
	}
	for i, text := range subjects {
		subject, err := s.subject(text)
		if err != nil {
			s.problem(fmt.Sprintf("%s.for[%d]", path, i), "%v", err)
			continue
		}
		s.add(&rule{
			id: path, place: s.place(path), subject: subject, tenant: s.column, pattern: p, actions: set,
			when: cond, unless: unless, deny: true, reason: d.Reason, instead: d.Instead,
		})
	}
}

// checkDepth reports circles of roles and chains that are too long.
func (c *compiler) checkDepth() {
	tenants := append([]string{""}, slices.Sorted(maps.Keys(c.p.tenants))...)
	reported := make(map[string]bool)
	for _, tenant := range tenants {
		d := depths{links: c.p.links, tenant: tenant, depth: make(map[string]int), next: make(map[string]string)}
		subjects := slices.AppendSeq(slices.Collect(maps.Keys(c.p.links[everywhere])), maps.Keys(c.p.links[tenant]))
		slices.Sort(subjects)
		for _, subject := range slices.Compact(subjects) {
			var fault string
			if circle := d.visit(subject, nil); circle != nil {
				fault = "a circle of roles: " + strings.Join(circle, " → ")
			} else if n := d.depth[subject]; n > maxDepth {
				fault = fmt.Sprintf("%d roles in a row, more than %d: %s", n, maxDepth, strings.Join(d.chain(subject), " → "))
			}
			if fault != "" && !reported[fault] {
				reported[fault] = true
				c.problem("roles", "%s", fault)
			}
			if len(reported) > 0 && d.circular {
				return // what stands above a circle has no depth
			}
		}
	}
}

// depths measures how many roles stand in a row above subjects.
type depths struct {
	links    links
	tenant   string
	depth    map[string]int
	next     map[string]string
	circular bool
}

// visit measures subject; above is the chain that led to it. It returns a circle if there is one.
func (d *depths) visit(subject string, above []string) (circle []string) {
	if _, known := d.depth[subject]; known {
		return nil
	}
	if at := slices.Index(above, subject); at >= 0 {
		d.circular = true
		return append(slices.Clone(above[at:]), subject)
	}
	above = append(above, subject)
	most := 0
	for _, role := range d.links.of(d.tenant, subject) {
		if circle := d.visit(role, above); circle != nil {
			return circle
		}
		if n := d.depth[role] + 1; n > most {
			most, d.next[subject] = n, role
		}
	}
	d.depth[subject] = most
	return nil
}

// chain is the longest chain that begins with subject.
func (d *depths) chain(subject string) []string {
	chain := []string{subject}
	for d.next[subject] != "" {
		subject = d.next[subject]
		chain = append(chain, subject)
	}
	return chain
}

// checkUse warns of roles and conditions that nothing refers to. A role may come with a token.
func (c *compiler) checkUse() {
	for _, name := range slices.Sorted(maps.Keys(c.spec.Roles)) {
		if !c.used["role "+name] {
			c.warn("roles."+name, "nobody is granted the role %q; only a token with this role has it", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.spec.Conditions)) {
		if !c.used["when "+name] {
			c.warn("conditions."+name, "no rule asks for %q", name)
		}
	}
}
