package graphql

import (
	"github.com/vektah/gqlparser/v2/ast"

	"weir/translate/schema"
)

// outputs turns selections into the schema of the data they bring.
type outputs struct {
	inputs    *inputs // for scalars
	fragments ast.FragmentDefinitionList
	nodes     int
}

const (
	maxOutputDepth = 12
	maxOutputNodes = 2000
)

// response is the schema of a whole response: data, beside which errors and extensions may stand.
func (c *outputs) response(set ast.SelectionSet) *schema.Value {
	return schema.Map(
		member("type", schema.Text("object")),
		member("properties", schema.Map(
			member("data", c.set(set, 0)),
			member("errors", schema.Map(member("type", schema.Text("array")))),
		)),
	)
}

// set is the schema of what a selection brings; the members of fragments are among the others.
func (c *outputs) set(set ast.SelectionSet, depth int) *schema.Value {
	properties := schema.Map()
	c.collect(set, properties, depth)
	out := schema.Map(member("type", schema.Text("object")))
	if len(properties.Members) > 0 {
		out.Put("properties", properties)
	}
	return out
}

func (c *outputs) collect(set ast.SelectionSet, properties *schema.Value, depth int) {
	if depth > maxOutputDepth {
		return
	}
	for _, sel := range set {
		if c.nodes++; c.nodes > maxOutputNodes {
			return
		}
		switch sel := sel.(type) {
		case *ast.Field:
			if sel.Definition == nil {
				continue
			}
			v := c.typed(sel.Definition.Type, sel.SelectionSet, depth)
			if there := properties.Get(sel.Alias); there != nil && there.Get("properties") != nil && v.Get("properties") != nil {
				for _, m := range v.Object("properties") {
					there.Get("properties").Put(m.Key, m.Value)
				}
				continue
			}
			properties.Put(sel.Alias, v)
		case *ast.InlineFragment:
			c.collect(sel.SelectionSet, properties, depth+1)
		case *ast.FragmentSpread:
			if f := c.fragments.ForName(sel.Name); f != nil {
				c.collect(f.SelectionSet, properties, depth+1)
			}
		}
	}
}

func (c *outputs) typed(t *ast.Type, set ast.SelectionSet, depth int) *schema.Value {
	if t.Elem != nil {
		return schema.Map(member("type", schema.Text("array")), member("items", c.typed(t.Elem, set, depth)))
	}
	def := c.inputs.description.schema.Types[t.NamedType]
	switch {
	case len(set) > 0:
		return c.set(set, depth+1)
	case def == nil:
		return schema.Map()
	case def.Kind == ast.Enum:
		return schema.Map(member("type", schema.Text("string")))
	case def.BuiltIn && def.Name != "ID":
		return c.inputs.scalar(def).Without("description")
	case def.Name == "ID":
		return schema.Map(member("type", schema.Texts("string", "integer")))
	default:
		return schema.Map() // what a scalar of their own looks like is the server's matter
	}
}
