package policy

import (
	"cmp"

	"weir/catalog"
)

// Decision is the answer, with the rule that gave it for the record.
type Decision struct {
	Allowed bool
	Rule    string // id of the rule that decided: "deny[0]", "roles.reader[2]"; "default deny" when none did
	Place   Place  // where that rule stands, if known
	// Reason and Instead are the operator's words, or weir's about a condition. They are safe to show to whom the entry is known.
	Reason  string
	Instead string
	// Conditional says that a decision without a request could not be made, and so is a denial: ask DecideWith.
	Conditional bool
	// Err is why a condition had no answer, for the log only.
	Err error
}

// Ids of what decides when no rule does.
const (
	defaultDeny = "default deny"
	selfCheck   = "self-check"  // compiled rules and Casbin differ
	uriForm     = "normal form" // a URI that nobody listed is not written in one way only
)

// Profile is what the callers with one set of roles may see and use of one snapshot. It is safe for concurrent use.
type Profile struct {
	// View is the visible part with its rendered lists. An entry is in it exactly when it may be used, whatever its arguments must be.
	View *catalog.View

	policy   *Policy
	index    *index
	who      *identity // a caller with these roles: the first
	rules    []*rule
	verdicts []verdict // by index of the entry
	// second are the rules about each entry that needs a request to be decided, by index of the entry.
	second map[int][]*rule
	shadow *shadow // nil unless another policy is watched
}

// verdict is what the rules without a request say about one entry.
type verdict struct {
	possible actions // allowed for some request
	certain  actions // allowed for every request
	named    bool    // the caller may hear of the entry: it is visible, or denied by a rule with a reason only
	use      int32   // the rule that decided about use, or one of the numbers below
}

const (
	byNone  = -1 // default deny
	byCheck = -2 // self-check
	byOwn   = -3 // Casbin, for a model of one's own
)

// Decide answers whether the profile's callers may do a with entry, whatever the request is: what depends on arguments, time, address or
// the target of a template is denied, with Conditional. List asks for use. An action other than use needs use as well: what is not visible
// cannot be completed.
func (f *Profile) Decide(a Action, entry *catalog.Entry) Decision {
	v := f.verdict(entry)
	use := useOf(entry.Kind)
	if a == List {
		if v.possible.has(use) {
			return f.allowed(v)
		}
		return f.denied(use, entry)
	}
	if v.possible.has(use) && v.certain.has(a) {
		d := f.allowed(v)
		if f.shadow != nil {
			f.shadow.compare(a, entry, d, nil)
		}
		return d
	}
	d := f.denied(a, entry)
	if v.possible.has(use) && v.possible.has(a) {
		d = Decision{Rule: d.Rule, Place: d.Place, Conditional: true, Reason: "it depends on the request"}
	}
	if f.shadow != nil {
		f.shadow.compare(a, entry, d, nil)
	}
	return d
}

// NeedsRequest reports whether a decision about a with entry takes a request: DecideWith instead of Decide. What nobody's conditions speak of, or
// no request may do, does not.
func (f *Profile) NeedsRequest(a Action, entry *catalog.Entry) bool {
	v := f.verdict(entry)
	return f.shadow != nil || v.possible.has(useOf(entry.Kind)) && v.possible.has(a) && !v.certain.has(a)
}

// DecideWith answers for one request. It is Decide for entries without conditions; r must not be nil.
func (f *Profile) DecideWith(a Action, entry *catalog.Entry, r *Request) Decision {
	v := f.verdict(entry)
	use := useOf(entry.Kind)
	var d Decision
	switch {
	case a == List || !v.possible.has(use) || !v.possible.has(a):
		d = f.denied(asked(a, entry.Kind), entry)
		if a == List && v.possible.has(use) {
			d = f.allowed(v)
		}
	case v.certain.has(a):
		d = f.allowed(v)
	default:
		d = f.judge(a, entry, r).decision()
	}
	if f.shadow != nil && a != List {
		f.shadow.compare(a, entry, d, r)
	}
	return d
}

