package graphql

import (
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"weir/translate/schema"
)

// page is a connection in the answer whose next page an argument asks for (Relay, GraphQL Cursor Connections Specification).
type page struct {
	path     []string  // to the connection, from data
	info     string    // its pageInfo in the answer
	argument *argument // takes the cursor
}

// pagesOf finds the connections of an operation that have a cursor among the arguments and no list around them.
func pagesOf(o *operation) []page {
	var pages []page
	var walk func(set ast.SelectionSet, path []string)
	walk = func(set ast.SelectionSet, path []string) {
		for _, sel := range set {
			switch sel := sel.(type) {
			case *ast.InlineFragment:
				walk(sel.SelectionSet, path)
			case *ast.FragmentSpread:
				if f := o.fragments.ForName(sel.Name); f != nil && len(path) < maxOutputDepth {
					walk(f.SelectionSet, path)
				}
			case *ast.Field:
				if sel.Definition == nil || sel.Definition.Type.Elem != nil || len(path) >= maxOutputDepth {
					continue
				}
				here := append(append([]string(nil), path...), sel.Alias)
				if p, ok := o.pageOf(sel, here); ok {
					pages = append(pages, p)
				}
				walk(sel.SelectionSet, here)
			}
		}
	}
	walk(o.def.SelectionSet, nil)
	return pages
}

// pageOf reports whether a field is a connection that can be gone on with.
func (o *operation) pageOf(f *ast.Field, path []string) (page, bool) {
	after := f.Arguments.ForName("after")
	if after == nil || after.Value.Kind != ast.Variable {
		return page{}, false
	}
	a := o.byWire(after.Value.Raw)
	if a == nil || a.Hidden {
		return page{}, false
	}
	for _, sel := range f.SelectionSet {
		if info, ok := sel.(*ast.Field); ok && info.Name == "pageInfo" {
			return page{path: path, info: info.Alias, argument: a}, true
		}
	}
	return page{}, false
}

// next says how to ask for what follows, "" when nothing does.
func (t *tool) next(data *schema.Value) string {
	for _, p := range t.pages {
		at := data
		for _, step := range p.path {
			at = at.Get(step)
		}
		info := at.Get(p.info)
		if !info.True("hasNextPage") {
			continue
		}
		cursor := info.GetText("endCursor")
		if cursor == "" {
			return "There is more."
		}
		return "There is more: call again with " + p.argument.Name + "=" + strconv.Quote(schema.Shorten(cursor, 1000)) + " and the same other arguments."
	}
	return ""
}
