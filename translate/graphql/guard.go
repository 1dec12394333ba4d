package graphql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"weir/translate/schema"
)

// size is how large an operation is with every fragment written out where it is spread.
type size struct {
	depth   int // fields inside each other
	fields  int
	aliases int // fields with another name than their own
	cost    int // fields, each counted as often as the lists around it may have elements
}

// enough is where counting ends: sums never overflow.
const enough = 1 << 40

func bounded(n int) int { return min(n, enough) }

// measurer counts. Each fragment is counted once and its size taken from then on, so that fragments inside fragments cost nothing to count.
type measurer struct {
	fragments ast.FragmentDefinitionList
	variables *schema.Value // nil when they are not known
	defaults  ast.VariableDefinitionList
	sizes     map[string]*size
	open      map[string]bool
}

var errCycle = errors.New("a fragment spreads itself")

// measure returns the size of the one operation of doc; an operation and its fragments that have a cycle have none.
func measure(doc *ast.QueryDocument, variables *schema.Value) (size, error) {
	m := measurer{fragments: doc.Fragments, variables: variables, defaults: doc.Operations[0].VariableDefinitions, sizes: make(map[string]*size), open: make(map[string]bool)}
	return m.set(doc.Operations[0].SelectionSet)
}

func (s *size) add(inner size) {
	s.depth = max(s.depth, inner.depth)
	s.fields = bounded(s.fields + inner.fields)
	s.aliases = bounded(s.aliases + inner.aliases)
	s.cost = bounded(s.cost + inner.cost)
}

// set is the size of a selection.
func (m *measurer) set(set ast.SelectionSet) (size, error) {
	var s size
	for _, sel := range set {
		var inner size
		var err error
		switch sel := sel.(type) {
		case *ast.Field:
			if inner, err = m.set(sel.SelectionSet); err == nil {
				elements := m.elements(sel)
				inner.depth++
				inner.fields = bounded(inner.fields + 1)
				inner.cost = bounded((inner.cost + 1) * elements)
				if sel.Alias != "" && sel.Alias != sel.Name {
					inner.aliases++
				}
			}
		case *ast.InlineFragment:
			inner, err = m.set(sel.SelectionSet)
		case *ast.FragmentSpread:
			inner, err = m.fragment(sel.Name)
		}
		if err != nil {
			return s, err
		}
		s.add(inner)
	}
	return s, nil
}

func (m *measurer) fragment(name string) (size, error) {
	if s := m.sizes[name]; s != nil {
		return *s, nil
	}
	f := m.fragments.ForName(name)
	switch {
	case m.open[name]:
		return size{}, errCycle
	case f == nil:
		return size{}, fmt.Errorf("the fragment %q is not there", schema.Shorten(name, 80))
	}
	m.open[name] = true
	s, err := m.set(f.SelectionSet)
	m.open[name] = false
	if err == nil {
		m.sizes[name] = &s
	}
	return s, err
}

// elements is how many elements a field may bring: what it is asked for, where it can be told.
func (m *measurer) elements(f *ast.Field) int {
	for _, a := range f.Arguments {
		switch a.Name {
		case "first", "last", "limit", "take", "pageSize", "perPage", "count", "top":
		default:
			continue
		}
		text := a.Value.Raw
		if a.Value.Kind == ast.Variable {
			v := m.variables.Get(text)
			if def := m.defaults.ForName(text); v == nil && def != nil {
				v = constant(def.DefaultValue)
			}
			if !v.Is(schema.Number) {
				continue
			}
			text = v.Text
		}
		n := 0
		for _, c := range []byte(text) {
			if c < '0' || c > '9' {
				n = enough // signs, fractions and powers are left to the server; nobody gets past the limit with them
				break
			}
			n = bounded(n*10 + int(c-'0'))
		}
		return max(n, 1)
	}
	return 1
}

const (
	// maxQueryBytes and maxQueryTokens bound the text of a model's own.
	maxQueryBytes  = 32 << 10
	maxQueryTokens = 4000
)

// guarded is a text of a model's own that may be sent.
type guarded struct {
	doc  *ast.QueryDocument
	text string
}

// guard parses, measures and validates a query text. The error is a sentence for models.
func (b *builder) guard(text string, variables *schema.Value) (*guarded, error) {
	if len(text) > maxQueryBytes {
		return nil, fmt.Errorf("the text is longer than %d KiB", maxQueryBytes>>10)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxQueryTokens)
	if err != nil {
		return nil, fmt.Errorf("the text cannot be read: %s", schema.Shorten(strings.TrimPrefix(err.Error(), "input:"), 300))
	}
	if len(doc.Operations) != 1 {
		return nil, fmt.Errorf("the text has %d operations; exactly one is taken", len(doc.Operations))
	}
	op := doc.Operations[0]
	switch {
	case op.Operation == ast.Mutation && !b.spec.Mutations:
		return nil, errors.New("mutations are not allowed here")
	case op.Operation == ast.Subscription:
		return nil, errors.New("subscriptions are not allowed here")
	case b.description.root(op.Operation) == nil:
		return nil, fmt.Errorf("the API has no %s", op.Operation)
	}
	if name := introspects(doc); name != "" {
		return nil, fmt.Errorf("the field %s is refused: what the API has is told by this gateway", name)
	}
	s, err := measure(doc, variables)
	if err != nil {
		return nil, err
	}
	limits := b.spec.Query.limits()
	for _, l := range [...]struct {
		what      string
		has, most int
	}{{"levels of fields", s.depth, limits.Depth}, {"fields", s.fields, limits.Fields}, {"aliases", s.aliases, limits.Aliases}, {"cost", s.cost, limits.Cost}} {
		if l.has > l.most {
			return nil, fmt.Errorf("it has more than %d %s; ask for less at once", l.most, l.what)
		}
	}
	if n := len(op.SelectionSet); op.Operation == ast.Mutation && n > 1 {
		return nil, errors.New("one mutation at a time is taken")
	}
	if faults := validator.ValidateWithRules(b.description.schema, doc, rules.NewDefaultRules()); len(faults) > 0 {
		var lines []string
		for i, f := range faults {
			if i == 5 {
				break
			}
			lines = append(lines, schema.Shorten(f.Message, 300))
		}
		return nil, errors.New("it does not fit the schema: " + strings.TrimRight(strings.Join(lines, " "), ".?"))
	}
	return &guarded{doc: doc, text: write(op, doc.Fragments)}, nil
}

// introspects returns a field of the introspection system that doc selects, "" when there is none.
func introspects(doc *ast.QueryDocument) string {
	pending := []ast.SelectionSet{doc.Operations[0].SelectionSet}
	for _, f := range doc.Fragments {
		pending = append(pending, f.SelectionSet)
	}
	for len(pending) > 0 {
		set := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		for _, sel := range set {
			switch sel := sel.(type) {
			case *ast.Field:
				if strings.HasPrefix(sel.Name, "__") && sel.Name != "__typename" {
					return sel.Name
				}
				pending = append(pending, sel.SelectionSet)
			case *ast.InlineFragment:
				pending = append(pending, sel.SelectionSet)
			}
		}
	}
	return ""
}
