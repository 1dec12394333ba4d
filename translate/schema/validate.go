package schema

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Validator checks values against one full schema. Safe for concurrent use.
type Validator struct{ compiled *jsonschema.Schema }

// Fault is one thing that is wrong with a value.
type Fault struct {
	// Path leads to the value from the root: names of members and positions of elements.
	Path []string
	// Rule is the keyword that was broken: type, enum, required, additionalProperties, minimum, pattern…
	Rule string
	// Names are the members that Rule is about: missing ones for required, unknown ones for additionalProperties.
	Names []string
	// Want says what is expected, for people and models; empty where Names say it.
	Want string
}

// refusingLoader loads nothing: a schema is complete or it is refused.
type refusingLoader struct{}

func (refusingLoader) Load(string) (any, error) {
	return nil, errors.New("schema: references to other documents are not followed")
}

// Compile lints f and makes its validator.
func Compile(f Full, b Bounds) (*Validator, error) {
	if err := Lint(f, b); err != nil {
		return nil, err
	}
	return compile(f.near(mostCompiled))
}

// mostCompiled bounds the subschemas of definitions that are compiled: the time goes with their square, two seconds for so many. What is further
// from the root than so many others is left to whoever takes the value.
const mostCompiled = 15_000

func compile(document *Value) (*Validator, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(refusingLoader{})
	c.DefaultDraft(jsonschema.Draft2020)
	const address = "weir:arguments"
	if err := c.AddResource(address, document.Plain()); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	s, err := c.Compile(address)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return &Validator{s}, nil
}

// Check returns what is wrong with a value in the form of [Value.Plain], nothing when it is valid.
func (v *Validator) Check(plain any) []Fault {
	err := v.compiled.Validate(plain)
	if err == nil {
		return nil
	}
	var tree *jsonschema.ValidationError
	if !errors.As(err, &tree) {
		return []Fault{{Rule: "invalid", Want: "a value that can be checked"}}
	}
	var found []Fault
	collect(tree, &found)
	return found
}

// maxFaults bounds how many faults one check reports.
const maxFaults = 12

// collect turns the tree of an error into faults. Of the branches of a combinator only the one that came closest is told.
func collect(e *jsonschema.ValidationError, found *[]Fault) {
	if len(*found) >= maxFaults {
		return
	}
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		if best := closest(e.Causes); best != nil {
			collect(best, found)
			return
		}
	case *kind.Not, *kind.Contains:
		*found = append(*found, faultOf(e))
		return
	}
	if len(e.Causes) == 0 {
		*found = append(*found, faultOf(e))
		return
	}
	for _, c := range e.Causes {
		collect(c, found)
	}
}

// closest is the branch whose faults lie deepest: the others failed before the value was looked into.
func closest(branches []*jsonschema.ValidationError) *jsonschema.ValidationError {
	var best *jsonschema.ValidationError
	most := -1
	for _, b := range branches {
		n := reach(b)
		if n > most {
			best, most = b, n
		}
	}
	return best
}

func reach(e *jsonschema.ValidationError) int {
	depth := 2 * len(e.InstanceLocation)
	if _, ok := e.ErrorKind.(*kind.Type); !ok {
		depth++
	}
	for _, c := range e.Causes {
		depth = max(depth, reach(c))
	}
	return depth
}

func faultOf(e *jsonschema.ValidationError) Fault {
	f := Fault{Path: append([]string(nil), e.InstanceLocation...)}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		f.Rule, f.Names = "required", k.Missing
	case *kind.DependentRequired:
		f.Rule, f.Names = "required", k.Missing
	case *kind.AdditionalProperties:
		f.Rule, f.Names = "additionalProperties", slices.Sorted(slices.Values(k.Properties))
	case *kind.FalseSchema:
		f.Rule, f.Want = "additionalProperties", "to be left out"
	case *kind.Type:
		f.Rule, f.Want = "type", orList(k.Want)
	case *kind.Enum:
		f.Rule, f.Want = "enum", "one of "+values(k.Want)
	case *kind.Const:
		f.Rule, f.Want = "const", values([]any{k.Want})
	case *kind.Pattern:
		f.Rule, f.Want = "pattern", "text that matches "+k.Want
	default:
		f.Rule, f.Want = limit(e.ErrorKind)
	}
	return f
}

// limit describes the rules that compare with a number.
func limit(k jsonschema.ErrorKind) (rule, want string) {
	switch k := k.(type) {
	case *kind.Minimum:
		return "minimum", "at least " + k.Want.RatString()
	case *kind.Maximum:
		return "maximum", "at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "exclusiveMinimum", "more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "exclusiveMaximum", "less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "multipleOf", "a multiple of " + k.Want.RatString()
	case *kind.MinLength:
		return "minLength", fmt.Sprintf("at least %d characters", k.Want)
	case *kind.MaxLength:
		return "maxLength", fmt.Sprintf("at most %d characters", k.Want)
	case *kind.MinItems:
		return "minItems", fmt.Sprintf("at least %d elements", k.Want)
	case *kind.MaxItems:
		return "maxItems", fmt.Sprintf("at most %d elements", k.Want)
	case *kind.MinProperties:
		return "minProperties", fmt.Sprintf("at least %d members", k.Want)
	case *kind.MaxProperties:
		return "maxProperties", fmt.Sprintf("at most %d members", k.Want)
	case *kind.UniqueItems:
		return "uniqueItems", "elements that differ"
	default:
		path := k.KeywordPath()
		if len(path) == 0 {
			return "invalid", "another value"
		}
		return path[0], "a value that " + path[0] + " allows"
	}
}

func orList(names []string) string { return strings.Join(names, " or ") }

// values lists JSON values in words.
func values(list []any) string {
	var b strings.Builder
	for i, v := range list {
		if i == 20 {
			fmt.Fprintf(&b, " and %d more", len(list)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if v == nil {
			v = "null"
		}
		fmt.Fprint(&b, v)
	}
	return b.String()
}

// Bearable reports whether every number in v can be computed with exactly at small cost: 1e999999999 cannot.
func Bearable(v *Value) bool {
	if v.Kind == Number {
		return bearable(v.Text)
	}
	for _, m := range v.Members {
		if !Bearable(m.Value) {
			return false
		}
	}
	return true
}

func bearable(literal string) bool {
	if len(literal) > 400 {
		return false
	}
	at := strings.IndexAny(literal, "eE")
	if at < 0 {
		return true
	}
	n, err := strconv.Atoi(strings.TrimPrefix(literal[at+1:], "+"))
	return err == nil && n >= -400 && n <= 400
}
