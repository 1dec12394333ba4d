package policy

import (
	"errors"
	"fmt"
	"strings"
)

// rule is one row of a policy: a subject may, or may not, do actions with what a pattern matches.
type rule struct {
	id      string // "deny[0]", "roles.reader[2]"; for people and the record
	place   Place
	subject string // typed, or everyone
	tenant  string // everywhere, or one
	pattern pattern
	actions actions
	when    *condition // nil for none
	unless  bool       // the condition must not hold
	deny    bool
	reason  string
	instead string
	index   int32 // in Policy.rules
}

// everywhere is the tenant column of rules and links that hold in every tenant, and outside of all.
const everywhere = "*"

// noCondition stands in the when column of a row without condition.
const noCondition = "-"

// row is the rule as a line of Casbin's built-in model.
func (r *rule) row() []string {
	eft := "allow"
	if r.deny {
		eft = "deny"
	}
	return []string{"p", r.id, r.subject, r.tenant, r.pattern.text, r.actions.String(), r.whenText(), eft, r.reason, r.instead}
}

func (r *rule) whenText() string {
	switch {
	case r.when == nil:
		return noCondition
	case r.unless:
		return "!" + r.when.name
	default:
		return r.when.name
	}
}

// applies reports whether the condition of r lets it apply to f. Without a request, a condition that looks at one is taken to favour the
// caller: what might be allowed is listed. When there is no answer, a rule that denies applies and one that allows does not; err says why.
func (r *rule) applies(f *facts) (bool, error) {
	return conditionApplies(r.when, r.unless, r.deny, f)
}

func conditionApplies(c *condition, unless, deny bool, f *facts) (bool, error) {
	if c == nil {
		return true, nil
	}
	if c.dynamic && f.request == nil {
		return !deny, nil
	}
	holds, err := c.holds(f)
	if err != nil {
		return deny, err
	}
	return holds != unless, nil
}

// entryText is a rule as a role or a grant writes it, or the name of a role.
type entryText struct {
	role      string // set for the name of a role; nothing else is then
	actions   actions
	pattern   pattern
	condition string // with its exclamation mark
}

// parseEntry reads [ACTIONS] PATTERN [when CONDITION], or ROLE.
func parseEntry(text string) (e entryText, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return e, errors.New("empty; write a role or a pattern such as github/*")
	}
	if len(words) == 1 && isRoleName(words[0]) {
		return entryText{role: words[0]}, nil
	}
	if n := len(words); n >= 3 && words[n-2] == "when" {
		e.condition = words[n-1]
		words = words[:n-2]
	}
	e.actions = allActions
	if len(words) == 2 {
		if e.actions, err = parseActions(strings.Split(words[0], ","), false); err != nil {
			return e, err
		}
		words = words[1:]
	}
	if len(words) != 1 {
		return e, fmt.Errorf("%q: write [ACTIONS] PATTERN [when CONDITION], such as \"call,get github/* when office-hours\"", text)
	}
	e.pattern, err = parsePattern(words[0])
	return e, err
}

// isRoleName reports whether a word is the name of a role and not a pattern: letters, digits and .:_- only.
func isRoleName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-"
	return s != "" && !strings.Contains(s, "__") && strings.Trim(s, letters) == ""
}
