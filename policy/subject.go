package policy

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// everyone is the subject of rules that hold for every caller who is known at all.
const everyone = "*"

// The types of subjects. Every name that a rule or a caller holds has one, because Casbin's g(x, x) is true: a user whose name is that of
// a role would hold the role.
const (
	userType   = "user:"
	clientType = "client:"
	groupType  = "group:"
	roleType   = "role:"
	scopeType  = "scope:"
)

// checkSubject reports what is wrong with a subject as rules write it: a typed name, or * for everyone.
func checkSubject(s string) error {
	if s == everyone {
		return nil
	}
	for _, t := range [...]string{userType, clientType, groupType, roleType, scopeType} {
		if name, ok := strings.CutPrefix(s, t); ok {
			return checkName(name)
		}
	}
	return fmt.Errorf("%q has no type; write user:%[1]s, group:%[1]s, role:%[1]s, client:%[1]s or scope:%[1]s", s)
}

// checkName reports what is wrong with the name of a subject, a tenant or a rule.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case !utf8.ValidString(name):
		return fmt.Errorf("%q is not UTF-8 text", name)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("%q begins or ends with a space", name)
	case strings.ContainsFunc(name, hidden):
		return fmt.Errorf("%q holds a character that does not show", name)
	}
	return nil
}

// hidden reports characters that a reader of a policy cannot see: controls, and format characters such as zero-width and bidi marks.
func hidden(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }
