package graphql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"weir/translate/schema"
)

// want is a tree of the fields that a caller asks for, in order.
type want struct {
	name     string
	children []*want
}

// child finds or adds a child.
func (w *want) child(name string) *want {
	for _, c := range w.children {
		if c.name == name {
			return c
		}
	}
	c := &want{name: name}
	w.children = append(w.children, c)
	return c
}

const (
	maxPaths   = 100
	allFields  = "*"
	nestedPage = "10" // elements of a page inside a page
)

// wanted reads paths: "name", "owner.login", "owner.*". Marks for lists, as in items[].name and items.*.name, mean nothing here.
func wanted(paths []string) (*want, error) {
	if len(paths) > maxPaths {
		return nil, fmt.Errorf("more than %d paths", maxPaths)
	}
	root := &want{}
	for _, path := range paths {
		at := root
		steps := strings.FieldsFunc(strings.NewReplacer("[]", "", "[*]", "").Replace(path), func(r rune) bool { return strings.ContainsRune("./ \t", r) })
		for i, step := range steps {
			if step == "#" || step == allFields && i < len(steps)-1 {
				continue
			}
			at = at.child(step)
		}
	}
	return root, nil
}

// pick selects what w asks for of def. The error is a sentence for models.
func (s *selector) pick(def *ast.Definition, w *want, depth int, at string) (ast.SelectionSet, error) {
	if depth < 1 {
		return nil, fmt.Errorf("%s lies too deep", at)
	}
	var set ast.SelectionSet
	if def.IsAbstractType() {
		set = append(set, typename(def))
	}
	under := &want{} // steps that leave the pages of a connection out
	for _, c := range w.children {
		if s.left--; s.left <= 0 {
			return nil, errTooMany
		}
		f := def.Fields.ForName(c.name)
		switch {
		case c.name == allFields:
			set = append(set, s.level(def, 1, true, nil)...)
		case c.name == "__typename":
			set = append(set, typename(def))
		case f != nil:
			one, err := s.pickField(def, f, c, depth, at)
			if err != nil {
				return nil, err
			}
			set = append(set, one)
		case def.IsAbstractType():
			more, err := s.pickMember(def, c, depth, at)
			if err != nil {
				return nil, err
			}
			set = append(set, more...)
		case s.isConnection(def):
			under.children = append(under.children, c)
		default:
			return nil, s.unknown(def, c.name, at)
		}
	}
	if len(under.children) > 0 {
		nodes, err := s.nodes(def, func(to *ast.Definition) (ast.SelectionSet, error) { return s.pick(to, under, depth-1, at) })
		if err != nil {
			return nil, err
		}
		set = append(set, nodes)
	}
	if s.isConnection(def) && def.Fields.ForName("pageInfo") != nil && !selects(w, "pageInfo") && !selects(w, allFields) {
		set = append(set, s.pageInfo(def))
	}
	return set, nil
}

func selects(w *want, name string) bool {
	return slices.ContainsFunc(w.children, func(c *want) bool { return c.name == name })
}

// pickField selects one field that the type has.
func (s *selector) pickField(def *ast.Definition, f *ast.FieldDefinition, c *want, depth int, at string) (*ast.Field, error) {
	at = strings.TrimPrefix(at+"."+f.Name, ".")
	if name := needsArguments(f); name != "" {
		return nil, fmt.Errorf("`%s` needs the argument %q, which cannot be given here", at, name)
	}
	to := s.of(f)
	out := field(def, f, nil)
	if to.IsLeafType() {
		if len(c.children) > 0 && (len(c.children) > 1 || c.children[0].name != allFields) {
			return nil, fmt.Errorf("`%s` is a plain value and has no fields", at)
		}
		return out, nil
	}
	if a := f.Arguments.ForName("first"); a != nil && a.Type.NamedType == "Int" && a.DefaultValue == nil && s.isConnection(to) {
		out.Arguments = ast.ArgumentList{{Name: "first", Value: &ast.Value{Kind: ast.IntValue, Raw: nestedPage}}}
	}
	var err error
	if len(c.children) == 0 {
		out.SelectionSet = s.level(to, 1, true, nil)
	} else {
		out.SelectionSet, err = s.pick(to, c, depth-1, at)
	}
	return out, err
}

// pickMember selects what only members of an abstract type have: a step may name a member, or a field that some of them have.
func (s *selector) pickMember(def *ast.Definition, c *want, depth int, at string) (ast.SelectionSet, error) {
	members := s.schema.PossibleTypes[def.Name]
	for _, m := range members {
		if m.Name != c.name {
			continue
		}
		if len(c.children) == 0 {
			c.child(allFields)
		}
		set, err := s.pick(m, c, depth, at)
		return s.fragment(def, m, set), err
	}
	var all ast.SelectionSet
	for _, m := range members {
		f := m.Fields.ForName(c.name)
		if f == nil || len(all) == mostMembers {
			continue
		}
		if s.left--; s.left <= 0 {
			return nil, errTooMany
		}
		one, err := s.pickField(m, f, c, depth, at)
		if err != nil {
			return nil, err
		}
		all = append(all, s.fragment(def, m, ast.SelectionSet{one})...)
	}
	if len(all) == 0 {
		return nil, s.unknown(def, c.name, at)
	}
	return all, nil
}

// fragment puts the fields of a member into the selection of an abstract type. Members may have a field of an interface with a narrower type.
func (s *selector) fragment(def, m *ast.Definition, set ast.SelectionSet) ast.SelectionSet {
	clashing := s.clashes(def)
	var own ast.SelectionSet
	for _, sel := range set {
		if f, ok := sel.(*ast.Field); ok {
			sel = aliased(f, m, clashing)
		}
		own = append(own, sel)
	}
	return ast.SelectionSet{&ast.InlineFragment{TypeCondition: m.Name, ObjectDefinition: def, SelectionSet: own}}
}

// unknown says that a type has no such field, and what it has.
func (s *selector) unknown(def *ast.Definition, name, at string) error {
	var names []string
	for _, f := range def.Fields {
		names = append(names, f.Name)
	}
	for _, m := range s.schema.PossibleTypes[def.Name] {
		if def.IsAbstractType() {
			names = append(names, m.Name)
		}
	}
	if s.isConnection(def) {
		if node := s.of(nodeField(s.schema, def)); node != nil {
			for _, f := range node.Fields {
				names = append(names, f.Name)
			}
		}
	}
	where := "the result"
	if at != "" {
		where = "`" + at + "`"
	}
	return fmt.Errorf("%s has no field %q; there are %s", where, schema.Shorten(name, 60), schema.Shorten(strings.Join(names, ", "), 400))
}
