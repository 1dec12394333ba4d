package policy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weir/catalog"
)

// oracle decides by reading a Spec as a person would: no rows, no indexes, no bits, no Casbin. It knows the words of randomSpec only.
type oracle struct {
	spec *Spec
}

// conditions by name, as the Spec has them in CEL and here in Go; the second value says that they look at the request.
var oracleConditions = map[string]struct {
	source  string
	dynamic bool
	holds   func(e *catalog.Entry, amount int, groups []string) bool
}{
	"small": {"args.amount < 10", true, func(_ *catalog.Entry, amount int, _ []string) bool { return amount < 10 }},
	"tools": {`tool.kind == "tool"`, false, func(e *catalog.Entry, _ int, _ []string) bool { return e.Kind == catalog.Tool }},
	"staff": {`"staff" in user.groups`, false, func(_ *catalog.Entry, _ int, g []string) bool { return slices.Contains(g, "group:staff") }},
	"likely": {"args.amount < 10 && 'staff' in user.groups", true, func(_ *catalog.Entry, amount int, g []string) bool {
		return amount < 10 && slices.Contains(g, "group:staff")
	}},
}

// verdicts of the oracle for one question; amount < 0 stands for no request.
func (o *oracle) allowed(subjects []string, tenant string, e *catalog.Entry, a Action, amount int) bool {
	held := o.held(subjects, tenant)
	granted := false
	o.eachRule(tenant, func(subject, words, match, when string, actions []string, deny bool) {
		if !held[subject] && subject != "*" || !oracleMatch(match, e.Ref) || !oracleActs(actions, words, a, deny) {
			return
		}
		if when != "" {
			name, not := strings.CutPrefix(when, "!")
			c := oracleConditions[name]
			if c.dynamic && amount < 0 {
				if deny {
					return
				}
			} else if c.holds(e, amount, subjects) == not {
				return
			}
		}
		if deny {
			granted = false
			panic(denied{})
		}
		granted = true
	})
	return granted
}

type denied struct{}

// ask is allowed for denials, which end the search.
func (o *oracle) ask(subjects []string, tenant string, e *catalog.Entry, a Action, amount int) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			if _, is := v.(denied); !is {
				panic(v)
			}
			ok = false
		}
	}()
	return o.allowed(subjects, tenant, e, a, amount)
}

// held walks the roles until nothing new is found.
func (o *oracle) held(subjects []string, tenant string) map[string]bool {
	held := map[string]bool{"*": true}
	for _, s := range subjects {
		held[s] = true
	}
	for again := true; again; {
		again = false
		add := func(roles, grants map[string][]string) {
			for holder, entries := range grants {
				for _, entry := range entries {
					if held[holder] && isRoleName(entry) && !held["role:"+entry] {
						held["role:"+entry], again = true, true
					}
				}
			}
			for role, entries := range roles {
				for _, entry := range entries {
					if held["role:"+role] && isRoleName(entry) && !held["role:"+entry] {
						held["role:"+entry], again = true, true
					}
				}
			}
		}
		add(o.spec.Roles, o.spec.Grants)
		add(o.spec.Tenants[tenant].Roles, o.spec.Tenants[tenant].Grants)
	}
	return held
}

// eachRule calls f for every rule that is known in a tenant, those that deny first.
func (o *oracle) eachRule(tenant string, f func(subject, words, match, when string, actions []string, deny bool)) {
	t := o.spec.Tenants[tenant]
	for _, d := range slices.Concat(o.spec.Deny, t.Deny) {
		subjects := d.For
		if len(subjects) == 0 {
			subjects = []string{"*"}
		}
		for _, s := range subjects {
			f(s, "", d.Match, d.When, d.Actions, true)
		}
	}
	entries := func(subject string, list []string) {
		for _, entry := range list {
			if isRoleName(entry) {
				continue
			}
			entry, when, _ := strings.Cut(entry, " when ")
			words, match, ok := strings.Cut(entry, " ")
			if !ok {
				words, match = "", words
			}
			f(subject, words, match, when, nil, false)
		}
	}
	for _, scope := range []Tenant{{Roles: o.spec.Roles, Grants: o.spec.Grants}, t} {
		for role, list := range scope.Roles {
			entries("role:"+role, list)
		}
		for subject, list := range scope.Grants {
			entries(subject, list)
		}
	}
}

func oracleActs(list []string, words string, a Action, deny bool) bool {
	if words != "" {
		list = strings.Split(words, ",")
	}
	return len(list) == 0 || slices.Contains(list, a.String()) || deny && slices.Contains(list, "list")
}

var oraclePatterns = make(map[string]*regexp.Regexp)

