package policy

// preset is a role that every policy knows.
type preset struct {
	name, condition, expression string
	deny                        bool
	reason                      string
}

// presets are the roles that a grant may name without the policy defining them:
//
//   - preset:read-only allows what changes nothing: the role of an analyst.
//   - preset:no-destructive allows everything but what may destroy, and denies that even if another role allows it.
//   - preset:owner-only allows calls whose argument owner is the caller's own subject.
//
// What is read-only or destructive stands in the policy's annotations; see [Annotations] for what holds without them.
func presets() []preset {
	return []preset{
		{name: "preset:read-only", condition: "preset:read-only", expression: "tool.readOnly"},
		{name: "preset:no-destructive", condition: "preset:not-destructive", expression: "!tool.destructive"},
		{
			name: "preset:no-destructive", condition: "preset:destructive", expression: "tool.destructive", deny: true,
			reason: "it may destroy, and your role excludes that",
		},
		{name: "preset:owner-only", condition: "preset:owner", expression: "user.subject != '' && args.owner == user.subject"},
	}
}

// Presets lists the names of the roles that every policy knows.
func Presets() []string {
	var names []string
	for _, p := range presets() {
		if len(names) == 0 || names[len(names)-1] != p.name {
			names = append(names, p.name)
		}
	}
	return names
}

// preset adds the rules of a preset once; false when there is none of that name.
func (c *compiler) preset(name string) bool {
	if c.presets[name] {
		return true
	}
	for _, p := range presets() {
		if p.name != name {
			continue
		}
		c.presets[name] = true
		c.addCondition(name, p.condition, p.expression)
		c.add(&rule{
			id: p.condition, subject: roleType + name, tenant: everywhere, pattern: mustAll(), actions: allActions,
			when: c.conditions[p.condition], deny: p.deny, reason: p.reason,
		})
	}
	return c.presets[name]
}
