package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

const (
	// conditionCost bounds the evaluation of one condition, in CEL's units: about one per step. Past it the condition is an error.
	conditionCost = 50_000
	// conditionSize bounds the text of one condition, in bytes.
	conditionSize = 16 << 10
)

// condition is a named CEL expression, compiled. It is safe for concurrent use.
type condition struct {
	name, source string
	place        Place
	program      cel.Program
	args         bool // it looks at the arguments
	dynamic      bool // it looks at the arguments or the request: its answer differs from call to call
	personal     bool // it looks at the caller
}

type variable struct {
	name string
	kind *cel.Type
}

// variables are what conditions may look at. The names are whole, so that a misspelt member is an error when the policy is loaded.
func variables() []variable {
	return []variable{
		{"args", cel.MapType(cel.StringType, cel.DynType)},
		{"tool.ref", cel.StringType},
		{"tool.upstream", cel.StringType},
		{"tool.name", cel.StringType},
		{"tool.kind", cel.StringType},
		{"tool.readOnly", cel.BoolType},
		{"tool.destructive", cel.BoolType},
		{"tool.idempotent", cel.BoolType},
		{"tool.openWorld", cel.BoolType},
		{"user.id", cel.StringType},
		{"user.issuer", cel.StringType},
		{"user.subject", cel.StringType},
		{"user.client", cel.StringType},
		{"user.tenant", cel.StringType},
		{"user.groups", cel.ListType(cel.StringType)},
		{"user.roles", cel.ListType(cel.StringType)},
		{"user.scopes", cel.ListType(cel.StringType)},
		{"user.attributes", cel.MapType(cel.StringType, cel.DynType)},
		{"request.time", cel.TimestampType},
		{"request.address", cel.StringType},
	}
}

// newConditions returns the environment that conditions are compiled in. Making it takes about a millisecond, so a policy without
// conditions has none.
func newConditions() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		cel.Function("within", cel.MemberOverload("string_within_string", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(within))),
	}
	for _, v := range variables() {
		options = append(options, cel.Variable(v.name, v.kind))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("conditions: %w", err)
	}
	return env, nil
}

// within is the function of conditions that asks whether an address lies in a network in CIDR form. An IPv4 address that is written as IPv6
// counts as IPv4.
func within(address, network ref.Val) ref.Val {
	a, ok1 := address.Value().(string)
	n, ok2 := network.Value().(string)
	if !ok1 || !ok2 {
		return types.NewErr("within wants two texts")
	}
	prefix, err := netip.ParsePrefix(n)
	if err != nil {
		return types.NewErr("within: not a network in CIDR form")
	}
	addr, err := netip.ParseAddr(a)
	if err != nil {
		return types.NewErr("the address of the caller is not known")
	}
	return types.Bool(prefix.Contains(addr.Unmap().WithZone("")))
}

// compileCondition type-checks and plans a condition. Errors are one line each.
func compileCondition(env *cel.Env, name, source string) (*condition, error) {
	if len(source) > conditionSize {
		return nil, fmt.Errorf("%d bytes, more than %d", len(source), conditionSize)
	}
	ast, issues := env.Compile(source)
	if err := issues.Err(); err != nil {
		return nil, errors.New(celFault(issues))
	}
	if t := ast.OutputType(); t != cel.BoolType && t != cel.DynType {
		return nil, fmt.Errorf("is %s; a condition is true or false", t)
	}
	c, known := &condition{name: name, source: source}, variables()
	for _, r := range ast.NativeRep().ReferenceMap() {
		if !slices.ContainsFunc(known, func(v variable) bool { return v.name == r.Name }) {
			continue
		}
		group, _, _ := strings.Cut(r.Name, ".")
		c.args = c.args || group == "args"
		c.dynamic = c.dynamic || group == "args" || group == "request"
		c.personal = c.personal || group == "user"
	}
	if err := checkNetworks(ast.NativeRep()); err != nil {
		return nil, err
	}
	program, err := env.Program(ast, cel.CostLimit(conditionCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	c.program = program
	return c, nil
}

// celFault is the first error of a compilation on one line, without the excerpt.
func celFault(issues *cel.Issues) string {
	e := issues.Errors()[0]
	return fmt.Sprintf("column %d: %s", e.Location.Column()+1, e.Message)
}

// checkNetworks reports networks that are written out and are none; others fail when they are asked about.
func checkNetworks(a *celast.AST) (err error) {
	celast.PostOrderVisit(a.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() != celast.CallKind || e.AsCall().FunctionName() != "within" {
			return
		}
		for _, arg := range e.AsCall().Args() {
			if arg.Kind() != celast.LiteralKind {
				continue
			}
			if s, ok := arg.AsLiteral().Value().(string); ok {
				if _, fault := netip.ParsePrefix(s); fault != nil {
					err = fmt.Errorf("within(%q): not a network in CIDR form, such as 10.0.0.0/8", s)
				}
			}
		}
	}))
	return err
}

// holds evaluates c. An error means that there is no answer: a rule that allows does not apply then, one that denies does.
func (c *condition) holds(f *facts) (bool, error) {
	if c.args {
		if err := f.arguments(); err != nil {
			return false, err
		}
	}
	v, _, err := c.program.Eval(f)
	if err != nil {
		return false, err
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("is %s, not true or false", v.Type().TypeName())
	}
	return b, nil
}

// fault is what may be said about an error of c to the caller: nothing of what the operator knows, and only names of arguments that
// stand in the condition.
func (c *condition) fault(err error) string {
	text := err.Error()
	switch {
	case c.args && errors.Is(err, errArguments):
		return "the arguments cannot be read in one way only"
	case strings.Contains(text, "cost limit"):
		return "checking it takes too long"
	case strings.HasPrefix(text, "no such key: "):
		key := strings.TrimPrefix(text, "no such key: ")
		if !c.personal && strings.Contains(c.source, key) {
			return "there is no " + key
		}
	case strings.HasPrefix(text, "no such overload"):
		return "a value has another type than it expects"
	}
	return "it cannot be checked on this call"
}
