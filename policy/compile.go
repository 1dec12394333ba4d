package policy

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"github.com/casbin/casbin/v2/model"
)

// maxDepth is how many roles may stand between a subject and a rule. Casbin silently stops at ten.
const maxDepth = 8

// Options are what a policy is compiled with, besides its Spec.
type Options struct {
	// Dir is the folder that Model and Rules are relative to.
	Dir string
	// ReadFile reads them; nil is os.ReadFile.
	ReadFile func(path string) ([]byte, error)
	// Store has the rows in place of the Rules file; see [Store].
	Store Store
	// Issuer is the one that names of users without an issuer belong to; "" when none or several are trusted. A name |NAME is then weir's
	// own user.
	Issuer string
	// Source is the text that the Spec was read from. A source that is the beginning of Previous' was cut off and is refused.
	Source []byte
	// Previous is the policy that the new one will replace, nil at start.
	Previous *Policy
	// Untested leaves the policy's own tests out; without it a failing test is a problem.
	Untested bool
	// Log takes what is found out later: an entry that is withheld because Casbin disagrees. nil for none.
	Log *slog.Logger
}

// Compile checks a policy and makes it ready. The error is a Problems with everything that is wrong; there is no half of a policy.
func Compile(spec Spec, o Options) (*Policy, error) {
	c := &compiler{spec: &spec, options: o, conditions: make(map[string]*condition), presets: make(map[string]bool)}
	if o.Log == nil {
		c.options.Log = slog.New(slog.DiscardHandler)
	}
	if o.ReadFile == nil {
		c.options.ReadFile = os.ReadFile
	}
	c.p = &Policy{
		links: make(links), tenants: make(map[string]bool), compiled: true, issuer: o.Issuer,
		source: o.Source, log: c.options.Log, tests: spec.Tests,
	}
	if spec.IsZero() && o.Store == nil {
		c.standIn()
	} else {
		c.read()
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	if !o.Untested {
		c.runTests()
	}
	c.lintRules()
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	c.p.warnings = c.warnings
	return c.p, nil
}

// compiler is the state of one Compile. It collects what is wrong and goes on.
type compiler struct {
	spec     *Spec
	options  Options
	p        *Policy
	problems Problems
	warnings Problems

	env        *cel.Env // nil until there is a condition
	conditions map[string]*condition
	presets    map[string]bool // those whose rules are there
	used       map[string]bool // roles and conditions that something refers to
}

func (c *compiler) problem(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Place: c.place(path), Msg: fmt.Sprintf(format, args...)})
}

func (c *compiler) warn(path, format string, args ...any) {
	c.warnings = append(c.warnings, Problem{Path: path, Place: c.place(path), Msg: fmt.Sprintf(format, args...)})
}

func (c *compiler) place(path string) Place {
	if c.spec.Place == nil {
		return Place{}
	}
	return c.spec.Place(path)
}

// standIn is the policy that stands when none is configured.
func (c *compiler) standIn() {
	if old := c.options.Previous; old != nil && !old.isDefault {
		c.problem("", "the policy is gone; to run without one, restart weir")
		return
	}
	c.p.isDefault = true
	c.add(&rule{id: "no policy", subject: userType + localUser, tenant: everywhere, pattern: mustAll(), actions: allActions})
}

func mustAll() pattern {
	p := newPattern("*", "*")
	p.text = "*"
	return p
}

// read takes the Spec apart.
func (c *compiler) read() {
	c.used = make(map[string]bool)
	c.checkSuccession()
	c.readConditions()
	c.p.approved = c.readAnnotations(c.spec.Annotations)
	if c.spec.Model != "" || c.spec.Rules != "" || c.options.Store != nil {
		c.readOwn()
		return
	}
	c.readScope("", c.spec.Roles, c.spec.Grants, c.spec.Deny)
	for _, name := range slices.Sorted(maps.Keys(c.spec.Tenants)) {
		t, path := c.spec.Tenants[name], "tenants."+name
		if err := checkName(name); err != nil || name == everywhere {
			c.problem(path, "%q cannot name a tenant", name)
			continue
		}
		c.p.tenants[name] = true
		for role := range t.Roles {
			if _, taken := c.spec.Roles[role]; taken {
				c.problem(path+".roles."+role, "the role %q is known everywhere; give the tenant's another name", role)
			}
		}
		c.readScope(name, t.Roles, t.Grants, t.Deny)
	}
	c.checkDepth()
	c.checkUse()
	if !c.allowsAny() && !c.spec.AllowEmpty && len(c.problems) == 0 {
		c.problem("", "no rule allows anything; write allowEmpty: true if that is meant")
	}
}