// oracleMatch says what the documentation of patterns says, by regular expressions.
func oracleMatch(pattern string, ref catalog.Ref) bool {
	if pattern == "*" {
		return true
	}
	upstream, name, _ := strings.Cut(pattern, "/")
	inName := `.*`
	if isURI(ref.Name) && name != "*" && name != "**" {
		inName = `[^/]*`
	}
	key := upstream + "\x00" + name + "\x00" + inName
	re := oraclePatterns[key]
	if re == nil {
		quote := func(s, star string) string {
			s = strings.ReplaceAll(regexp.QuoteMeta(s), `\*\*`, "\x00")
			return strings.ReplaceAll(strings.ReplaceAll(s, `\*`, star), "\x00", `.*`)
		}
		re = regexp.MustCompile(`(?s)\A` + quote(upstream, `[^/]*`) + "/" + quote(name, inName) + `\z`)
		oraclePatterns[key] = re
	}
	return re.MatchString(ref.String())
}

// randomSpec makes a policy of few words, so that they meet.
func randomSpec(r *rand.Rand) Spec {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	match := func() string {
		return pick("*", "a/*", "b/*", "*/get_*", "*/delete_*", "a/get_x", "b/file:///d/*", "b/file:///**", "*/*x", "b/**", "a/p", "c/*", "b/*")
	}
	when := func() string {
		if r.IntN(3) > 0 {
			return ""
		}
		return pick("", "!") + pick("small", "tools", "staff", "likely")
	}
	entry := func(roles ...string) string {
		if len(roles) > 0 && r.IntN(3) == 0 {
			return pick(roles...)
		}
		e := match()
		if r.IntN(4) == 0 {
			e = pick("call", "get,complete", "read", "call,read,subscribe", "list,call", "get") + " " + e
		}
		if w := when(); w != "" {
			e += " when " + w
		}
		return e
	}
	scope := func(names, others []string) Tenant {
		t := Tenant{Roles: make(map[string][]string), Grants: make(map[string][]string)}
		for i, name := range names {
			for range 1 + r.IntN(3) {
				t.Roles[name] = append(t.Roles[name], entry(slices.Concat(others, names[:i])...))
			}
		}
		for range r.IntN(5) {
			who := pick("user:u1", "user:u2", "group:g1", "group:staff", "client:c", "scope:s", "*", "role:r1")
			t.Grants[who] = append(t.Grants[who], entry(names...))
			if who == "role:r1" {
				t.Grants[who] = []string{match()}
			}
		}
		for range r.IntN(4) {
			d := Deny{Match: match(), When: when(), Reason: pick("", "because")}
			if r.IntN(2) == 0 {
				d.For = append(d.For, pick("user:u1", "group:g1", "group:staff", "role:r1", "role:t1", "*"), "scope:s")
			}
			if r.IntN(3) == 0 {
				d.Actions = []string{pick("call", "get", "read", "list", "complete", "subscribe")}
			}
			t.Deny = append(t.Deny, d)
		}
		return t
	}
	top := scope([]string{"r1", "r2", "r3"}, nil)
	s := Spec{Roles: top.Roles, Grants: top.Grants, Deny: top.Deny, AllowEmpty: true, Conditions: make(map[string]string)}
	for name, c := range oracleConditions {
		s.Conditions[name] = c.source
	}
	if r.IntN(2) == 0 {
		s.Tenants = map[string]Tenant{"t": scope([]string{"t1", "t2"}, []string{"r1", "r2"})}
	}
	return s
}

func randomSnapshot() *catalog.Snapshot {
	const all = `{"tools":{},"prompts":{},"resources":{}}`
	tool := func(name string) []byte { return fmt.Appendf(nil, `{"name":%q,"inputSchema":{"type":"object"}}`, name) }
	return catalog.Build([]*catalog.Source{
		{Upstream: "a", Capabilities: []byte(all), Tools: [][]byte{tool("get_x"), tool("delete_x"), tool("put")}, Prompts: [][]byte{[]byte(`{"name":"p"}`)}},
		{
			Upstream: "b", Capabilities: []byte(all), Tools: [][]byte{tool("get_y"), tool("x")},
			Resources: [][]byte{[]byte(`{"name":"1","uri":"file:///d/x"}`), []byte(`{"name":"2","uri":"file:///d/e/get_x"}`)},
			Templates: [][]byte{[]byte(`{"name":"t","uriTemplate":"db:///{id}"}`)},
		},
	}, catalog.Options{Naming: catalog.Prefix})
}

