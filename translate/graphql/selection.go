package graphql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// topLeaves and nestedLeaves bound the leaves that are selected of one type by default, topObjects and nestedObjects what holds more.
	topLeaves, nestedLeaves   = 40, 10
	topObjects, nestedObjects = 16, 6
	// mostMembers bounds how many members of a union are looked into, mostImplementers how many types behind an interface.
	mostMembers, mostImplementers = 12, 6
	// mostFields bounds a generated selection.
	mostFields = 160
)

// selector generates selection sets. One serves all operations of a schema, one after the other: it remembers what it found out about a type, since
// many operations may lead to one that is very wide.
type selector struct {
	schema *ast.Schema
	left   int // how many fields may still be selected
	known  map[*ast.Definition]*usualFields
	pages  map[*ast.Definition]bool // see isConnection
}

// usualFields are the fields of a type that default selections may have.
type usualFields struct {
	leaves   []*ast.FieldDefinition
	objects  []*ast.FieldDefinition // and other types with fields of their own, at most mostLooked
	clashing map[string]bool        // nil until it is asked for: see clashes
}

// mostLooked bounds how many fields of one type are looked at in a selection, and how many are named.
const mostLooked = 500

// usual finds the usual fields of a type, once.
func (s *selector) usual(def *ast.Definition) *usualFields {
	if u := s.known[def]; u != nil {
		return u
	}
	u := &usualFields{}
	for _, f := range def.Fields {
		switch to := s.schema.Types[f.Type.Name()]; {
		case to.IsLeafType() && usual(f):
			u.leaves = append(u.leaves, f)
		case to.IsCompositeType() && len(u.objects) < mostLooked && usual(f) && !s.isConnection(to) && (f.Type.Elem == nil || len(f.Arguments) == 0):
			u.objects = append(u.objects, f)
		}
	}
	u.leaves = preferred(u.leaves, topLeaves)
	if s.known == nil {
		s.known = make(map[*ast.Definition]*usualFields)
	}
	s.known[def] = u
	return u
}

// defaults selects what is short and close: the leaves of def and, to a depth, of what it holds.
func (s *selector) defaults(def *ast.Definition, depth int) ast.SelectionSet {
	s.left = mostFields
	return s.level(def, depth, true, nil)
}

// level selects of one type. path are the types around it, top that it is the result itself.
func (s *selector) level(def *ast.Definition, depth int, top bool, path []string) ast.SelectionSet {
	var set ast.SelectionSet
	switch {
	case def.IsAbstractType():
		set = s.abstract(def, depth, top, path)
	case s.isConnection(def):
		set = s.connection(def, depth, top, path)
	default:
		set = s.object(def, depth, top, path)
	}
	if len(set) == 0 {
		set = ast.SelectionSet{typename(def)}
	}
	return set
}

func typename(def *ast.Definition) *ast.Field {
	return &ast.Field{
		Alias: "__typename", Name: "__typename", ObjectDefinition: def, Definition: &ast.FieldDefinition{Name: "__typename", Type: ast.NonNullNamedType("String", nil)},
	}
}

func field(def *ast.Definition, f *ast.FieldDefinition, set ast.SelectionSet) *ast.Field {
	return &ast.Field{Alias: f.Name, Name: f.Name, Definition: f, ObjectDefinition: def, SelectionSet: set}
}

// neededArguments are those without which a field cannot be selected.
func neededArguments(f *ast.FieldDefinition) []string {
	var names []string
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil {
			names = append(names, a.Name)
		}
	}
	return names
}

// needsArguments is the first of them, "" for none.
func needsArguments(f *ast.FieldDefinition) string {
	if names := neededArguments(f); len(names) > 0 {
		return names[0]
	}
	return ""
}

// plain reports whether a field works without arguments and is not on its way out.
func plain(f *ast.FieldDefinition) bool {
	return needsArguments(f) == "" && f.Directives.ForName("deprecated") == nil
}

// usual reports whether a field is part of default selections: a plain one of which the schema does not say that it takes special rights, since
// it would be answered with an error.
func usual(f *ast.FieldDefinition) bool {
	if !plain(f) {
		return false
	}
	text := strings.ToLower(f.Description)
	return !strings.Contains(text, "permission") || !strings.Contains(text, "require")
}

