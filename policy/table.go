package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"weir/catalog"
)

// Result is how one of the policy's own tests went.
type Result struct {
	Path     string // "tests[3]"
	Place    Place
	Question string // "group:eng call github/delete_repo"
	Want     string
	Decision Decision
	Fault    string // why it failed, "" when it passed
}

// Report is the outcome of a policy's own tests.
type Report struct {
	Results []Result
	// Unhit are the rules that decided none of them.
	Unhit []Rule
	// Rules is how many rules there are.
	Rules int
}

// Rule names a rule for people.
type Rule struct {
	ID    string
	Place Place
	Text  string // "deny * github/delete_* for everyone"
}

// Failed counts the tests that failed.
func (r *Report) Failed() int {
	n := 0
	for _, result := range r.Results {
		if result.Fault != "" {
			n++
		}
	}
	return n
}

// Test runs the policy's own tests. Entries are those of s where it has them, which may be nil.
func (p *Policy) Test(s *catalog.Snapshot, place func(path string) Place) *Report {
	r := &Report{}
	if s == nil {
		s = catalog.Build(nil, catalog.Options{})
	}
	x := newIndex(s)
	hit := make(map[string]bool)
	for i := range p.tests {
		result := p.runTest(x, &p.tests[i])
		result.Path = fmt.Sprintf("tests[%d]", i)
		if place != nil {
			result.Place = place(result.Path)
		}
		hit[result.Decision.Rule] = true
		r.Results = append(r.Results, result)
	}
	seen := make(map[string]bool)
	for _, rule := range p.rules {
		if seen[rule.id] {
			continue
		}
		seen[rule.id] = true
		r.Rules++
		if !hit[rule.id] {
			r.Unhit = append(r.Unhit, rule.public())
		}
	}
	return r
}

func (r *rule) public() Rule { return Rule{ID: r.id, Place: r.place, Text: r.text()} }

// text is the rule in one line.
func (r *rule) text() string {
	verb := "allow"
	if r.deny {
		verb = "deny"
	}
	acts := r.actions.String()
	if r.actions == allActions {
		acts = "everything on"
	}
	text := fmt.Sprintf("%s %s %s for %s", verb, acts, r.pattern.text, r.subject)
	if r.subject == everyone {
		text = strings.TrimSuffix(text, "*") + "everyone"
	}
	if r.tenant != everywhere {
		text += " in " + r.tenant
	}
	if r.when != nil {
		text += " when " + r.whenText()
	}
	return text
}

func (p *Policy) runTest(x *index, t *Test) (result Result) {
	a, ref, err := t.question()
	result.Want = t.Want
	result.Question = strings.Join(append([]string{t.As}, t.With...), "+") + " " + a.String() + " " + ref
	if err == nil && t.Want != "allow" && t.Want != "deny" {
		err = fmt.Errorf("want is %q; write allow or deny", t.Want)
	}
	var who Principal
	if err == nil {
		who, err = p.Suppose(append([]string{t.As}, t.With...), t.Tenant, []byte(t.Attributes))
	}
	var entry *catalog.Entry
	if err == nil {
		entry, err = Find(x.snapshot, a, ref)
	}
	var request *Request
	if err == nil {
		request, err = t.request(who)
	}
	if err != nil {
		result.Fault = err.Error()
		return result
	}
	n := who.identity()
	_, held := p.roleKey(n)
	f := p.newProfile(x, n, held)
	d := f.DecideWith(a, entry, request)
	result.Decision = d
	switch {
	case d.Allowed != (t.Want == "allow"):
		result.Fault = fmt.Sprintf("want %s, got %s", t.Want, d.brief())
	case t.Rule != "" && t.Rule != d.Rule:
		result.Fault = fmt.Sprintf("want it decided by %s, got %s", t.Rule, d.brief())
	}
	return result
}

// brief is a decision in a few words: "deny by deny[0] (weir.yaml:12)".
func (d Decision) brief() string {
	text := "deny by "
	if d.Allowed {
		text = "allow by "
	}
	text += d.Rule
	if at := d.Place.String(); at != "" {
		text += " (" + at + ")"
	}
	if d.Err != nil {
		text += ": " + d.Err.Error()
	}
	return text
}

// question finds the one action and Ref of a test.
func (t *Test) question() (a Action, ref string, err error) {
	n := 0
	for action, text := range [numActions]string{List: t.List, Call: t.Call, Get: t.Get, Read: t.Read, Complete: t.Complete, Subscribe: t.Subscribe} {
		if text != "" {
			a, ref = Action(action), text
			n++
		}
	}
	if n != 1 {
		return a, ref, errors.New("one of list, call, get, read, complete and subscribe is needed")
	}
	return a, ref, nil
}

func (t *Test) request(who Principal) (r *Request, err error) {
	r = &Request{Principal: who, Arguments: []byte(t.Args)}
	if t.At != "" {
		if r.Time, err = time.Parse(time.RFC3339, t.At); err != nil {
			return nil, fmt.Errorf("at: %q is not a time such as 2026-07-28T09:30:00Z", t.At)
		}
	}
	if t.From != "" {
		if r.Address, err = netip.ParseAddr(t.From); err != nil {
			return nil, fmt.Errorf("from: %q is not an address", t.From)
		}
	}
	return r, nil
}

// runTests makes a problem of every test that fails.
func (c *compiler) runTests() {
	if len(c.p.tests) == 0 {
		return
	}
	for _, r := range c.p.Test(nil, nil).Results {
		if r.Fault != "" {
			c.problem(r.Path, "%s: %s", r.Question, r.Fault)
		}
	}
}
