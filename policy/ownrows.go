package policy

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"
)

// maxRules bounds a file of rows, in bytes.
const maxRules = 64 << 20

// Store keeps the rows of a policy somewhere else than in a file.
type Store interface {
	// Rows returns all rows, each with its type first: {"p", …}, {"g", …}. model is the text of the Casbin model they are for.
	Rows(model string) ([][]string, error)
}

// adapterStore is a Casbin adapter as a Store.
type adapterStore struct{ adapter persist.Adapter }

// FromAdapter makes a Store of any of Casbin's adapters. Only LoadPolicy is used.
func FromAdapter(a persist.Adapter) Store { return adapterStore{a} }

func (s adapterStore) Rows(text string) ([][]string, error) {
	m, err := model.NewModelFromString(text)
	if err != nil {
		return nil, err
	}
	if err := s.adapter.LoadPolicy(m); err != nil {
		return nil, err
	}
	var rows [][]string
	for _, section := range [...]string{"p", "g"} {
		for key, a := range m[section] {
			for _, fields := range a.Policy {
				rows = append(rows, append([]string{key}, fields...))
			}
		}
	}
	return rows, nil
}

// csvRow is one row and where it stands.
type csvRow struct {
	fields []string
	place  Place
}

// readRows reads the rows of the file, or of the store.
func (c *compiler) readRows(text string) []csvRow {
	if c.options.Store != nil {
		lists, err := c.options.Store.Rows(text)
		if err != nil {
			c.problem("rules", "%v", err)
			return nil
		}
		rows := make([]csvRow, len(lists))
		for i, fields := range lists {
			rows[i] = csvRow{fields: fields, place: Place{File: "row", Line: i + 1}}
		}
		return rows
	}
	data, err := c.options.ReadFile(c.path(c.spec.Rules))
	if err != nil {
		c.problem("rules", "%v", err)
		return nil
	}
	c.p.rulesFile = data
	sealed, err := checkSeal(data)
	switch old := c.options.Previous; {
	case err != nil:
		c.problem("rules", "%s: %v", c.spec.Rules, err)
		return nil
	case old != nil && cutOff(old.rulesFile, data):
		c.problem("rules", "%s is the beginning of the file before, and nothing else: it looks cut off; seal it, or restart weir, if that is meant", c.spec.Rules)
		return nil
	case old != nil && !sealed && hasSeal(old.rulesFile):
		c.problem("rules", "%s was sealed before and is not now: it looks cut off", c.spec.Rules)
		return nil
	case !sealed:
		c.warn("rules", "%s has no seal in its last line: a file that was cut off cannot be told from a whole one", c.spec.Rules)
	}
	rows, err := parseCSV(c.spec.Rules, data)
	if err != nil {
		c.problem("rules", "%v", err)
		return nil
	}
	return rows
}

func hasSeal(data []byte) bool {
	sealed, err := checkSeal(data)
	return sealed && err == nil
}

// parseCSV reads rows in Casbin's file form: fields separated by commas, spaces around them ignored, # comments.
func parseCSV(name string, data []byte) ([]csvRow, error) {
	if len(data) > maxRules {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxRules)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return nil, fmt.Errorf("%s: the last line has no end: the file looks cut off", name)
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.Comment, r.TrimLeadingSpace, r.FieldsPerRecord = '#', true, -1
	var rows []csvRow
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if len(fields) == 1 && fields[0] == "" {
			continue
		}
		rows = append(rows, csvRow{fields, Place{name, line}})
	}
}

// checkRows reports what Casbin would load without a word.
func (c *compiler) checkRows(m model.Model, own *ownModel, rows []csvRow) {
	tails := keyMatchColumns(m["m"]["m"].Value)
	ids := make(map[string]string)
	allows := false
	for _, row := range rows {
		at := row.place
		bad := func(format string, args ...any) {
			c.problems = append(c.problems, Problem{Place: at, Msg: fmt.Sprintf(format, args...)})
		}
		if len(row.fields) == 0 {
			bad("an empty row")
			continue
		}
		kind, fields := row.fields[0], row.fields[1:]
		switch {
		case kind == "p":
			c.checkRule(own, m, fields, tails, bad)
			eft := column(own, fields, "eft")
			allows = allows || eft == "allow" || eft == ""
			own.places[joinParts(fields)] = at
			if id := column(own, fields, "id"); id != "" {
				rule := column(own, fields, "obj") + " " + eft
				if before, taken := ids[id]; taken && before != rule {
					bad("the id %q is that of another rule", id)
				}
				ids[id] = rule
			}
		case m["g"][kind] != nil:
			c.checkLink(own, fields, strings.Count(m["g"][kind].Value, "_"), bad)
		default:
			bad("a row of type %q; the model has p%s", kind, linkTypes(m))
		}
	}
	if !allows && !c.spec.AllowEmpty && len(c.problems) == 0 {
		c.problem("rules", "no row allows anything; write allowEmpty: true if that is meant")
	}
}

func linkTypes(m model.Model) string {
	var b strings.Builder
	for key := range m["g"] {
		b.WriteString(", " + key)
	}
	return b.String()
}

