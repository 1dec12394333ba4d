package graphql

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// builder makes tools of one schema.
type builder struct {
	description *description
	spec        *Spec
	upstream    string
	inputs      *inputs
	selector    *selector // while tools are made
}

// tool is one operation as a tool.
type tool struct {
	translate.Entry
	op      *operation
	shape   translate.Shape
	head    []byte // of the request, up to the variables
	pages   []page
	selects bool // whether translate.FieldsArgument is one of its arguments
	most    string
	uploads bool // whether a variable may hold a file
	source  schema.Full
}

const (
	// maxOperations bounds the tools of one schema; the largest public ones come to a thousand.
	maxOperations = 10_000
	// maxArguments bounds those of one tool: checking them is compiled in the square of their number.
	maxArguments = 5000
)

// build makes all tools that configuration keeps.
func (b *builder) build(files []file) []*tool {
	b.selector = &selector{schema: b.description.schema}
	all := b.written(files)
	if b.spec.generates() {
		for _, kind := range [...]ast.Operation{ast.Query, ast.Mutation, ast.Subscription} {
			root := b.description.root(kind)
			if root == nil || kind == ast.Mutation && !b.spec.Mutations || kind == ast.Subscription && b.spec.Subscriptions == "" {
				continue
			}
			for i, f := range root.Fields {
				if len(all) == maxOperations {
					b.description.lost("/types/"+root.Name, "", "%d fields are left out: an API has at most %d tools", len(root.Fields)-i, maxOperations)
					break
				}
				all = append(all, b.rootField(kind, root, f))
			}
		}
	}
	candidates := make([]translate.Candidate, len(all))
	for i, o := range all {
		candidates[i] = translate.Candidate{Wanted: translate.Wanted{Name: translate.PortableName(o.def.Name), Identity: o.identity}, Key: o.key, Outdated: o.outdated, Match: o.matches}
	}
	kept := b.spec.Choose(b.upstream, candidates, func(format string, args ...any) { b.description.warn("", format, args...) })
	tools := make([]*tool, 0, len(kept))
	for _, k := range kept {
		all[k.Index].change = k.Change
		if t := b.tool(all[k.Index], k.Name); t != nil {
			tools = append(tools, t)
		}
	}
	for _, name := range b.inputs.defs.OpenCycles() {
		b.description.warn("/types/"+name, "it refers to itself without a step in between; it takes any value there")
	}
	for _, t := range tools {
		if t.source.Root != nil {
			t.Output.Publish(t.source)
			t.source = schema.Full{}
		}
		t.Publish(b.spec.SchemaBytes)
	}
	return tools
}

// matches compares a word of a pattern: behind kind: stands the kind of the operation.
func (o *operation) matches(word string, _ bool) (matches, known bool) {
	kind, known := strings.CutPrefix(word, "kind:")
	return known && catalog.Glob(kind).Match(string(o.def.Operation)), known
}

// tool makes the tool of one operation, nil when it cannot be one.
func (b *builder) tool(o *operation, name string) (t *tool) {
	defer func() {
		if fault := recover(); fault != nil {
			b.description.lost(o.at, o.key, "the operation is left out: %v", fault)
			t = nil
		}
	}()
	if o.field != nil {
		b.generate(o)
	}
	if len(o.arguments) > maxArguments {
		b.description.lost(o.at, o.key, "the operation is left out: it has more than %d arguments", maxArguments)
		return nil
	}
	override := o.change
	t = &tool{op: o, shape: override.Result, Entry: b.spec.Entry(name, o.key, override)}
	t.Output.Shape = translate.Shape{MaxBytes: override.Result.MaxBytes} // the rest is about the data in the response
	t.Annotations = translate.Annotations{Destructive: true, OpenWorld: true}
	if o.def.Operation != ast.Mutation {
		t.Annotations = translate.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}
	}
	t.Annotations = t.Annotations.With(override.Hints)
	arguments := make([]*translate.Argument, len(o.arguments))
	for i, a := range o.arguments {
		arguments[i] = &a.Argument
	}
	translate.Curate(arguments, override.Args, func(format string, args ...any) { b.description.warn(o.at, format, args...) })
	t.Input = &translate.Input{Tool: name}
	t.Input.Full, t.Input.Defaults = translate.Arguments(arguments, b.inputs.defs)
	if o.fallback != "" {
		t.Input.Adapt = o.adapt
	}
	t.uploads = b.uploads(o)
	t.pages = pagesOf(o)
	t.head = requestHead(o)
	b.results(t)
	b.say(t, arguments)
	return t
}

