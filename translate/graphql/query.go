package graphql

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// queryTools are the two tools for texts of a model's own: one takes them, one tells the part of the schema that they need.
func (b *builder) queryTools(a *API, taken []string) []*translate.Entry {
	if !b.spec.Query.Enabled {
		return nil
	}
	return []*translate.Entry{b.queryTool(a, free("query", taken)), b.schemaTool(free("schema", taken))}
}

// free is a name that no operation has.
func free(name string, taken []string) string {
	for slices.Contains(taken, name) {
		name = "graphql_" + name
	}
	return name
}

func stringArgument(text string) *schema.Value {
	return schema.Map(member("type", schema.Text("string")), member("description", schema.Text(text)))
}

func objectSchema(required []string, properties ...schema.Member) schema.Full {
	root := schema.Map(member("type", schema.Text("object")), member("properties", schema.Map(properties...)))
	if len(required) > 0 {
		root.Put("required", schema.Texts(required...))
	}
	root.Put("additionalProperties", schema.Boolean(false))
	return schema.Full{Root: root, Defs: schema.NewDefs()}
}

// queryTool takes the text of one operation.
func (b *builder) queryTool(a *API, name string) *translate.Entry {
	what := "query"
	if b.spec.Mutations {
		what = "query or mutation"
	}
	l := b.spec.Query.limits()
	t := &translate.Entry{
		Name: name, Key: "query", Timeout: b.spec.Timeout,
		Words: "Runs one GraphQL " + what + " of your own, checked against the schema first. At most " + schema.Int(l.Depth).Text + " levels, " + schema.Int(l.Fields).Text +
			" fields and " + schema.Int(l.Aliases).Text + " aliases. Values go into variables.",
		Annotations: translate.Annotations{ReadOnly: !b.spec.Mutations, Destructive: b.spec.Mutations, Idempotent: !b.spec.Mutations, OpenWorld: true},
		Output:      &translate.Output{MaxText: b.spec.MaxText},
		Document:    translate.Document{Name: name, Path: "graphql", Summary: "Runs a GraphQL " + what + " of your own", Arguments: []string{"query", "variables"}, Required: []string{"query"}},
	}
	t.Input = &translate.Input{Tool: name, Full: objectSchema([]string{"query"},
		member("query", stringArgument("the text of exactly one operation")),
		member("variables", schema.Map(member("type", schema.Text("object")), member("description", schema.Text("values of its variables")))),
	)}
	t.Run = func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
		return b.runText(ctx, a, t, c, args, timeout)
	}
	t.Publish(b.spec.SchemaBytes)
	return t
}

// runText checks a text and its variables and sends what was understood of it, written anew.
func (b *builder) runText(ctx context.Context, a *API, e *translate.Entry, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
	given := args.Get("variables")
	if given == nil {
		given = schema.Map()
	}
	g, err := b.guard(args.GetText("query"), given)
	if err != nil {
		return translate.Failure("The call was not sent: " + err.Error() + ".")
	}
	def := g.doc.Operations[0]
	own := &builder{description: b.description, spec: b.spec, inputs: newInputs(b.description, b.spec.Scalars)}
	o := &operation{def: def, fragments: g.doc.Fragments, key: e.Key}
	o.seal(g.text)
	t := &tool{op: o, Entry: *e}
	t.Annotations.ReadOnly = def.Operation == ast.Query
	arguments := make([]*translate.Argument, 0, len(def.VariableDefinitions))
	for _, v := range def.VariableDefinitions {
		arg := own.argument(v.Variable, v.Type, "", nil, v.DefaultValue, v.Variable)
		o.arguments = append(o.arguments, arg)
		arguments = append(arguments, &arg.Argument)
	}
	in := &translate.Input{Tool: e.Name + ": the variables of the text"}
	in.Full, in.Defaults = translate.Arguments(arguments, own.inputs.defs)
	own.inputs.defs.OpenCycles()
	values, refused := in.Accept(given.Append(nil))
	if refused != nil {
		return refused
	}
	t.uploads = own.uploads(o)
	t.pages = pagesOf(o)
	t.head = requestHead(o)
	return a.run(ctx, t, c, values, timeout)
}

