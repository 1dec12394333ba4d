package policy

import (
	"fmt"
	"slices"
	"strings"

	"weir/catalog"
)

// mostNear is how many near misses an explanation has.
const mostNear = 5

// Explanation says how a decision came about, and what would change it.
type Explanation struct {
	Who    string
	Tenant string
	// Holds are the caller's subjects and roles, sorted.
	Holds    []string
	Action   Action
	Ref      catalog.Ref
	Decision Decision
	// Matched are the rules that speak about this request, the one that decided first.
	Matched []Rule
	// Nearest are rules that would have decided otherwise, had one more thing been different.
	Nearest []NearMiss
	// Casbin is its own answer to the same question; Compared says whether it was asked.
	Casbin, Compared bool
}

// NearMiss is a rule that did not apply, and what it failed on.
type NearMiss struct {
	Rule
	Field string // subject, tenant, action, object or condition
	Want  string // what the rule asks for
	Got   string // what the request has
}

// Explain decides like a [Profile] does and keeps what it saw. s may be nil; r may be nil, which asks for the most favourable request.
func (p *Policy) Explain(s *catalog.Snapshot, who Principal, a Action, entry *catalog.Entry, r *Request) *Explanation {
	f := p.ProfileOf(who, s)
	n := who.identity()
	x := &Explanation{Who: who.String(), Action: a, Ref: entry.Ref}
	if r == nil {
		x.Decision = f.denied(asked(a, entry.Kind), entry)
	} else {
		x.Decision = f.DecideWith(a, entry, r)
	}
	if n == nil {
		return x
	}
	x.Tenant = n.tenant
	facts := newFacts(entry, p.approved.of(entry), n, r)
	use := asked(a, entry.Kind)
	if enforced, err := p.enforce(n, entry, use, facts); err == nil {
		x.Casbin, x.Compared = enforced, true
	}
	if !p.compiled {
		x.Holds = n.subjects()
		return x
	}
	tenant := p.tenantOf(n)
	x.Holds = p.links.closure(n.subjects(), tenant)
	x.collect(p, use, entry, tenant, facts)
	return x
}

// collect sorts all rules into those that match and those that nearly do.
func (x *Explanation) collect(p *Policy, a Action, entry *catalog.Entry, tenant string, f *facts) {
	type miss struct {
		NearMiss
		fails int
	}
	var misses []miss
	for _, r := range p.rules {
		near, fails := x.compare(r, a, entry, tenant, f)
		switch {
		case fails == 0 && r.id == x.Decision.Rule:
			x.Matched = append([]Rule{r.public()}, x.Matched...)
		case fails == 0:
			x.Matched = append(x.Matched, r.public())
		case r.deny == x.Decision.Allowed: // the other way round from the decision
			misses = append(misses, miss{near, fails})
		}
	}
	slices.SortStableFunc(misses, func(a, b miss) int { return a.fails - b.fails })
	for _, m := range misses[:min(len(misses), mostNear)] {
		if m.fails <= misses[0].fails {
			x.Nearest = append(x.Nearest, m.NearMiss)
		}
	}
}

// compare checks the fields of a rule one by one. The miss names the first that failed; fails weighs them: a condition is the nearest miss,
// an object of another upstream the furthest.
func (x *Explanation) compare(r *rule, a Action, entry *catalog.Entry, tenant string, f *facts) (miss NearMiss, fails int) {
	miss.Rule = r.public()
	fail := func(weight int, field, want, got string) {
		if fails == 0 {
			miss.Field, miss.Want, miss.Got = field, want, got
		}
		fails += weight
	}
	if _, held := slices.BinarySearch(x.Holds, r.subject); !held && r.subject != everyone {
		fail(2, "subject", r.subject, strings.Join(x.Holds, ", "))
	}
	if r.tenant != everywhere && r.tenant != tenant {
		fail(2, "tenant", r.tenant, orNone(nonEmpty(x.Tenant)))
	}
	if !r.actions.has(a) {
		fail(2, "action", r.actions.String(), a.String())
	}
	if !r.pattern.match(entry.Ref) {
		weight := 3
		if r.pattern.plainUpstream && r.pattern.upstream == entry.Ref.Upstream {
			weight = 2
		}
		fail(weight, "object", r.pattern.text, entry.Ref.String())
		return miss, fails
	}
	if applies, err := r.applies(f); !applies {
		got := "false"
		if err != nil {
			got = r.when.fault(err)
		} else if r.unless {
			got = "true"
		}
		fail(1, "condition", r.whenText()+": "+r.when.source, got)
	}
	return miss, fails
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// String is the explanation as plain lines.
func (x *Explanation) String() string {
	var b strings.Builder
	verb := "may not"
	if x.Decision.Allowed {
		verb = "may"
	}
	fmt.Fprintf(&b, "%s %s %s %s\n", orNobody(x.Who), verb, x.Action, x.Ref)
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s "+format+"\n", append([]any{label}, args...)...)
	}
	line("decided by", "%s", strings.TrimPrefix(strings.TrimPrefix(x.Decision.brief(), "allow by "), "deny by "))
	if x.Decision.Reason != "" {
		line("reason", "%s", x.Decision.Reason)
	}
	if x.Decision.Instead != "" {
		line("instead", "%s", x.Decision.Instead)
	}
	line("holds", "%s", orNone(x.Holds))
	if x.Tenant != "" {
		line("tenant", "%s", x.Tenant)
	}
	for _, r := range x.Matched {
		line("matched", "%s%s: %s", r.ID, at(r.Place), r.Text)
	}
	for _, n := range x.Nearest {
		line("nearest", "%s%s: %s", n.ID, at(n.Place), n.Text)
		line("", "but its %s is %s, and here it is %s", n.Field, n.Want, n.Got)
	}
	if x.Compared && x.Casbin != x.Decision.Allowed {
		line("casbin", "says %v", x.Casbin)
	}
	return b.String()
}

func orNobody(who string) string {
	if who == "" {
		return "nobody"
	}
	return who
}

func at(p Place) string {
	if s := p.String(); s != "" {
		return " (" + s + ")"
	}
	return ""
}
