package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"

	"weir/catalog"
)

// builtIn is the Casbin model that the short form compiles to. who takes the caller with all subjects and roles, so that a deny for one of
// them wins over an allow for another.
const builtIn = `
[request_definition]
r = sub, dom, obj, act, ctx
[policy_definition]
p = id, sub, dom, obj, act, when, eft, reason, instead
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = who(r.sub, p.sub) && (p.dom == "*" || p.dom == r.dom) && among(r.act, p.act) && glob(r.obj, p.obj) && when(r.ctx, p.when, p.eft)
`

// authority is Casbin with one policy in it, read only: an Enforcer that is changed while it is asked races, and one that caches confuses
// requests.
type authority struct {
	text     string // of the model
	rows     [][]string
	enforcer *casbin.Enforcer
	// conditions of the when column by name.
	conditions map[string]*condition
	own        *ownModel // nil for the built-in model
}

// rowSource hands rows to Casbin. It cannot save.
type rowSource [][]string

func (s rowSource) LoadPolicy(m model.Model) error {
	for _, row := range s {
		if err := persist.LoadPolicyArray(row, m); err != nil {
			return err
		}
	}
	return nil
}

func (rowSource) SavePolicy(model.Model) error                              { return errReadOnly }
func (rowSource) AddPolicy(string, string, []string) error                  { return errReadOnly }
func (rowSource) RemovePolicy(string, string, []string) error               { return errReadOnly }
func (rowSource) RemoveFilteredPolicy(string, string, int, ...string) error { return errReadOnly }

var errReadOnly = fmt.Errorf("policy: rows are read only")

// question is one request to Casbin.
type question struct {
	held   map[string]bool // subjects and roles of the caller
	facts  *facts
	tenant string
}

// newAuthority loads rows into Casbin.
func newAuthority(text string, m model.Model, rows [][]string, conditions map[string]*condition) (*authority, error) {
	e, err := casbin.NewEnforcer(m, rowSource(rows))
	if err != nil {
		return nil, err
	}
	a := &authority{text: text, rows: rows, enforcer: e, conditions: conditions}
	e.AddFunction("who", func(args ...any) (any, error) {
		q, s, err := questionAnd(args)
		return err == nil && q.held[s], err
	})
	e.AddFunction("when", func(args ...any) (any, error) {
		q, when, err := questionAnd(args)
		if err != nil {
			return false, err
		}
		eft, _ := args[2].(string)
		return a.when(q, when, eft != "allow"), nil
	})
	e.AddFunction("among", func(args ...any) (any, error) {
		action, ok1 := args[0].(string)
		set, ok2 := args[1].(string)
		return ok1 && ok2 && (set == "*" || strings.Contains("|"+set+"|", "|"+action+"|")), nil
	})
	e.AddFunction("glob", func(args ...any) (any, error) {
		ref, ok1 := args[0].(string)
		pattern, ok2 := args[1].(string)
		return ok1 && ok2 && matchRef(ref, pattern), nil
	})
	return a, nil
}

func questionAnd(args []any) (*question, string, error) {
	if len(args) > 1 {
		q, ok1 := args[0].(*question)
		s, ok2 := args[1].(string)
		if ok1 && ok2 {
			return q, s, nil
		}
	}
	return nil, "", fmt.Errorf("policy: wrong arguments in the matcher")
}

// when evaluates the when column of a row.
func (a *authority) when(q *question, when string, deny bool) bool {
	if when == noCondition || when == "" {
		return true
	}
	name, unless := strings.CutPrefix(when, "!")
	c := a.conditions[name]
	if c == nil {
		return deny
	}
	applies, _ := conditionApplies(c, unless, deny, q.facts) // an error is an answer: see there
	return applies
}

// held asks Casbin's role manager for everything that subjects hold, and everyone holds.
func (a *authority) held(subjects []string, tenant string) (map[string]bool, error) {
	all := make(map[string]bool, len(subjects))
	if a.enforcer.GetModel()["g"]["g"] == nil { // a model of one's own without roles
		for _, s := range append(subjects, everyone) {
			all[s] = true
		}
		return all, nil
	}
	roles := a.enforcer.GetRoleManager()
	queue := append([]string{everyone}, subjects...)
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if all[s] {
			continue
		}
		all[s] = true
		for _, domain := range [...]string{everywhere, tenant} {
			if domain == "" {
				continue
			}
			more, err := roles.GetRoles(s, domain)
			if err != nil {
				return nil, err
			}
			queue = append(queue, more...)
		}
	}
	return all, nil
}

// enforce asks the built-in model. f without a request asks for what might be allowed.
func (a *authority) enforce(subjects []string, tenant string, entry *catalog.Entry, act Action, f *facts) (bool, error) {
	held, err := a.held(subjects, tenant)
	if err != nil {
		return false, err
	}
	q := &question{held: held, facts: f, tenant: tenant}
	return a.enforcer.Enforce(q, tenant, entry.Ref.String(), asked(act, entry.Kind).String(), q)
}

// CSV returns the rows of the policy in Casbin's file form, sealed (see [Seal]).
func (p *Policy) CSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.WriteAll(p.authority.rows) // a Buffer takes everything
	return Seal(b.Bytes())
}

// Model returns the Casbin model that CSV belongs to.
func (p *Policy) Model() string { return p.authority.text }

const sealPrefix = "# end "

// Seal appends the line that marks the end of a CSV: the count of its rows and the SHA-256 of all bytes before. A file that was cut off, or
// read while it was written, does not have it. An old seal is replaced.
func Seal(rows []byte) []byte {
	if at := bytes.LastIndex(rows, []byte("\n"+sealPrefix)); at >= 0 {
		rows = rows[:at+1]
	}
	if len(rows) > 0 && rows[len(rows)-1] != '\n' {
		rows = append(slices.Clip(rows), '\n')
	}
	sum := sha256.Sum256(rows)
	return fmt.Appendf(slices.Clip(rows), "%s%d %s\n", sealPrefix, countRows(rows), hex.EncodeToString(sum[:]))
}

func countRows(rows []byte) int {
	n := 0
	for line := range bytes.Lines(rows) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			n++
		}
	}
	return n
}

// checkSeal reports whether rows end in a seal, and an error when it is not theirs.
func checkSeal(rows []byte) (sealed bool, err error) {
	at := bytes.LastIndex(rows, []byte(sealPrefix))
	if at < 0 || at > 0 && rows[at-1] != '\n' {
		return false, nil
	}
	if !bytes.Equal(Seal(rows[:at]), rows) {
		return true, fmt.Errorf("the rows are not those that were sealed: the file was cut, or edited after it was sealed")
	}
	return true, nil
}
