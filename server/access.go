package server

import (
	"weir/catalog"
	"weir/policy"
)

// admit decides whether the caller may do a with entry, which it called name; target is the URI that a template was matched with. The rule that
// decided goes into the record.
func (g *Gateway) admit(r *Request, e *Event, profile *policy.Profile, a policy.Action, entry *catalog.Entry, name, target string) error {
	e.Ref = entry.Ref
	d := decide(profile, a, entry, policy.Request{
		Principal: r.Principal, Arguments: r.Message.Arguments.Of(r.Message.Data), Target: target, Time: e.Start, Address: r.Address,
	})
	e.Rule = d.Rule
	if d.Allowed {
		return nil
	}
	if d.Err != nil {
		g.log.Warn("a condition had no answer", "ref", entry.Ref.String(), "rule", d.Rule, "error", d.Err)
	}
	return profile.Refusal(a, entry, name, d)
}

// decide asks conditions only about entries that have some: the request leaves the stack for those alone.
func decide(profile *policy.Profile, a policy.Action, entry *catalog.Entry, q policy.Request) policy.Decision {
	if !profile.NeedsRequest(a, entry) {
		return profile.Decide(a, entry)
	}
	asked := q
	if entry.Kind != catalog.Template {
		asked.Target = ""
	}
	return profile.DecideWith(a, entry, &asked)
}
