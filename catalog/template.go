package catalog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/yosida95/uritemplate/v3"
)

// Bounds of URI templates, because matching costs memory and time in proportion to each of them.
const (
	maxVariables  = 32   // variables of one template
	maxPrefixes   = 256  // sum of its prefix modifiers, "{var:30}"
	maxMatchedURI = 4096 // bytes of a URI that is matched with templates
)

// template is a URI template (RFC 6570) that an upstream listed.
type template struct {
	compiled *uritemplate.Template
	start    string // the literal text that every match begins with
	literal  int    // bytes of literal text
	shape    string // the template without variable names that have no part in matching
}

// parseTemplate reads text, or says why it cannot be served.
func parseTemplate(text string) (t *template, fault string) {
	compiled, err := uritemplate.New(text)
	if err != nil {
		return nil, "uriTemplate is not a URI template (RFC 6570)"
	}
	t = &template{compiled: compiled}
	var shape strings.Builder
	variables, prefixes := 0, 0
	for rest := text; rest != ""; {
		literal, behind, found := strings.Cut(rest, "{")
		if rest == text {
			t.start = literal
		}
		t.literal += len(literal)
		shape.WriteString(literal)
		if !found {
			break
		}
		expression, after, _ := strings.Cut(behind, "}")
		n, length := writeShape(&shape, expression)
		variables, prefixes = variables+n, prefixes+length
		rest = after
	}
	if variables > maxVariables || prefixes > maxPrefixes {
		return nil, fmt.Sprintf("uriTemplate has more than %d variables or prefixes of more than %d characters", maxVariables, maxPrefixes)
	}
	t.shape = shape.String()
	return t, ""
}

// writeShape appends one expression, the part between braces, without the names of its variables unless they stand in what it expands to.
// It returns how many variables there are and the sum of their prefix modifiers.
func writeShape(shape *strings.Builder, expression string) (variables, prefixes int) {
	operator := ""
	if expression != "" && strings.Contains("+#./;?&", expression[:1]) {
		operator = expression[:1]
	}
	named := operator != "" && strings.Contains(";?&", operator)
	shape.WriteString("{" + operator)
	for i, spec := range strings.Split(expression[len(operator):], ",") {
		name, length, _ := strings.Cut(strings.TrimSuffix(spec, "*"), ":")
		if i > 0 {
			shape.WriteByte(',')
		}
		if named {
			shape.WriteString(name)
		}
		shape.WriteString(spec[len(name):])
		n, _ := strconv.Atoi(length) // the template was accepted: no length counts as none
		variables, prefixes = variables+1, prefixes+n
	}
	shape.WriteByte('}')
	return variables, prefixes
}

// matches reports whether uri is an expansion of the template.
func (t *template) matches(uri string) bool {
	return len(uri) <= maxMatchedURI && strings.HasPrefix(uri, t.start) && t.compiled.Match(uri) != nil
}
