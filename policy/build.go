package policy

import (
	"weir/catalog"
)

const (
	// checkedRows bounds the work of one self-check: rows times entries asked about. Casbin takes about a microsecond for each.
	checkedRows = 20_000
	leastChecks = 4
	mostChecks  = 64
)

// newProfile compiles the profile of who in the snapshot of x. held is what roleKey found.
func (p *Policy) newProfile(x *index, who *identity, held []string) *Profile {
	f := &Profile{policy: p, index: x, who: who}
	if who != nil && p.compiled {
		f.rules = p.rulesOf(held, p.tenantOf(who))
	}
	entries := x.snapshot.Entries()
	f.verdicts = make([]verdict, len(entries))
	if p.compiled {
		f.applyRules(entries)
		f.check(entries)
		f.openDoors(entries)
	} else {
		for i, e := range entries {
			f.verdicts[i] = f.askOwn(e)
		}
	}
	f.View = x.snapshot.View(func(e *catalog.Entry) bool { return f.verdict(e).possible.has(useOf(e.Kind)) })
	return f
}

// applyRules fills in the verdicts: rule by rule, each over the entries that it matches.
func (f *Profile) applyRules(entries []*catalog.Entry) {
	for i := range f.verdicts {
		f.verdicts[i].use = byNone
	}
	if len(f.rules) == 0 {
		return
	}
	marks := make([]mark, len(entries))
	for i := range marks {
		marks[i].allowedBy, marks[i].deniedBy = byNone, byNone
	}
	facts := &facts{who: f.who}
	for _, r := range f.rules {
		f.index.each(&r.pattern, func(e *catalog.Entry) {
			if r.when != nil && !r.when.dynamic {
				facts.entry, facts.hints = e, f.policy.approved.of(e)
			}
			marks[e.Index()].apply(r, facts, e.Kind)
		})
	}
	f.second = make(map[int][]*rule)
	for i, e := range entries {
		v := marks[i].verdict(e.Kind)
		f.limitTemplate(e, &v)
		f.verdicts[i] = v
		if v.possible&^v.certain != 0 {
			f.second[i] = nil
		}
	}
	f.collectSecond()
}

// openDoors lets whoever may use a hidden tool use the tools that lead to it, unless a rule is about those. So an API is governed by the same
// rules whether its operations are listed or found by a search.
func (f *Profile) openDoors(entries []*catalog.Entry) {
	behind := make(map[string]verdict) // by upstream: that of the first hidden tool that may be used
	for i, e := range entries {
		if v := f.verdicts[i]; e.Hidden && v.possible.has(Call) {
			if _, seen := behind[e.Ref.Upstream]; !seen {
				behind[e.Ref.Upstream] = verdict{possible: v.possible, certain: v.possible, named: true, use: v.use}
			}
		}
	}
	if len(behind) == 0 {
		return
	}
	for i, e := range entries {
		if open, ok := behind[e.Ref.Upstream]; ok && e.IsDoor() && f.verdicts[i].use == byNone {
			f.verdicts[i] = open
		}
	}
}

// collectSecond remembers the rules about every entry that needs a request.
func (f *Profile) collectSecond() {
	if len(f.second) == 0 {
		return
	}
	for _, r := range f.rules {
		f.index.each(&r.pattern, func(e *catalog.Entry) {
			if rules, ok := f.second[e.Index()]; ok {
				f.second[e.Index()] = append(rules, r)
			}
		})
	}
}

// check asks Casbin about a sample of the entries: those that rules name in full, and others at equal distances. Where it does not agree the
// entry is withheld.
func (f *Profile) check(entries []*catalog.Entry) {
	p := f.policy
	if f.who == nil || len(entries) == 0 {
		return
	}
	n := min(max(checkedRows/max(len(p.rules), 1), leastChecks), mostChecks)
	left := n
	for _, r := range f.rules {
		if left <= n/2 {
			break
		}
		if r.pattern.plainName && r.pattern.plainUpstream {
			f.index.each(&r.pattern, func(e *catalog.Entry) {
				left--
				f.checkEntry(e)
			})
		}
	}
	step := max(1, len(entries)/max(left, 1))
	for i := 0; i < len(entries); i += step {
		f.checkEntry(entries[i])
	}
}

func (f *Profile) checkEntry(e *catalog.Entry) {
	p, use := f.policy, useOf(e.Kind)
	enforced, err := p.enforce(f.who, e, use, newFacts(e, p.approved.of(e), f.who, nil))
	if err == nil && enforced == f.verdicts[e.Index()].possible.has(use) {
		return
	}
	f.verdicts[e.Index()] = verdict{use: byCheck}
	p.differed.Add(1)
	p.log.Warn("policy: withheld: Casbin and the compiled rules differ", "entry", e.Ref.String(), "casbin", enforced, "error", err)
}

// enforce is Casbin's own answer. facts without a request ask for what might be allowed.
func (p *Policy) enforce(who *identity, e *catalog.Entry, a Action, f *facts) (bool, error) {
	if p.authority.own != nil {
		allowed, _, _, err := p.authority.ask(who, e.Ref, e.Kind, a, f)
		return allowed, err
	}
	return p.authority.enforce(who.subjects(), p.tenantOf(who), e, a, f)
}