// column returns a field by its name, "" when the model has no such column.
func column(own *ownModel, fields []string, name string) string {
	if i := slices.Index(own.columns, name); i >= 0 && i < len(fields) {
		return fields[i]
	}
	return ""
}

func (c *compiler) checkRule(own *ownModel, m model.Model, fields, tails []string, bad func(string, ...any)) {
	if len(fields) != len(own.columns) {
		bad("%d columns, and the model has %d: %s", len(fields), len(own.columns), strings.Join(own.columns, ", "))
		return
	}
	for i, field := range fields {
		if name := own.columns[i]; field == "" && name != "reason" && name != "instead" && name != "when" {
			bad("%s is empty", name)
		}
		if strings.ContainsFunc(field, hidden) {
			bad("%s holds a character that does not show", own.columns[i])
		}
	}
	eft := column(own, fields, "eft")
	switch {
	case slices.Contains(own.columns, "eft") && eft != "allow" && eft != "deny":
		bad("the effect is %q; write allow or deny", eft)
	case eft == "deny" && !strings.Contains(m["e"]["e"].Value, "deny"):
		bad("the row denies, and the model's effect takes no notice of that")
	}
	if slices.Contains(own.columns, "sub") {
		sub := column(own, fields, "sub")
		if err := checkSubject(sub); err != nil {
			bad("%v", err)
		}
		own.known[sub] = true
	}
	if act := column(own, fields, "act"); act == "list" {
		bad("list is asked as call, get or read: an entry is listed exactly when it may be used")
	}
	if when := column(own, fields, "when"); when != "" && when != noCondition {
		name, _ := strings.CutPrefix(when, "!")
		if c.used["when "+name] = true; c.conditions[name] == nil && c.spec.Conditions[name] == "" {
			bad("unknown condition %q", name)
		}
	}
	for _, name := range tails {
		pattern := column(own, fields, name)
		if i := strings.IndexByte(pattern, '*'); i >= 0 && i < len(pattern)-1 {
			bad("%s is %q: keyMatch ignores everything behind the first *, so this matches more than it says; use glob", name, pattern)
		}
	}
}

func (c *compiler) checkLink(own *ownModel, fields []string, want int, bad func(string, ...any)) {
	if len(fields) != want {
		bad("%d columns, and the model has %d", len(fields), want)
		return
	}
	for _, name := range fields[:2] {
		if err := checkSubject(name); err != nil {
			bad("%v", err)
		}
		own.known[name] = true
	}
}

// keyMatchColumns lists the columns that a matcher gives to keyMatch.
func keyMatchColumns(matcher string) []string {
	var names []string
	for _, call := range regexp.MustCompile(`\bkeyMatch\(\s*r_\w+\s*,\s*p_(\w+)\s*\)`).FindAllStringSubmatch(matcher, -1) {
		names = append(names, call[1])
	}
	return names
}

// compileRows turns rows into rules and links.
func (c *compiler) compileRows(s shape, own *ownModel, rows []csvRow) {
	for _, row := range rows {
		bad := func(format string, args ...any) {
			c.problems = append(c.problems, Problem{Place: row.place, Msg: fmt.Sprintf(format, args...)})
		}
		fields := row.fields[1:]
		if row.fields[0] != "p" {
			if row.fields[0] == "g" && s.links {
				tenant := everywhere
				if len(fields) > 2 {
					tenant = fields[2]
				}
				c.compileTenant(s, tenant, s.linkTenants, bad)
				c.p.links.add(tenant, fields[0], fields[1])
			}
			continue
		}
		r := &rule{id: own.ruleOf(fields).id, place: row.place, subject: column(own, fields, "sub"), tenant: everywhere, deny: column(own, fields, "eft") == "deny"}
		if r.subject == everyone && !s.everyone {
			bad("* is a name like any other to this model; it does not mean everyone")
		}
		if s.tenants {
			r.tenant = column(own, fields, "dom")
			c.compileTenant(s, r.tenant, true, bad)
		}
		if err := s.object(r, column(own, fields, "obj")); err != nil {
			bad("%v", err)
		}
		if err := s.action(r, column(own, fields, "act")); err != nil {
			bad("%v", err)
		}
		if s.conditions {
			if when := column(own, fields, "when"); when != noCondition {
				r.when, r.unless = c.condition("rules", when)
			}
		}
		r.reason, r.instead = column(own, fields, "reason"), column(own, fields, "instead")
		c.add(r)
	}
}

// checkLinks reports circles and chains that are too long among links that are not compiled, each kind for itself.
func (c *compiler) checkLinks(rows []csvRow) {
	kinds := make(map[string]links)
	for _, row := range rows {
		if kind := row.fields[0]; kind != "p" && len(row.fields) > 2 {
			if kinds[kind] == nil {
				kinds[kind] = make(links)
			}
			kinds[kind].add(everywhere, row.fields[1], row.fields[2])
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		c.p.links = kinds[kind]
		c.checkDepth()
	}
	c.p.links = make(links)
}

func (c *compiler) compileTenant(s shape, tenant string, named bool, bad func(string, ...any)) {
	if !named {
		return
	}
	if tenant != everywhere {
		c.p.tenants[tenant] = true
	} else if !s.anyTenant {
		bad("the tenant * is a name like any other to this model; it does not mean everywhere")
	}
}