const (
	// mostTypes is how many types one call tells, sdlBytes how long their text may be.
	mostTypes = 10
	sdlBytes  = 16 << 10
)

// schemaTool tells types of the schema: those that are named, or those that words find. The whole schema never goes out.
func (b *builder) schemaTool(name string) *translate.Entry {
	index := sync.OnceValue(func() *typeIndex { return newTypeIndex(b.description.schema) })
	t := &translate.Entry{
		Name: name, Key: "schema",
		Words:       "Tells types of the GraphQL schema in its definition language: up to " + schema.Int(mostTypes).Text + " that are named, or those that fit a few words.",
		Annotations: translate.Annotations{ReadOnly: true, Idempotent: true},
		Output:      &translate.Output{MaxText: b.spec.MaxText},
		Document:    translate.Document{Name: name, Path: "graphql schema", Summary: "Tells types of the GraphQL schema", Arguments: []string{"types", "search"}},
	}
	root := b.description.root(ast.Query)
	first := "Query"
	if root != nil {
		first = root.Name
	}
	t.Input = &translate.Input{Tool: name, Full: objectSchema(nil,
		member("types", schema.Map(member("type", schema.Text("array")), member("items", schema.Map(member("type", schema.Text("string")))),
			member("maxItems", schema.Int(mostTypes)), member("description", schema.Text("names of types; queries start at "+first)))),
		member("search", stringArgument("what is looked for, in plain words")),
	)}
	t.Run = func(_ context.Context, _ *catalog.Call, args *schema.Value, _ time.Duration) *translate.Result {
		names := args.Get("types").Strings()
		if words := args.GetText("search"); words != "" {
			names = append(names, index().find(schema.Shorten(words, 500))...)
		}
		if len(names) == 0 {
			names = []string{first}
		}
		r := &translate.Result{}
		r.AddText(b.tell(names))
		return r
	}
	t.Publish(b.spec.SchemaBytes)
	return t
}

// tell writes types in the definition language.
func (b *builder) tell(names []string) string {
	var out strings.Builder
	left := sdlBytes
	for i, name := range names {
		def := b.description.schema.Types[name]
		if def == nil || strings.HasPrefix(name, "__") || i >= mostTypes {
			continue
		}
		short := *def
		short.Description = schema.Shorten(schema.Clean(def.Description), 200)
		var text strings.Builder
		formatter.NewFormatter(&text, formatter.WithIndent(" "), formatter.WithoutDescription()).FormatSchemaDocument(&ast.SchemaDocument{Definitions: ast.DefinitionList{&short}})
		if short.Description != "" {
			out.WriteString("# " + short.Description + "\n")
		}
		if text.Len() > left {
			out.WriteString(text.String()[:max(left, 0)] + "\n# cut here\n")
			break
		}
		left -= text.Len()
		out.WriteString(text.String())
	}
	if out.Len() == 0 {
		return "There is no such type. Search for it with a few words."
	}
	return out.String()
}

// typeIndex finds types by words.
type typeIndex struct {
	names []string
	index *translate.Index
}

func newTypeIndex(types *ast.Schema) *typeIndex {
	x := &typeIndex{}
	for name, def := range types.Types {
		if !def.BuiltIn && !strings.HasPrefix(name, "__") {
			x.names = append(x.names, name)
		}
	}
	slices.Sort(x.names)
	documents := make([]translate.Document, len(x.names))
	for i, name := range x.names {
		def := types.Types[name]
		d := translate.Document{Name: name, Path: strings.ToLower(string(def.Kind)), Summary: schema.Shorten(def.Description, 160)}
		for _, f := range def.Fields {
			d.Arguments = append(d.Arguments, f.Name)
		}
		documents[i] = d
	}
	x.index = translate.NewIndex(documents)
	return x
}

func (x *typeIndex) find(words string) []string {
	var names []string
	for _, i := range x.index.Search(words, 5, func(int) bool { return true }) {
		names = append(names, x.names[i])
	}
	return names
}