// Knows reports whether the profile's callers may hear of entry: they may use it, or only a rule with a reason keeps them from it, so that
// a refusal can teach. For names and URIs that callers send, resolve with Knows and then decide; for lists there is View.
func (f *Profile) Knows(entry *catalog.Entry) bool { return f.verdict(entry).named }

// verdict is the verdict of an entry of the snapshot, or a new one for an entry that was made for a URI nobody lists.
func (f *Profile) verdict(entry *catalog.Entry) verdict {
	if i := entry.Index(); i >= 0 && i < len(f.verdicts) && f.index.snapshot.Entries()[i] == entry {
		return f.verdicts[i]
	}
	return f.newVerdict(entry)
}

// newVerdict decides about one entry by going through all rules.
func (f *Profile) newVerdict(entry *catalog.Entry) verdict {
	if !f.policy.compiled {
		return f.askOwn(entry)
	}
	m := mark{allowedBy: byNone, deniedBy: byNone}
	facts := newFacts(entry, f.policy.approved.of(entry), f.who, nil)
	for _, r := range f.rules {
		if r.pattern.match(entry.Ref) {
			m.apply(r, facts, entry.Kind)
		}
	}
	if entry.Index() < 0 && f.hasPaths(entry.Ref.Upstream) && !normal(entry.Ref.Name) {
		return verdict{use: byNone}
	}
	v := m.verdict(entry.Kind)
	f.limitTemplate(entry, &v)
	return v
}

// hasPaths reports whether any rule tells resources of upstream apart by their URIs.
func (f *Profile) hasPaths(upstream string) bool {
	for _, r := range f.rules {
		if !r.pattern.all && r.pattern.matchUpstream(upstream) {
			return true
		}
	}
	return false
}

// limitTemplate makes a template that a rule may deny parts of depend on its target.
func (f *Profile) limitTemplate(entry *catalog.Entry, v *verdict) {
	if entry.Kind != catalog.Template || v.certain == 0 {
		return
	}
	if f.hasPaths(entry.Ref.Upstream) {
		v.certain &^= 1<<Read | 1<<Subscribe
	}
}

// allowed is the decision of a verdict that allows.
func (f *Profile) allowed(v verdict) Decision {
	if v.use < 0 {
		return Decision{Allowed: true, Rule: "model"}
	}
	r := f.policy.rules[v.use]
	return Decision{Allowed: true, Rule: r.id, Place: r.place}
}

// denied says why no request may do a with entry.
func (f *Profile) denied(a Action, entry *catalog.Entry) Decision {
	v := f.verdict(entry)
	switch {
	case v.use == byCheck:
		return Decision{Rule: selfCheck}
	case entry.Index() < 0 && f.hasPaths(entry.Ref.Upstream) && !normal(entry.Ref.Name):
		return Decision{Rule: uriForm}
	}
	d := f.judge(useOf(entry.Kind), entry, nil)
	if d.allowed() {
		d = f.judge(a, entry, nil)
	}
	return d.decision()
}

// judgement is what the rules say about one request, with what they said it by.
type judgement struct {
	allow, deny *rule
	denyErr     error
	failed      *rule // the first rule that allows but for its condition
	failedErr   error
	badTarget   bool
}

func (j *judgement) allowed() bool { return j.allow != nil && j.deny == nil && !j.badTarget }

// judge goes through all rules. Without a request it answers for the most favourable one.
func (f *Profile) judge(a Action, entry *catalog.Entry, r *Request) *judgement {
	who := f.who
	if r != nil {
		who = r.Principal.identity()
	}
	facts := newFacts(entry, f.policy.approved.of(entry), who, r)
	j := &judgement{}
	target := catalog.Ref{Upstream: entry.Ref.Upstream}
	if r != nil && entry.Kind == catalog.Template && (a == Read || a == Subscribe) {
		target.Name = r.Target
		j.badTarget = f.hasPaths(target.Upstream) && !normal(target.Name)
	}
	if !f.policy.compiled {
		f.judgeOwn(a, entry, target, facts, j)
		return j
	}
	rules, match := f.about(entry, target)
	for _, rule := range rules {
		if !rule.actions.has(asked(a, entry.Kind)) {
			continue
		}
		if match || rule.pattern.match(entry.Ref) || rule.deny && target.Name != "" && rule.pattern.match(target) {
			j.weigh(rule, facts)
		}
	}
	return j
}