// object selects the fields of an object or interface.
func (s *selector) object(def *ast.Definition, depth int, top bool, path []string) ast.SelectionSet {
	leaves, objects := nestedLeaves, nestedObjects
	if top {
		leaves, objects = topLeaves, topObjects
	}
	var set ast.SelectionSet
	fields := s.usual(def)
	for _, f := range preferred(fields.leaves, leaves) {
		if s.left--; s.left <= 0 {
			break
		}
		set = append(set, field(def, f, nil))
	}
	if depth <= 1 {
		return set
	}
	path = append(slices.Clip(path), def.Name)
	for _, f := range fields.objects {
		to := s.schema.Types[f.Type.Name()]
		if objects == 0 || s.left <= 0 {
			break
		}
		if slices.Contains(path, to.Name) {
			continue
		}
		inner := s.level(to, depth-1, false, path)
		if len(inner) == 1 && tellsNothing(inner[0]) {
			continue
		}
		objects--
		s.left--
		set = append(set, field(def, f, inner))
	}
	return set
}

// tellsNothing reports whether a selection has nothing but the type in it.
func tellsNothing(sel ast.Selection) bool {
	f, ok := sel.(*ast.Field)
	return ok && f.Name == "__typename"
}

// preferred keeps at most n fields: those that tell most come first when some have to go; the order stays.
func preferred(all []*ast.FieldDefinition, n int) []*ast.FieldDefinition {
	if len(all) <= n {
		return all
	}
	telling := func(f *ast.FieldDefinition) bool {
		switch strings.ToLower(f.Name) {
		case "id", "name", "title", "login", "key", "slug", "code", "number", "url", "email", "status", "state", "type", "description", "createdat", "updatedat", "amount", "currency", "label", "value":
			return true
		}
		return false
	}
	keep := make(map[*ast.FieldDefinition]bool, n)
	for _, wanted := range [...]bool{true, false} {
		for _, f := range all {
			if len(keep) < n && telling(f) == wanted {
				keep[f] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(f *ast.FieldDefinition) bool { return !keep[f] })
}

// isConnection recognizes the pages of the Relay specification: nodes or edges beside pageInfo.
func (s *selector) isConnection(def *ast.Definition) bool {
	is, known := s.pages[def]
	if !known {
		is = def.Kind == ast.Object && def.Fields.ForName("pageInfo") != nil && nodeField(s.schema, def) != nil
		if s.pages == nil {
			s.pages = make(map[*ast.Definition]bool)
		}
		s.pages[def] = is
	}
	return is
}

// nodeField is the field of a connection through which its nodes are reached: nodes, or edges whose elements have a node. Nil when there is none.
func nodeField(schema *ast.Schema, def *ast.Definition) *ast.FieldDefinition {
	if f := def.Fields.ForName("nodes"); f != nil && f.Type.Elem != nil && plain(f) {
		return f
	}
	f := def.Fields.ForName("edges")
	if f == nil || f.Type.Elem == nil || !plain(f) {
		return nil
	}
	if edge := schema.Types[f.Type.Name()]; edge.Fields.ForName("node") != nil && plain(edge.Fields.ForName("node")) {
		return f
	}
	return nil
}

// nodes wraps what is selected of the nodes of a connection.
func (s *selector) nodes(def *ast.Definition, inner func(*ast.Definition) (ast.SelectionSet, error)) (*ast.Field, error) {
	f := nodeField(s.schema, def)
	to := s.schema.Types[f.Type.Name()]
	if f.Name == "nodes" {
		set, err := inner(to)
		return field(def, f, set), err
	}
	node := to.Fields.ForName("node")
	nodeType := s.schema.Types[node.Type.Name()]
	if nodeType.IsLeafType() {
		return field(def, f, ast.SelectionSet{field(to, node, nil)}), nil
	}
	set, err := inner(nodeType)
	return field(def, f, ast.SelectionSet{field(to, node, set)}), err
}

// connection selects the nodes of a page and where the next one starts.
func (s *selector) connection(def *ast.Definition, depth int, top bool, path []string) ast.SelectionSet {
	if slices.Contains(path, def.Name) {
		return nil // a page of pages
	}
	var set ast.SelectionSet
	if f := def.Fields.ForName("totalCount"); f != nil && plain(f) && s.schema.Types[f.Type.Name()].IsLeafType() {
		set = append(set, field(def, f, nil))
	}
	nodes, err := s.nodes(def, func(to *ast.Definition) (ast.SelectionSet, error) {
		if to.IsLeafType() {
			return nil, nil
		}
		return s.level(to, depth, top, append(slices.Clip(path), def.Name)), nil
	})
	if err != nil {
		return set
	}
	return append(set, nodes, s.pageInfo(def))
}

// pageInfo selects what leads to the next page.
func (s *selector) pageInfo(def *ast.Definition) *ast.Field {
	f := def.Fields.ForName("pageInfo")
	to := s.schema.Types[f.Type.Name()]
	if to.IsLeafType() {
		return field(def, f, nil)
	}
	var set ast.SelectionSet
	for _, name := range [...]string{"hasNextPage", "endCursor"} {
		if inner := to.Fields.ForName(name); inner != nil && plain(inner) && s.schema.Types[inner.Type.Name()].IsLeafType() {
			set = append(set, field(to, inner, nil))
		}
	}
	if len(set) == 0 {
		set = ast.SelectionSet{typename(to)}
	}
	return field(def, f, set)
}

// abstract selects of a union or interface: what all have, the type, and the fields that single members add.
func (s *selector) abstract(def *ast.Definition, depth int, top bool, path []string) ast.SelectionSet {
	set := ast.SelectionSet{typename(def)}
	most := mostMembers
	if def.Kind == ast.Interface {
		set = append(set, s.object(def, depth, top, path)...)
		most = mostImplementers
	}
	members := s.schema.PossibleTypes[def.Name]
	if def.Kind == ast.Interface && len(members) > most {
		return set
	}
	clashing := s.clashes(def)
	for i, m := range members {
		if i == most || s.left <= 0 {
			break
		}
		var own ast.SelectionSet
		for _, sel := range s.object(m, 1, false, path) {
			f, ok := sel.(*ast.Field)
			if !ok || def.Fields.ForName(f.Name) != nil {
				continue
			}
			own = append(own, aliased(f, m, clashing))
		}
		if len(own) > 0 {
			set = append(set, &ast.InlineFragment{TypeCondition: m.Name, ObjectDefinition: def, SelectionSet: own})
		}
	}
	return set
}

// aliased gives a field that has other types in other members a name of its own in the answer.
func aliased(f *ast.Field, m *ast.Definition, clashing map[string]bool) *ast.Field {
	if clashing[f.Name] {
		f.Alias = f.Name + "_" + m.Name
	}
	return f
}

// clashes are the fields that members of an abstract type have with different types: they cannot stand in one answer under one name
// (specification, section 5.3.2). It depends on the type alone, so that two selections of it agree.
func (s *selector) clashes(def *ast.Definition) map[string]bool {
	known := s.usual(def)
	if known.clashing != nil {
		return known.clashing
	}
	types := make(map[string]string)
	clashing := make(map[string]bool)
	for _, f := range def.Fields {
		types[f.Name] = f.Type.String()
	}
	for _, m := range s.schema.PossibleTypes[def.Name] {
		for _, f := range m.Fields {
			text := f.Type.String()
			if before, there := types[f.Name]; there && before != text {
				clashing[f.Name] = true
			}
			types[f.Name] = text
		}
	}
	known.clashing = clashing
	return clashing
}

// of is the named type of a field.
func (s *selector) of(f *ast.FieldDefinition) *ast.Definition { return s.schema.Types[f.Type.Name()] }

// more names fields of a type that a selection leaves out: those that can be asked for, and with what they need those that cannot, since they need
// arguments.
func (s *selector) more(def *ast.Definition, set ast.SelectionSet) (names, needy []string) {
	if s.isConnection(def) {
		f := nodeField(s.schema, def)
		for _, sel := range set {
			inner, ok := sel.(*ast.Field)
			if !ok || inner.Name != f.Name {
				continue
			}
			if f.Name == "edges" {
				node, _ := inner.SelectionSet[0].(*ast.Field)
				return s.more(s.of(node.Definition), node.SelectionSet)
			}
			return s.more(s.of(f), inner.SelectionSet)
		}
	}
	selected := make(map[string]bool, len(set))
	for _, sel := range set {
		if f, ok := sel.(*ast.Field); ok {
			selected[f.Name] = true
		}
	}
	for _, f := range def.Fields[:min(len(def.Fields), mostLooked)] {
		switch {
		case selected[f.Name] || f.Directives.ForName("deprecated") != nil:
		case plain(f):
			names = append(names, f.Name)
		default:
			needy = append(needy, f.Name+"("+strings.Join(neededArguments(f), ", ")+")")
		}
	}
	return names, needy
}

// errTooMany is the reason for refusing a selection that is too wide.
var errTooMany = fmt.Errorf("more than %d fields", mostFields)
