package graphql

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"

	"weir/translate"
)

// description is a schema that is whole in itself: every name in it is one, every type that is referred to is there.
type description struct {
	schema   *ast.Schema
	warnings []translate.Warning
	scalars  map[string]bool // types that are referred to and not defined
	files    map[string]bool // input types that a file may stand in
}

// maxWarnings bounds how many faults of one description are kept.
const maxWarnings = 1000

func (d *description) warn(pointer, format string, args ...any) {
	if len(d.warnings) < maxWarnings {
		d.warnings = append(d.warnings, translate.Warning{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
}

// lost records an operation that did not become a tool.
func (d *description) lost(pointer, operation, format string, args ...any) {
	d.warnings = append(d.warnings, translate.Warning{Pointer: pointer, Operation: operation, Message: fmt.Sprintf(format, args...), Lost: true})
}

// sorted returns the warnings in order of place.
func (d *description) sorted() []translate.Warning {
	slices.SortStableFunc(d.warnings, func(a, b translate.Warning) int { return cmp.Compare(a.Pointer, b.Pointer) })
	return d.warnings
}

// open reads a schema: SDL or the JSON of an introspection.
func open(name string, text []byte) (*description, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	var doc *ast.SchemaDocument
	var err error
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		doc, err = introspected(trimmed)
	} else {
		doc, err = parseSDL(name, text)
	}
	if err != nil {
		return nil, err
	}
	d := &description{scalars: make(map[string]bool)}
	d.assemble(doc)
	if d.schema.Query == nil && d.schema.Mutation == nil {
		return nil, errors.New("the schema has no query type")
	}
	return d, nil
}

// isName reports whether s is a name that descriptions may give (specification, section 2.1.9): two underscores in front are the system's own.
func isName(s string) bool {
	if s == "" || strings.HasPrefix(s, "__") {
		return false
	}
	for i, c := range []byte(s) {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// assemble puts the schema together from whatever of doc can be used.
func (d *description) assemble(doc *ast.SchemaDocument) {
	s := &ast.Schema{
		Types: make(map[string]*ast.Definition, len(doc.Definitions)), Directives: make(map[string]*ast.DirectiveDefinition),
		PossibleTypes: make(map[string][]*ast.Definition), Implements: make(map[string][]*ast.Definition),
	}
	d.schema = s
	prelude := validator.PreludeDocument()
	for _, def := range prelude.Definitions {
		s.Types[def.Name] = def
	}
	for _, dir := range prelude.Directives {
		s.Directives[dir.Name] = dir
	}
	var order []*ast.Definition
	for _, def := range append(slices.Clip(doc.Definitions), doc.Extensions...) {
		if there := s.Types[def.Name]; there != nil && there.BuiltIn || strings.HasPrefix(def.Name, "__") {
			continue // introspection lists them, and some descriptions declare them again
		}
		if !isName(def.Name) {
			d.warn("/types", "the type %q is left out: that is no name", cutName(def.Name))
			continue
		}
		if there := s.Types[def.Name]; there != nil {
			if there.Kind != def.Kind {
				d.warn("/types/"+def.Name, "it is defined again as another kind; the first one counts")
				continue
			}
			merge(there, def)
			continue
		}
		s.Types[def.Name] = def
		order = append(order, def)
	}
	for _, def := range order {
		d.tidy(def)
	}
	for name := range d.scalars {
		d.warn("/types/"+name, "it is referred to and not defined; any value is taken")
		s.Types[name] = &ast.Definition{Kind: ast.Scalar, Name: name}
	}
	d.relate(order)
	d.directives(doc.Directives)
	d.roots(doc)
}

func cutName(s string) string { return s[:min(len(s), 100)] }

// merge adds what a second definition or an extension says.
func merge(to, from *ast.Definition) {
	to.Fields = append(to.Fields, from.Fields...)
	to.Interfaces = append(to.Interfaces, from.Interfaces...)
	to.Types = append(to.Types, from.Types...)
	to.EnumValues = append(to.EnumValues, from.EnumValues...)
	to.Directives = append(to.Directives, from.Directives...)
}

// tidy drops what stands in a definition twice or cannot be used.
func (d *description) tidy(def *ast.Definition) {
	at := "/types/" + def.Name
	def.Directives = telling(def.Directives)
	def.Interfaces = d.only(at, "interface", def.Interfaces, ast.Interface)
	def.Types = d.only(at, "member", def.Types, ast.Object)
	seen := make(map[string]bool, len(def.Fields)+len(def.EnumValues))
	values := def.EnumValues[:0]
	for _, v := range def.EnumValues {
		if !isName(v.Name) || seen[v.Name] {
			d.warn(at, "the value %q stands there twice or is no name", cutName(v.Name))
			continue
		}
		seen[v.Name] = true
		v.Directives = telling(v.Directives)
		values = append(values, v)
	}
	def.EnumValues = values
	fields := make(ast.FieldList, 0, len(def.Fields))
	for _, f := range def.Fields {
		at := at + "/fields/" + cutName(f.Name)
		switch {
		case !isName(f.Name):
			d.warn(at, "the field is left out: that is no name")
			continue
		case seen[f.Name]:
			d.warn(at, "the field stands there twice; the first one counts")
			continue
		case !d.usable(def, f):
			d.warn(at, "the field is left out: its type is none that it may have")
			continue
		}
		f.Directives = telling(f.Directives)
		if d.arguments(at, f) {
			seen[f.Name] = true
			fields = append(fields, f)
		}
	}
	def.Fields = fields
}

// usable reports whether the type of a field is there and fits the kind of its parent. An input that refers to an unknown type gets a scalar.
func (d *description) usable(def *ast.Definition, f *ast.FieldDefinition) bool {
	if f.Type == nil {
		return false
	}
	if def.Kind == ast.InputObject {
		return d.input(f.Type)
	}
	t := d.schema.Types[f.Type.Name()]
	return t != nil && t.Kind != ast.InputObject && !strings.HasPrefix(t.Name, "__")
}

// input reports whether a type may stand in an input.
func (d *description) input(t *ast.Type) bool {
	if t == nil || !isName(t.Name()) {
		return false
	}
	def := d.schema.Types[t.Name()]
	if def == nil {
		d.scalars[t.Name()] = true
		return true
	}
	return def.IsInputType()
}

// arguments drops those of a field that cannot be used, and reports whether the field can be selected without them.
func (d *description) arguments(at string, f *ast.FieldDefinition) bool {
	kept := make(ast.ArgumentDefinitionList, 0, len(f.Arguments))
	for _, a := range f.Arguments {
		switch {
		case kept.ForName(a.Name) != nil:
			d.warn(at+"/args/"+cutName(a.Name), "the argument stands there twice; the first one counts")
		case isName(a.Name) && d.input(a.Type):
			a.Directives = telling(a.Directives)
			kept = append(kept, a)
		case a.Type != nil && a.Type.NonNull && a.DefaultValue == nil:
			d.warn(at, "the field is left out: its argument %q is required and cannot be given", cutName(a.Name))
			return false
		default:
			d.warn(at, "the argument %q is left out: it has no name or no input type", cutName(a.Name))
		}
	}
	f.Arguments = kept
	return true
}

// only keeps the names of types of one kind, each once.
func (d *description) only(at, what string, names []string, kind ast.DefinitionKind) []string {
	var kept []string
	for _, name := range names {
		if t := d.schema.Types[name]; t == nil || t.Kind != kind {
			d.warn(at, "the %s %q is left out: there is no such type", what, cutName(name))
		} else if !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	return kept
}

// telling keeps the directives that mean something here. Others are matters of the server, and are often not even declared.
func telling(all ast.DirectiveList) ast.DirectiveList {
	var kept ast.DirectiveList
	for _, dir := range all {
		switch dir.Name {
		case "deprecated", "oneOf", "specifiedBy":
			if kept.ForName(dir.Name) == nil {
				kept = append(kept, dir)
			}
		}
	}
	return kept
}

// relate fills in which types stand for which.
func (d *description) relate(order []*ast.Definition) {
	s := d.schema
	for _, def := range order {
		switch def.Kind {
		case ast.Union:
			for _, name := range def.Types {
				s.AddPossibleType(def.Name, s.Types[name])
				s.AddImplements(name, def)
			}
		case ast.Object, ast.Interface:
			for _, name := range def.Interfaces {
				if def.Kind == ast.Object {
					s.AddPossibleType(name, def)
				}
				s.AddImplements(def.Name, s.Types[name])
			}
			if def.Kind == ast.Object {
				s.AddPossibleType(def.Name, def)
			}
		default:
		}
	}
}

// directives adds those that an operation may use.
func (d *description) directives(all ast.DirectiveDefinitionList) {
	for _, dir := range all {
		there := d.schema.Directives[dir.Name]
		if there != nil || !isName(dir.Name) {
			continue
		}
		usable := true
		for _, a := range dir.Arguments {
			t := d.schema.Types[typeName(a.Type)]
			usable = usable && isName(a.Name) && t != nil && t.IsInputType()
		}
		if usable {
			dir.Directives = nil
			d.schema.Directives[dir.Name] = dir
		}
	}
}

func typeName(t *ast.Type) string {
	if t == nil {
		return ""
	}
	return t.Name()
}

// roots finds the types of the operations: those that the schema names, else those of the usual names.
func (d *description) roots(doc *ast.SchemaDocument) {
	names := map[ast.Operation]string{}
	for _, def := range append(slices.Clip(doc.Schema), doc.SchemaExtension...) {
		if d.schema.Description == "" {
			d.schema.Description = def.Description
		}
		for _, t := range def.OperationTypes {
			if names[t.Operation] == "" {
				names[t.Operation] = t.Type
			}
		}
	}
	if len(names) == 0 {
		names = map[ast.Operation]string{ast.Query: "Query", ast.Mutation: "Mutation", ast.Subscription: "Subscription"}
	}
	for op, to := range map[ast.Operation]**ast.Definition{ast.Query: &d.schema.Query, ast.Mutation: &d.schema.Mutation, ast.Subscription: &d.schema.Subscription} {
		t := d.schema.Types[names[op]]
		switch {
		case t != nil && t.Kind == ast.Object:
			*to = t
		case names[op] != "" && len(doc.Schema) > 0:
			d.warn("/schema", "the type of %s is %q, which is no object type", op, cutName(names[op]))
		}
	}
}

// root is the type that an operation of a kind starts from, nil when the schema has none.
func (d *description) root(op ast.Operation) *ast.Definition {
	switch op {
	case ast.Mutation:
		return d.schema.Mutation
	case ast.Subscription:
		return d.schema.Subscription
	default:
		return d.schema.Query
	}
}
