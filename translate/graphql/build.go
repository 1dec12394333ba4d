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
		candidates[i] = translate.Candidate{Wanted: translate.Wanted{Name: translate.PortableName(o.def.Name), Identity: o.identity}, Key: o.key, Match: o.matches}
	}
	kept := b.spec.Choose(b.upstream, candidates, func(format string, args ...any) { b.description.warn("", format, args...) })
	tools := make([]*tool, 0, len(kept))
	for _, k := range kept {
		o := all[k.Index]
		o.change = k.Change
		if o.field != nil {
			b.generate(o)
		}
		if len(o.arguments) > maxArguments {
			b.description.lost(o.at, o.key, "the operation is left out: it has more than %d arguments", maxArguments)
			continue
		}
		tools = append(tools, b.tool(o, k.Name))
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

// tool makes the tool of one operation.
func (b *builder) tool(o *operation, name string) *tool {
	override := o.change
	t := &tool{op: o, shape: override.Result, Entry: translate.Entry{Name: name, Key: o.key, Timeout: override.Timeout}}
	if t.Timeout <= 0 {
		t.Timeout = b.spec.Timeout
	}
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
	t.Output = &translate.Output{Shape: translate.Shape{MaxBytes: override.Result.MaxBytes}, MaxText: b.spec.MaxText}
	t.uploads = b.uploads(o)
	t.pages = pagesOf(o)
	t.head = requestHead(o)
	b.results(t)
	t.Words = b.text(t)
	t.Document = b.document(t)
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

// maxWords bounds the description of a tool in bytes.
const maxWords = 900

// text is the description of the tool: what the schema or its author says, and what a model cannot see in the input schema.
func (b *builder) text(t *tool) string {
	o := t.op
	text := o.change.Description
	if text == "" {
		text = o.words
	}
	if text == "" {
		text = strings.ToUpper(string(o.def.Operation[:1])) + string(o.def.Operation[1:]) + " " + o.def.Name + "."
	}
	if o.outdated {
		text = "Deprecated. " + text
	}
	text = schema.Shorten(text, maxWords)
	if o.field == nil {
		return text
	}
	to := b.description.schema.Types[o.field.Type.Name()]
	if to.IsCompositeType() && !strings.Contains(text, to.Name) {
		text += " Gives " + o.field.Type.String() + "."
	}
	if o.fallback != "" && o.byWire(o.fallback) != nil && !o.byWire(o.fallback).Hidden {
		text += " A page has " + schema.Int(defaultPage).Text + " elements unless `" + o.byWire(o.fallback).Name + "` says otherwise."
	}
	f, _ := o.def.SelectionSet[0].(*ast.Field)
	if !t.selects || f == nil {
		return text
	}
	names, needy := b.selector.more(to, f.SelectionSet)
	if len(names) > 0 {
		text += " More with `fields`: " + schema.Shorten(strings.Join(names, ", "), moreWords) + "."
	}
	if len(needy) > 0 {
		text += " Left out, since they need arguments: " + schema.Shorten(strings.Join(needy, ", "), moreWords) + "."
	}
	return text
}

// moreWords bounds what a description tells of fields that can be asked for, in bytes.
const moreWords = 200

// document is what the search knows of the tool.
func (b *builder) document(t *tool) translate.Document {
	o := t.op
	d := translate.Document{
		Name: t.Name, Path: string(o.def.Operation) + " " + o.def.Name, Summary: schema.Shorten(o.words, 160), Text: o.words, Tags: []string{string(o.def.Operation)}, Outdated: o.outdated,
	}
	if o.field != nil {
		d.Tags = append(d.Tags, o.field.Type.Name())
	}
	if words := o.change.Description; words != "" {
		d.Summary = schema.Shorten(words, 160)
	}
	for _, a := range o.arguments {
		if a.Hidden {
			continue
		}
		d.Arguments = append(d.Arguments, a.Name)
		if a.Required && a.Fallback == nil {
			d.Required = append(d.Required, a.Name)
		}
	}
	return d
}