// checkSuccession refuses a source that looks like its predecessor cut off.
func (c *compiler) checkSuccession() {
	if old := c.options.Previous; old != nil && cutOff(old.source, c.options.Source) {
		c.problem("", "the file is the beginning of the one before, and nothing else: it looks cut off; restart weir if that is meant")
	}
}

// cutOff reports whether next is the beginning of old.
func cutOff(old, next []byte) bool {
	return len(next) < len(old) && len(next) > 0 && string(old[:len(next)]) == string(next) &&
		strings.TrimSpace(string(old[len(next):])) != ""
}

func (c *compiler) allowsAny() bool {
	return slices.ContainsFunc(c.p.rules, func(r *rule) bool { return !r.deny })
}

// readConditions compiles the conditions of the Spec.
func (c *compiler) readConditions() {
	for _, name := range slices.Sorted(maps.Keys(c.spec.Conditions)) {
		path := "conditions." + name
		if !isRoleName(name) || strings.Contains(name, ":") {
			c.problem(path, "%q cannot name a condition; use letters, digits, -, _ and .", name)
			continue
		}
		c.addCondition(path, name, c.spec.Conditions[name])
	}
}

func (c *compiler) addCondition(path, name, source string) {
	if c.env == nil {
		env, err := newConditions()
		if err != nil {
			c.problem(path, "%v", err)
			return
		}
		c.env = env
	}
	cond, err := compileCondition(c.env, name, source)
	if err != nil {
		c.problem(path, "%v", err)
		return
	}
	cond.place = c.place(path)
	c.conditions[name] = cond
}

// condition finds the condition of a rule; text may begin with an exclamation mark.
func (c *compiler) condition(path, text string) (cond *condition, unless bool) {
	if text == "" {
		return nil, false
	}
	name, unless := strings.CutPrefix(text, "!")
	c.used["when "+name] = true
	cond = c.conditions[name]
	if cond == nil {
		if _, there := c.spec.Conditions[name]; !there {
			c.problem(path, "unknown condition %q; conditions are %s", name, orNone(slices.Sorted(maps.Keys(c.spec.Conditions))))
		}
	}
	return cond, unless
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}

// add enters a rule.
func (c *compiler) add(r *rule) {
	r.index = int32(len(c.p.rules))
	c.p.rules = append(c.p.rules, r)
}

// finish indexes the rules and loads them into Casbin.
func (c *compiler) finish() error {
	p := c.p
	p.bySubject, p.personal = make(map[string][]*rule), make(map[string]bool)
	for _, r := range p.rules {
		p.bySubject[r.subject] = append(p.bySubject[r.subject], r)
		if r.when != nil && r.when.personal && !r.when.dynamic {
			p.personal[r.subject] = true
		}
	}
	if p.authority != nil {
		return nil
	}
	rows := make([][]string, 0, len(p.rules))
	for _, r := range p.rules {
		rows = append(rows, r.row())
	}
	for _, tenant := range slices.Sorted(maps.Keys(p.links)) {
		for _, subject := range slices.Sorted(maps.Keys(p.links[tenant])) {
			for _, role := range p.links[tenant][subject] {
				rows = append(rows, []string{"g", subject, role, tenant})
			}
		}
	}
	m, err := model.NewModelFromString(builtIn)
	if err != nil {
		return Problems{{Msg: err.Error()}}
	}
	p.authority, err = newAuthority(builtIn, m, rows, c.conditions)
	if err != nil {
		return Problems{{Msg: err.Error()}}
	}
	return nil
}

// path joins a file's name to the folder of the configuration.
func (c *compiler) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.options.Dir, name)
}
