package graphql

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"

	"weir/translate"
	"weir/translate/schema"
)

// operation is one operation that becomes a tool.
type operation struct {
	def       *ast.OperationDefinition // with the definitions of what it selects
	key       string                   // its name, or Query.field when it is generated
	identity  string                   // what tells it from all others
	at        string                   // where it stands, for warnings
	text      string                   // as it is sent
	hash      string                   // SHA-256 of text in hexadecimal
	id        string                   // under which a manifest persists it, "" for none
	words     string
	outdated  bool
	field     *ast.FieldDefinition // the root field of a generated one
	fallback  string               // the argument that bounds the page when the caller gives no bound, "" for none
	fragments ast.FragmentDefinitionList
	types     *ast.Schema
	arguments []*argument
	change    translate.Tool // what configuration says about it
}

// argument is one argument of a tool and its way into the variables.
type argument struct {
	translate.Argument
	wire []string // the variable, and the member of it when its members stand as arguments of their own
}

// seal writes the text of an operation and its hash.
func (o *operation) seal(text string) {
	o.text = text
	sum := sha256.Sum256([]byte(text))
	o.hash = hex.EncodeToString(sum[:])
}

// write writes an operation and the fragments that it spreads, in short.
func write(def *ast.OperationDefinition, fragments ast.FragmentDefinitionList) string {
	var b strings.Builder
	bare := *def
	bare.Description = ""
	f := formatter.NewFormatter(&b, formatter.WithIndent(""), formatter.WithoutDescription())
	f.FormatQueryDocument(&ast.QueryDocument{Operations: ast.OperationList{&bare}, Fragments: fragments})
	return b.String()
}

// rootField is the operation of one root field, before it is written.
func (b *builder) rootField(kind ast.Operation, root *ast.Definition, f *ast.FieldDefinition) *operation {
	key := map[ast.Operation]string{ast.Query: "Query.", ast.Mutation: "Mutation.", ast.Subscription: "Subscription."}[kind] + f.Name
	return &operation{
		key: key, identity: key, at: "/types/" + root.Name + "/fields/" + f.Name, field: f,
		words: schema.Clean(f.Description), outdated: f.Directives.ForName("deprecated") != nil,
		def: &ast.OperationDefinition{Operation: kind, Name: f.Name},
	}
}

// generate writes the operation of a root field: its arguments are variables, and it selects what is short and close.
func (b *builder) generate(o *operation) {
	f := o.field
	out := field(b.description.root(o.def.Operation), f, nil)
	for _, a := range f.Arguments {
		// The default is that of the schema. It is written down because some servers take an absent variable for null.
		o.def.VariableDefinitions = append(o.def.VariableDefinitions, &ast.VariableDefinition{Variable: a.Name, Type: a.Type, DefaultValue: a.DefaultValue})
		out.Arguments = append(out.Arguments, &ast.Argument{Name: a.Name, Value: &ast.Value{Kind: ast.Variable, Raw: a.Name}})
	}
	to := b.description.schema.Types[f.Type.Name()]
	if to.IsCompositeType() {
		out.SelectionSet = b.selector.defaults(to, b.spec.depth())
	}
	o.def.SelectionSet = ast.SelectionSet{out}
	o.seal(write(o.def, nil))
	b.fieldArguments(o)
	if b.selector.isConnection(to) {
		o.fallback = pageBound(o)
	}
}

// fieldArguments gives a generated operation its arguments. A lone input object stands for its members: they are the arguments.
func (b *builder) fieldArguments(o *operation) {
	f := o.field
	if len(f.Arguments) == 1 && f.Arguments[0].Type.NonNull && f.Arguments[0].Name == "input" {
		def := b.description.schema.Types[f.Arguments[0].Type.Name()]
		if f.Arguments[0].Type.NamedType != "" && def.Kind == ast.InputObject && def.Directives.ForName("oneOf") == nil && len(def.Fields) > 0 {
			for _, m := range def.Fields {
				o.arguments = append(o.arguments, b.argument(m.Name, m.Type, m.Description, m.Directives, m.DefaultValue, "input", m.Name))
			}
			return
		}
	}
	for _, a := range f.Arguments {
		o.arguments = append(o.arguments, b.argument(a.Name, a.Type, a.Description, a.Directives, a.DefaultValue, a.Name))
	}
}

func (b *builder) argument(name string, t *ast.Type, text string, directives ast.DirectiveList, fallback *ast.Value, wire ...string) *argument {
	return &argument{
		Argument: translate.Argument{
			Name: translate.PortableArgument(name), Schema: b.inputs.field(t, text, directives, fallback), Required: t.NonNull && fallback == nil,
		},
		wire: wire,
	}
}

// defaultPage is how many elements are asked for when the caller does not say: many servers refuse a page without a bound.
const defaultPage = 20

// pageBound finds the argument that bounds a page, when the server takes pages without one and says nothing of its own.
func pageBound(o *operation) string {
	for _, a := range o.field.Arguments {
		if a.Name == "first" && a.Type.NamedType == "Int" && !a.Type.NonNull && a.DefaultValue == nil {
			return a.Name
		}
	}
	return ""
}

// adapt bounds a page for a caller that did not.
func (o *operation) adapt(v *schema.Value) (*schema.Value, []string) {
	first, last := o.byWire("first"), o.byWire("last")
	if first == nil || first.Hidden || first.Fallback != nil || v.Get(first.Name) != nil || last != nil && v.Get(last.Name) != nil {
		return v, nil
	}
	return schema.Map(append(slices.Clip(v.Members), member(first.Name, schema.Int(defaultPage)))...), nil
}

func (o *operation) byWire(name string) *argument {
	for _, a := range o.arguments {
		if len(a.wire) == 1 && a.wire[0] == name {
			return a
		}
	}
	return nil
}

// variables makes the variables of checked arguments.
func (o *operation) variables(args *schema.Value) *schema.Value {
	out := schema.Map()
	for _, a := range o.arguments {
		v := a.Value(args)
		switch {
		case v == nil:
		case len(a.wire) == 1:
			out.Members = append(out.Members, member(a.wire[0], v))
		default:
			inner := out.Get(a.wire[0])
			if inner == nil {
				inner = schema.Map()
				out.Members = append(out.Members, member(a.wire[0], inner))
			}
			inner.Members = append(inner.Members, member(a.wire[1], v))
		}
	}
	if o.field != nil && len(o.arguments) > 0 && len(o.arguments[0].wire) == 2 && out.Get(o.arguments[0].wire[0]) == nil {
		out.Put(o.arguments[0].wire[0], schema.Map()) // the input object itself is required
	}
	return out
}
