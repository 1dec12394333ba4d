package policy

import (
	"fmt"
	"strings"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// lintRules warns of rules that do nothing, or more than they seem to.
func (c *compiler) lintRules() {
	type same struct {
		subject, tenant, pattern, when string
		deny                           bool
		actions                        actions
	}
	first := make(map[same]*rule)
	var wide []*rule // denials for everyone, everywhere, without condition
	for _, r := range c.p.rules {
		k := same{r.subject, r.tenant, r.pattern.text, r.whenText(), r.deny, r.actions}
		if before := first[k]; before != nil && before.id != r.id {
			c.warnRule(r, "says the same as %s%s", before.id, at(before.place))
		}
		first[k] = r
		if r.deny && r.subject == everyone && r.tenant == everywhere && r.when == nil {
			wide = append(wide, r)
		}
		if !r.deny && r.subject == everyone && r.pattern.all && r.pattern.upstream == "*" && r.when == nil {
			c.warnRule(r, "everyone who signs in may do everything")
		}
	}
	for _, r := range c.p.rules {
		for _, d := range wide {
			if !r.deny && r.actions&^d.actions == 0 && d.pattern.covers(&r.pattern) {
				c.warnRule(r, "never applies: %s%s denies the same to everyone", d.id, at(d.place))
			}
		}
	}
}

func (c *compiler) warnRule(r *rule, format string, args ...any) {
	c.warnings = append(c.warnings, Problem{Path: r.id, Place: r.place, Msg: fmt.Sprintf(format, args...)})
}

// covers reports whether p certainly matches whatever other does. It may miss cases.
func (p *pattern) covers(other *pattern) bool {
	upstream := p.upstream == "*" || p.upstream == other.upstream || other.plainUpstream && p.matchUpstream(other.upstream)
	name := p.all || p.name == other.name || other.plainName && p.matchName(other.name)
	return upstream && name
}

// Lint compares the policy with what there is: rules that match nothing, rules that are never reached, and wide rules that allow what is
// said to destroy. Nothing here keeps a policy from being used.
func (p *Policy) Lint(s *catalog.Snapshot) []Problem {
	if !p.compiled {
		return nil
	}
	x := newIndex(s)
	var out []Problem
	warn := func(r *rule, format string, args ...any) {
		out = append(out, Problem{Path: r.id, Place: r.place, Msg: fmt.Sprintf(format, args...)})
	}
	denied := make(map[*catalog.Entry]actions)
	for _, r := range p.rules {
		if r.deny && r.subject == everyone && r.tenant == everywhere && r.when == nil {
			x.each(&r.pattern, func(e *catalog.Entry) { denied[e] |= r.actions })
		}
	}
	for _, r := range p.rules {
		matched, open, destructive := 0, 0, 0
		x.each(&r.pattern, func(e *catalog.Entry) {
			matched++
			if r.actions.has(useOf(e.Kind)) && !denied[e].has(useOf(e.Kind)) {
				open++
				if e.Kind == catalog.Tool && (matchAny(p.approved.destructive, e.Ref) || saysDestructive(e)) {
					destructive++
				}
			}
		})
		wildcard := !r.pattern.plainName || !r.pattern.plainUpstream
		switch {
		case matched == 0 && len(s.Entries()) > 0:
			warn(r, "%s matches nothing that there is now", r.pattern.text)
		case !r.deny && matched > 0 && open == 0:
			warn(r, "allows nothing: whatever it matches is denied to everyone, or it is for other actions")
		case !r.deny && wildcard && destructive > 0 && r.when == nil:
			warn(r, "%s allows %d tools that are said to destroy", r.pattern.text, destructive)
		}
	}
	return out
}

// saysDestructive reports whether the upstream itself says that a tool destroys. As a warning that may be believed.
func saysDestructive(e *catalog.Entry) bool {
	raw := e.Raw(catalog.Modern)
	f, err := rawjson.Fields(raw, "annotations")
	if err != nil || f[0].Absent() {
		return false
	}
	object := f[0].Of(raw)
	f, err = rawjson.Fields(object, "destructiveHint")
	return err == nil && strings.TrimSpace(string(f[0].Of(object))) == "true"
}