// TestR2_R3_ListedIsCallable compares, over random policies, what is listed, what is decided, what the oracle says and what Casbin enforces.
func TestR2_R3_ListedIsCallable(t *testing.T) {
	const policies = 1200
	s := randomSnapshot()
	x := newIndex(s)
	callers := [][]string{
		{"user:u1"},
		{"user:u2", "group:g1"},
		{"user:u3", "group:staff", "client:c"},
		{"client:c", "scope:s"},
		{"user:u1", "in t"},
		{"user:u2", "group:staff", "in t"},
		{"role:r1"},
		{"user:role:r1"},
		{"user:u9", "in nowhere"},
	}
	questions, allowed := 0, 0
	for seed := range uint64(policies) {
		spec := randomSpec(rand.New(rand.NewPCG(seed, 7)))
		p, err := Compile(spec, Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i, names := range callers {
			if (i+int(seed))%2 == 0 {
				continue
			}
			c := &caseOf{t: t, seed: seed, p: p, o: &oracle{&spec}, who: who(t, names...), x: x}
			c.n = c.who.identity()
			_, held := p.roleKey(c.n)
			c.f = p.newProfile(x, c.n, held)
			for _, e := range s.Entries() {
				questions++
				if c.compare(e) {
					allowed++
				}
			}
			c.lists()
		}
		if p.Differed() > 0 {
			t.Fatalf("seed %d: Casbin differed", seed)
		}
	}
	t.Logf("%d policies, %d callers × entries, %d allowed", policies, questions, allowed)
	if allowed < questions/20 || allowed > questions*19/20 {
		t.Errorf("%d of %d allowed: the policies decide nothing", allowed, questions)
	}
}

// caseOf is one caller of one random policy.
type caseOf struct {
	t    *testing.T
	seed uint64
	p    *Policy
	o    *oracle
	f    *Profile
	who  Principal
	n    *identity
	x    *index
}

func (c *caseOf) fail(e *catalog.Entry, format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("seed %d: %v in %q, %s: %s", c.seed, c.n.subjects(), c.n.tenant, e.Ref, fmt.Sprintf(format, args...))
}

// compare asks everyone everything about one entry. It returns whether the entry is listed.
func (c *caseOf) compare(e *catalog.Entry) bool {
	use := useOf(e.Kind)
	subjects := c.n.subjects()
	listed := c.f.View.Visible(e)
	if d := c.f.Decide(List, e); d.Allowed != listed {
		c.fail(e, "listed %v, decided %+v", listed, d)
	}
	if want := c.o.ask(subjects, c.n.tenant, e, use, -1); listed != want {
		c.fail(e, "listed %v, oracle %v", listed, want)
	}
	for _, a := range []Action{Call, Get, Read, Complete, Subscribe} {
		possible := c.o.ask(subjects, c.n.tenant, e, a, -1)
		casbin := a == use || int(a) == int(c.seed+uint64(e.Index()))%int(numActions) // of the others, one: Casbin takes its time
		if casbin {
			if got, err := c.p.enforce(c.n, e, a, newFacts(e, c.p.approved.of(e), c.n, nil)); err != nil || got != possible {
				c.fail(e, "%s: Casbin says %v (%v), oracle %v", a, got, err, possible)
			}
		}
		sure := 0
		for _, amount := range []int{5, 50} {
			r := &Request{Principal: c.who, Arguments: fmt.Appendf(nil, `{"amount":%d}`, amount)}
			want := c.o.ask(subjects, c.n.tenant, e, a, amount) && c.o.ask(subjects, c.n.tenant, e, use, -1)
			if e.Kind == catalog.Template && (a == Read || a == Subscribe) {
				r.Target = "db:///1"
				want = want && c.o.ask(subjects, c.n.tenant, e, a, amount)
			}
			d := c.f.DecideWith(a, e, r)
			if d.Allowed != want && r.Target == "" {
				c.fail(e, "%s with %d: %+v, oracle %v", a, amount, d, want)
			}
			if d.Allowed && !listed {
				c.fail(e, "%s with %d: allowed and not listed", a, amount)
			}
			if want {
				sure++
			}
			if !casbin || r.Target != "" {
				continue
			}
			enforced, err := c.p.enforce(c.n, e, a, newFacts(e, c.p.approved.of(e), c.n, r))
			if err != nil || (enforced && listed) != want {
				c.fail(e, "%s with %d: Casbin says %v (%v), oracle %v", a, amount, enforced, err, want)
			}
		}
		if d := c.f.Decide(a, e); d.Allowed && sure != 2 {
			c.fail(e, "%s: allowed for every request, and %d of 2 are", a, sure)
		}
	}
	return listed
}

// lists compares the rendered lists of both eras with what is visible.
func (c *caseOf) lists() {
	for _, era := range []catalog.Era{catalog.Legacy, catalog.Modern} {
		for _, kind := range []catalog.Kind{catalog.Tool, catalog.Prompt, catalog.Resource, catalog.Template} {
			page, err := c.f.View.List(kind, era, "")
			if err != nil {
				c.t.Fatal(err)
			}
			for _, e := range c.x.snapshot.Entries() {
				if in := bytes.Contains(page.Items, e.Raw(era)); e.Kind == kind && in != c.f.Decide(List, e).Allowed {
					c.fail(e, "in the %s list: %v", era, in)
				}
			}
		}
	}
}