// about returns the rules that can matter for an entry: those known to match it, or all.
func (f *Profile) about(entry *catalog.Entry, target catalog.Ref) (rules []*rule, match bool) {
	if i := entry.Index(); target.Name == "" && i >= 0 && i < len(f.verdicts) && f.index.snapshot.Entries()[i] == entry {
		if rules, ok := f.second[i]; ok {
			return rules, true
		}
	}
	return f.rules, false
}

func (j *judgement) weigh(r *rule, f *facts) {
	applies, err := r.applies(f)
	switch {
	case r.deny && applies && (j.deny == nil || j.deny.reason == "" && r.reason != ""):
		j.deny, j.denyErr = r, err
	case !r.deny && applies:
		j.allow = cmp.Or(j.allow, r)
	case !r.deny && j.failed == nil:
		j.failed, j.failedErr = r, err
	}
}

// decision puts a judgement into words.
func (j *judgement) decision() Decision {
	switch r := cmp.Or(j.deny, j.allow, j.failed); {
	case j.badTarget:
		return Decision{Rule: uriForm, Reason: "the URI must be written in its normal form, without ., .., empty segments and needless escapes"}
	case r == nil:
		return Decision{Rule: defaultDeny}
	case r == j.allow:
		return Decision{Allowed: true, Rule: r.id, Place: r.place}
	case r == j.deny:
		d := Decision{Rule: r.id, Place: r.place, Reason: r.reason, Instead: r.instead, Err: j.denyErr}
		if r.when != nil && d.Reason == "" {
			d.Reason = r.conditionText(j.denyErr)
		}
		return d
	default:
		return Decision{Rule: r.id, Place: r.place, Reason: r.conditionText(j.failedErr), Err: j.failedErr}
	}
}

// conditionText says which condition stood in the way and, when it had no answer, why.
func (r *rule) conditionText(err error) string {
	text := "allowed only when " + r.when.name
	if r.deny != r.unless {
		text = "not allowed when " + r.when.name
	}
	if err != nil {
		text += ": " + r.when.fault(err)
	}
	return text
}

// mark collects what rules say about one entry without a request.
type mark struct {
	allow, maybe, deny, maybeDeny actions
	allowedBy, deniedBy           int32
	reason                        bool // the use is denied by rules with a reason only
	silent                        bool // the use is denied by a rule without reason
}

func (m *mark) apply(r *rule, f *facts, k catalog.Kind) {
	applies, _ := r.applies(f) // an error is an answer: see there
	use := r.actions.has(useOf(k))
	conditional := r.when != nil && r.when.dynamic
	switch {
	case r.deny && conditional:
		m.maybeDeny |= r.actions
	case !applies:
	case r.deny:
		m.deny |= r.actions
		if use {
			m.reason = m.reason || r.reason != ""
			m.silent = m.silent || r.reason == ""
			if m.deniedBy == byNone {
				m.deniedBy = r.index
			}
		}
	default:
		if conditional {
			m.maybe |= r.actions
		} else {
			m.allow |= r.actions
		}
		if use && m.allowedBy == byNone {
			m.allowedBy = r.index
		}
	}
}

func (m *mark) verdict(k catalog.Kind) verdict {
	use := useOf(k)
	granted := m.allow | m.maybe
	v := verdict{possible: granted &^ m.deny, certain: m.allow &^ m.deny &^ m.maybeDeny, use: m.allowedBy}
	switch {
	case v.possible.has(use):
		v.named = true
	case m.deny.has(use):
		v.use = m.deniedBy
		v.named = granted.has(use) && m.reason && !m.silent
	}
	return v
}
