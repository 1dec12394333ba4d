package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/rbac"

	"weir/catalog"
)

// ownModel is what is known of a person's own Casbin model.
type ownModel struct {
	tokens  []string // of the request definition, without r_
	columns []string // of the policy definition, without p_
	whole   bool     // the matcher takes the caller whole (who), not subject by subject
	timed   bool     // the matcher looks at conditions
	known   map[string]bool
	places  map[string]Place // by row
}

// requestFields are the names that a request definition may have.
const requestFields = "sub, dom, obj, act, ctx, kind, upstream, name"

// roleCall finds calls of Casbin's g functions in a matcher.
var roleCall = regexp.MustCompile(`\b(g[0-9]*)\(`)

// readOwn reads a model and rows that are not in the short form.
func (c *compiler) readOwn() {
	if c.spec.hasRules() {
		c.problem("", "model and rules take the place of roles, grants, deny and tenants; remove one or the other")
		return
	}
	if c.spec.Rules == "" && c.options.Store == nil {
		c.problem("model", "rules is missing: the file with the rows")
		return
	}
	text := builtIn
	if c.spec.Model != "" {
		b, err := c.options.ReadFile(c.path(c.spec.Model))
		if err != nil {
			c.problem("model", "%v", err)
			return
		}
		text = string(b)
	}
	m, err := model.NewModelFromString(text)
	if err != nil {
		c.problem("model", "%s: %v", c.spec.Model, err)
		return
	}
	own := &ownModel{known: make(map[string]bool), places: make(map[string]Place)}
	before := len(c.problems)
	c.checkModel(m, own, text)
	rows := c.readRows(text)
	if len(c.problems) > before {
		return
	}
	c.checkRows(m, own, rows)
	if len(c.problems) > before {
		return
	}
	c.load(m, own, text, rows)
}

// load hands model and rows to Casbin and, if the model is of a known form, compiles the rows.
func (c *compiler) load(m model.Model, own *ownModel, text string, rows []csvRow) {
	shape, ok := shapeOf(m, own)
	own.whole = strings.Contains(m["m"]["m"].Value, "who(r_sub")
	own.timed = strings.Contains(m["m"]["m"].Value, "when(r_ctx")
	m["m"]["m"].Value = roleCall.ReplaceAllString(m["m"]["m"].Value, "link_$1(")
	fields := make([][]string, len(rows))
	for i, row := range rows {
		fields[i] = row.fields
	}
	a, err := newAuthority(text, m, fields, c.conditions)
	if err != nil {
		c.problem("rules", "%v", err)
		return
	}
	a.own = own
	for key, g := range m["g"] {
		a.enforcer.AddFunction("link_"+key, linkFunction(g.RM, own.known))
	}
	c.p.authority = a
	c.p.compiled = ok
	if ok {
		c.compileRows(shape, own, rows)
		c.checkDepth()
	} else {
		c.checkLinks(rows)
		c.warn("model", "this model is not of a form that weir compiles: Casbin is asked about every entry, about %d µs each", 10+len(rows))
	}
}

// linkFunction is g without its memory, which would grow with every caller that Casbin has not seen, and without asking about names that
// are in no row.
func linkFunction(roles rbac.RoleManager, known map[string]bool) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		names := make([]string, len(args))
		for i, a := range args {
			s, ok := a.(string)
			if !ok {
				return false, fmt.Errorf("policy: g takes texts")
			}
			names[i] = s
		}
		if len(names) < 2 {
			return false, fmt.Errorf("policy: g takes two or three texts")
		}
		if names[0] == names[1] {
			return true, nil
		}
		if roles == nil || !known[names[0]] || !known[names[1]] {
			return false, nil
		}
		return roles.HasLink(names[0], names[1], names[2:]...)
	}
}

// checkModel reports what a model must not have.
func (c *compiler) checkModel(m model.Model, own *ownModel, text string) {
	problem := func(format string, args ...any) { c.problem("model", format, args...) }
	for _, section := range [...]string{"r", "p", "e", "m"} {
		if len(m[section]) != 1 || m[section][section] == nil {
			problem("one definition of %s is needed, and no %s2", section, section)
			return
		}
	}
	own.tokens, own.columns = bareTokens(m["r"]["r"].Tokens), bareTokens(m["p"]["p"].Tokens)
	for _, t := range own.tokens {
		if !slices.Contains(strings.Split(requestFields, ", "), t) {
			problem("the request has %q; weir knows %s", t, requestFields)
		}
	}
	switch effect := m["e"]["e"].Value; effect {
	case constant.AllowOverrideEffect, constant.AllowAndDenyEffect, constant.PriorityEffect:
	case constant.DenyOverrideEffect:
		problem("the effect allows what no row names; add some(where (p.eft == allow))")
	default:
		problem("the effect %q is not supported", effect)
	}
	matcher := m["m"]["m"].Value
	if regexp.MustCompile(`\beval\(`).MatchString(matcher) {
		problem("eval is not supported: one broken condition makes an error of every decision; use conditions and when(r.ctx, p.when, p.eft)")
	}
	for _, literal := range regexp.MustCompile(`"[^"]*"|'[^']*'`).FindAllString(text, -1) {
		if regexp.MustCompile(`\b[rp]\d*\.`).MatchString(literal) {
			problem("the text %s holds r. or p., which Casbin changes", literal)
		}
	}
	if !strings.Contains(matcher, "r_sub") {
		problem("the matcher does not look at r.sub: it allows or denies whoever calls")
	}
}

