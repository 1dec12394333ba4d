package graphql

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"weir/translate/schema"
)

const (
	// maxOperationBytes bounds one text of operations, maxOperationTokens what is parsed of it.
	maxOperationBytes  = 8 << 20
	maxOperationTokens = 500_000
	// maxOperationFiles bounds how many files one folder of operations gives.
	maxOperationFiles = 5000
)

// file is one file of operations or a manifest.
type file struct {
	name string
	text []byte
}

// operationFiles reads the files, and those of folders, that configuration names.
func operationFiles(names []string) ([]file, error) {
	var all []file
	for _, name := range names {
		err := filepath.WalkDir(name, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() || path != name && !isOperationFile(path):
				return nil
			case len(all) == maxOperationFiles:
				return fmt.Errorf("%s has more than %d files", name, maxOperationFiles)
			}
			text, err := os.ReadFile(path) //nolint:gosec // configuration names it
			if err == nil && len(text) > maxOperationBytes {
				err = fmt.Errorf("%s is larger than %d MiB", path, maxOperationBytes>>20)
			}
			all = append(all, file{name: path, text: text})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func isOperationFile(name string) bool {
	switch filepath.Ext(name) {
	case ".graphql", ".gql", ".json":
		return true
	}
	return false
}

// persisted is an operation of a manifest: its text must be sent as it is.
type persisted struct{ id, text string }

// manifest reads a manifest of persisted operations: that of Apollo (format apollo-persisted-query-manifest, a list of id and body), and the
// object of identifiers and texts that the compilers of Relay and graphql-codegen write.
func manifest(text []byte) ([]persisted, error) {
	v, err := schema.Parse(text)
	if err != nil {
		return nil, err
	}
	if !v.Is(schema.Object) {
		return nil, errors.New("it is no JSON object")
	}
	var all []persisted
	if list := v.Get("operations"); list.Is(schema.Array) {
		for _, m := range list.Members {
			if body := m.Value.GetText("body"); body != "" {
				all = append(all, persisted{id: m.Value.GetText("id"), text: body})
			}
		}
		if len(all) == 0 {
			return nil, errors.New("operations has no entry with a body")
		}
		return all, nil
	}
	for _, m := range v.Members {
		if !m.Value.Is(schema.String) {
			return nil, fmt.Errorf("%q is no text of an operation", schema.Shorten(m.Key, 80))
		}
		all = append(all, persisted{id: m.Key, text: m.Value.Text})
	}
	if len(all) == 0 {
		return nil, errors.New("no operation is in it")
	}
	return all, nil
}

// written are the operations of files, with a warning for each that does not fit the schema.
func (b *builder) written(files []file) []*operation {
	var docs []*ast.QueryDocument
	var shared ast.FragmentDefinitionList
	var all []*operation
	for _, f := range files {
		text := bytes.TrimPrefix(f.text, []byte("\xef\xbb\xbf"))
		if filepath.Ext(f.name) == ".json" {
			all = append(all, b.manifested(f.name, text)...)
			continue
		}
		doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Name: f.name, Input: string(text)}, maxOperationTokens)
		if err != nil {
			b.description.lost(f.name, "", "the file is left out: %v", err)
			continue
		}
		docs = append(docs, doc)
		for _, fragment := range doc.Fragments {
			if there := shared.ForName(fragment.Name); there != nil {
				b.description.warn(f.name, "the fragment %s stands in %s too; the first one counts", fragment.Name, source(there.Position))
				continue
			}
			shared = append(shared, fragment)
		}
	}
	for _, doc := range docs {
		for _, def := range doc.Operations {
			needed, err := spread(def.SelectionSet, shared)
			if err != nil {
				b.description.lost(source(def.Position), def.Name, "the operation is left out: %v", err)
				continue
			}
			if o := b.checked(def, needed); o != nil {
				o.seal(write(def, needed))
				all = append(all, o)
			}
		}
	}
	return all
}

func source(p *ast.Position) string {
	if p == nil || p.Src == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.Src.Name, p.Line)
}

// manifested are the operations of a manifest.
func (b *builder) manifested(name string, text []byte) []*operation {
	list, err := manifest(text)
	if err != nil {
		b.description.lost(name, "", "the manifest is left out: %v", err)
		return nil
	}
	var all []*operation
	for _, p := range list {
		at := name + "#" + schema.Shorten(p.id, 80)
		doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Name: at, Input: p.text}, maxOperationTokens)
		if err != nil || len(doc.Operations) != 1 {
			b.description.lost(at, "", "the operation is left out: %v", cmp.Or(err, errors.New("its text is not one operation")))
			continue
		}
		if o := b.checked(doc.Operations[0], doc.Fragments); o != nil {
			o.id = p.id
			o.seal(p.text)
			all = append(all, o)
		}
	}
	return all
}

