package server

import (
	"weir/catalog"
	"weir/policy"
)

// admit decides whether the caller may do a with entry, which it called name; target is the URI that a template was matched with. The rule that
// decided goes into the record.
func (g *Gateway) admit(r *Request, e *Event, profile *policy.Profile, a policy.Action, entry *catalog.Entry, name, target string, arguments []byte) error {
	e.Kind, e.Ref, e.Entry = entry.Kind, entry.Ref, entry
	d := decide(profile, a, entry, policy.Request{
		Principal: r.Principal, Arguments: arguments, Target: target, Time: e.Start, Address: r.Address,
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

// noteHidden puts into the record which entry a request was about that the caller may not hear of, and the rule that hides it. The caller was told that there
// is no such thing, and must not be able to tell: it is called when the reply is made.
func noteHidden(r *Request, e *Event, profile *policy.Profile, a policy.Action) {
	entry, _, target, err := resolve(profile.View.Snapshot(), nil, r.Message, a)
	if err != nil {
		return
	}
	d := decide(profile, a, entry, policy.Request{
		Principal: r.Principal, Arguments: r.Message.Arguments.Of(r.Message.Data), Target: target, Time: e.Start, Address: r.Address,
	})
	if !d.Allowed {
		e.Kind, e.Ref, e.Entry, e.Rule, e.Execution = entry.Kind, entry.Ref, entry, d.Rule, catalog.NotExecuted
	}
}

// admitBehind decides about the hidden tool that a call of entry is about, exactly as if that were called by its name. One that the caller may
// not hear of is left to the upstream, which hides it as well (see [catalog.Call.Sees]) and answers as for a name that does not exist.
func (g *Gateway) admitBehind(r *Request, e *Event, profile *policy.Profile, entry *catalog.Entry) error {
	if !entry.IsDoor() {
		return nil
	}
	hidden, inner := profile.View.Snapshot().Behind(entry, r.Message.Arguments.Of(r.Message.Data))
	if hidden == nil || !profile.Knows(hidden) {
		return nil
	}
	return g.admit(r, e, profile, policy.Call, hidden, hidden.Ref.Name, "", inner)
}

// seesBehind says which hidden tools of the upstream of door a caller may hear of.
func seesBehind(profile *policy.Profile, door *catalog.Entry) func(string) bool {
	return func(name string) bool {
		e := profile.View.Snapshot().Hidden(door.Ref.Upstream, name)
		return e != nil && profile.View.Visible(e)
	}
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