func bareTokens(tokens []string) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		_, out[i], _ = strings.Cut(t, "_")
	}
	return out
}

// ask puts one question to a model of one's own. A caller is asked about subject by subject: a row that denies one of them wins over rows
// that allow others. denied says that a row denied, as opposed to none allowing; row is the one that decided.
func (a *authority) ask(who *identity, ref catalog.Ref, kind catalog.Kind, act Action, f *facts) (allowed, denied bool, row []string, err error) {
	subjects := who.subjects()
	q := &question{facts: f, tenant: who.tenant}
	if a.own.whole {
		if q.held, err = a.held(subjects, who.tenant); err != nil {
			return false, false, nil, err
		}
		subjects = subjects[:1]
	}
	for i, s := range subjects {
		if i > 0 && !a.own.known[s] {
			continue
		}
		values := make([]any, len(a.own.tokens))
		for t, token := range a.own.tokens {
			values[t] = a.value(token, s, q, ref, kind, asked(act, kind))
		}
		ok, explained, err := a.enforcer.EnforceEx(values...)
		switch {
		case err != nil:
			return false, true, nil, err
		case ok && !allowed:
			allowed, row = true, explained
		case !ok && len(explained) > 0:
			return false, true, explained, nil
		}
	}
	return allowed, false, row, nil
}

// value is one value of a request.
func (a *authority) value(token, subject string, q *question, ref catalog.Ref, kind catalog.Kind, act Action) any {
	switch token {
	case "sub":
		if a.own.whole {
			return q
		}
		return subject
	case "dom":
		return q.tenant
	case "obj":
		return ref.String()
	case "act":
		return act.String()
	case "kind":
		return kind.String()
	case "upstream":
		return ref.Upstream
	case "name":
		return ref.Name
	default:
		return q
	}
}

// askOwn is the verdict of a model that is not compiled.
func (f *Profile) askOwn(entry *catalog.Entry) verdict {
	v := verdict{use: byOwn}
	if f.who == nil || entry.Index() < 0 && !normal(entry.Ref.Name) {
		return v
	}
	facts := newFacts(entry, f.policy.approved.of(entry), f.who, nil)
	for _, a := range actionsOn(entry.Kind) {
		allowed, _, _, err := f.policy.authority.ask(f.who, entry.Ref, entry.Kind, a, facts)
		if err == nil && allowed {
			v.possible |= 1 << a
		}
	}
	v.named = v.possible.has(useOf(entry.Kind))
	if !f.policy.authority.own.timed && entry.Kind != catalog.Template {
		v.certain = v.possible
	}
	return v
}

// actionsOn lists what can be done with entries of a kind.
func actionsOn(k catalog.Kind) []Action {
	switch k {
	case catalog.Tool:
		return []Action{Call}
	case catalog.Prompt:
		return []Action{Get, Complete}
	case catalog.Resource:
		return []Action{Read, Subscribe}
	default:
		return []Action{Read, Subscribe, Complete}
	}
}

// judgeOwn asks a model that is not compiled about one request.
func (f *Profile) judgeOwn(a Action, entry *catalog.Entry, target catalog.Ref, facts *facts, j *judgement) {
	if facts.who == nil {
		return
	}
	allowed, denied, row, err := f.policy.authority.ask(facts.who, entry.Ref, entry.Kind, a, facts)
	if err == nil && allowed && target.Name != "" {
		var targetRow []string
		_, denied, targetRow, err = f.policy.authority.ask(facts.who, target, catalog.Resource, a, facts)
		if denied {
			row = targetRow
		}
	}
	r := f.policy.authority.own.ruleOf(row)
	switch {
	case err != nil || denied:
		j.deny, j.denyErr = r, err
	case allowed:
		j.allow = r
	}
}

// ruleOf names a row.
func (o *ownModel) ruleOf(row []string) *rule {
	r := &rule{id: "model"}
	if len(row) == 0 {
		return r
	}
	r.place = o.places[joinParts(row)]
	r.id = r.place.String()
	if i := slices.Index(o.columns, "id"); i >= 0 && i < len(row) && row[i] != "" {
		r.id = row[i]
	}
	return r
}