// results gives a tool the schema of its results, and the argument that picks parts of them.
func (b *builder) results(t *tool) {
	o := t.op
	properties := t.Input.Full.Root.Get("properties")
	if o.def.Operation == ast.Subscription {
		t.most = "max_events"
		if properties.Get(t.most) == nil {
			properties.Put(t.most, schema.Map(
				member("type", schema.Text("integer")), member("minimum", schema.Int(1)), member("maximum", schema.Int(b.spec.events())),
				member("description", schema.Text("end after so many events; without it the call lasts until the events end or its time is over")),
			))
		} else {
			t.most = ""
		}
		return
	}
	if len(t.shape.Fields) == 0 && t.shape.Path == "" {
		c := outputs{inputs: b.inputs, fragments: o.fragments}
		t.source = schema.Full{Root: c.response(o.def.SelectionSet), Defs: b.inputs.defs}
	}
	if properties.Get(translate.FieldsArgument) != nil {
		return
	}
	switch {
	case o.field != nil && b.description.schema.Types[o.field.Type.Name()].IsCompositeType():
		t.selects = true
		properties.Put(translate.FieldsArgument, pathsArgument("get these fields instead of the usual ones, e.g. name, owner.login; * is the usual ones"))
	case o.field == nil && t.Annotations.ReadOnly:
		t.selects = true
		properties.Put(translate.FieldsArgument, pathsArgument("keep only these paths of the data, e.g. user.name"))
	}
}

func pathsArgument(text string) *schema.Value {
	return schema.Map(
		member("type", schema.Text("array")), member("items", schema.Map(member("type", schema.Text("string")))), member("description", schema.Text(text)),
	)
}

// say writes the description of the tool: what the schema or its author says, and what a model cannot see in the input schema.
func (b *builder) say(t *tool, arguments []*translate.Argument) {
	o := t.op
	kind := string(o.def.Operation)
	t.Say(translate.Words{
		Configured: o.change.Description, Text: o.words, Otherwise: strings.ToUpper(kind[:1]) + kind[1:] + " " + o.def.Name + ".", Outdated: o.outdated,
	}, arguments)
	t.Document.Path, t.Document.Tags = kind+" "+o.def.Name, []string{kind}
	if o.field == nil {
		return
	}
	to := b.description.schema.Types[o.field.Type.Name()]
	t.Document.Tags = append(t.Document.Tags, to.Name)
	if to.IsCompositeType() && !strings.Contains(t.Words, to.Name) {
		t.Words += " Gives " + o.field.Type.String() + "."
	}
	if o.fallback != "" && o.byWire(o.fallback) != nil && !o.byWire(o.fallback).Hidden {
		t.Words += " A page has " + schema.Int(defaultPage).Text + " elements unless `" + o.byWire(o.fallback).Name + "` says otherwise."
	}
	f, _ := o.def.SelectionSet[0].(*ast.Field)
	if !t.selects || f == nil {
		return
	}
	names, needy := b.selector.more(to, f.SelectionSet)
	if len(names) > 0 {
		t.Words += " More with `fields`: " + schema.Shorten(strings.Join(names, ", "), moreWords) + "."
	}
	if len(needy) > 0 {
		t.Words += " Left out, since they need arguments: " + schema.Shorten(strings.Join(needy, ", "), moreWords) + "."
	}
}

// moreWords bounds what a description tells of fields that can be asked for, in bytes.
const moreWords = 200