// spread returns the fragments that a selection spreads, those inside of them too, in order of their names.
func spread(set ast.SelectionSet, all ast.FragmentDefinitionList) (ast.FragmentDefinitionList, error) {
	found := make(map[string]*ast.FragmentDefinition)
	pending := []ast.SelectionSet{set}
	for len(pending) > 0 {
		set, pending = pending[len(pending)-1], pending[:len(pending)-1]
		for _, sel := range set {
			switch sel := sel.(type) {
			case *ast.Field:
				pending = append(pending, sel.SelectionSet)
			case *ast.InlineFragment:
				pending = append(pending, sel.SelectionSet)
			case *ast.FragmentSpread:
				if found[sel.Name] != nil {
					continue
				}
				f := all.ForName(sel.Name)
				if f == nil {
					return nil, fmt.Errorf("the fragment %q is not there", sel.Name)
				}
				found[sel.Name] = f
				pending = append(pending, f.SelectionSet)
			}
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	var needed ast.FragmentDefinitionList
	for _, name := range names {
		needed = append(needed, found[name])
	}
	return needed, nil
}

// checked validates an operation against the schema and makes one of it; nil, with a warning, when it cannot be used.
func (b *builder) checked(def *ast.OperationDefinition, fragments ast.FragmentDefinitionList) *operation {
	at := source(def.Position)
	switch {
	case def.Name == "":
		b.description.lost(at, "", "the operation is left out: it has no name")
		return nil
	case def.Operation == ast.Subscription && b.spec.Subscriptions == "":
		b.description.lost(at, def.Name, "the operation is left out: subscriptions are not configured")
		return nil
	case b.description.root(def.Operation) == nil:
		b.description.lost(at, def.Name, "the operation is left out: the schema has no type for a %s", def.Operation)
		return nil
	}
	doc := &ast.QueryDocument{Operations: ast.OperationList{def}, Fragments: fragments}
	if _, err := measure(doc, nil); err != nil {
		b.description.lost(at, def.Name, "the operation is left out: %v", err)
		return nil
	}
	if faults := validator.ValidateWithRules(b.description.schema, doc, rules.NewDefaultRules()); len(faults) > 0 {
		b.description.lost(at, def.Name, "the operation is left out: %s", faults[0].Message)
		return nil
	}
	o := &operation{def: def, fragments: fragments, key: def.Name, identity: "operation " + def.Name, at: at}
	o.words = b.about(def)
	usage := variableUse(doc)
	for _, v := range def.VariableDefinitions {
		text := v.Description
		if text == "" {
			text = comment(v.Comment)
		}
		if text == "" {
			text = usage[v.Variable]
		}
		o.arguments = append(o.arguments, b.argument(v.Variable, v.Type, text, nil, v.DefaultValue, v.Variable))
	}
	return o
}

// about is the description of a written operation: its own, the comment above it, or what the schema says about its root fields.
func (b *builder) about(def *ast.OperationDefinition) string {
	if text := schema.Clean(def.Description); text != "" {
		return text
	}
	if text := schema.Clean(comment(def.Comment)); text != "" {
		return text
	}
	var parts []string
	for _, sel := range def.SelectionSet {
		if f, ok := sel.(*ast.Field); ok && f.Definition != nil && f.Definition.Description != "" {
			parts = append(parts, schema.Clean(f.Definition.Description))
		}
	}
	return strings.Join(parts, " ")
}

func comment(group *ast.CommentGroup) string {
	if group == nil {
		return ""
	}
	var lines []string
	for _, c := range group.List {
		lines = append(lines, strings.TrimSpace(c.Text()))
	}
	return strings.TrimSpace(strings.Join(lines, " "))
}

// variableUse finds what the schema says about the arguments that variables are given to.
func variableUse(doc *ast.QueryDocument) map[string]string {
	use := make(map[string]string)
	var inSet func(ast.SelectionSet)
	inArguments := func(f *ast.Field) {
		for _, a := range f.Arguments {
			if a.Value.Kind == ast.Variable && use[a.Value.Raw] == "" && f.Definition != nil {
				if def := f.Definition.Arguments.ForName(a.Name); def != nil {
					use[a.Value.Raw] = def.Description
				}
			}
			inObject(a.Value, use)
		}
	}
	inSet = func(set ast.SelectionSet) {
		for _, sel := range set {
			switch sel := sel.(type) {
			case *ast.Field:
				inArguments(sel)
				inSet(sel.SelectionSet)
			case *ast.InlineFragment:
				inSet(sel.SelectionSet)
			}
		}
	}
	for _, def := range doc.Operations {
		inSet(def.SelectionSet)
	}
	for _, f := range doc.Fragments {
		inSet(f.SelectionSet)
	}
	return use
}

// inObject finds variables inside an input object.
func inObject(v *ast.Value, use map[string]string) {
	for _, c := range v.Children {
		if c.Value.Kind == ast.Variable && use[c.Value.Raw] == "" && v.Definition != nil {
			if f := v.Definition.Fields.ForName(c.Name); f != nil {
				use[c.Value.Raw] = f.Description
			}
		}
		inObject(c.Value, use)
	}
}
