package openapi

import (
	"context"
	"slices"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// dynamic makes the three tools that stand for all.
func (a *API) dynamic(s *state) *translate.Dynamic {
	operations := make([]translate.Operation, len(s.ordered))
	for i, t := range s.ordered {
		pinned := slices.Contains(a.spec.Pinned, t.name) || slices.Contains(a.spec.Pinned, t.key)
		operations[i] = translate.Operation{Document: t.document, Hints: t.hints.Letters(), Pinned: pinned}
	}
	return translate.NewDynamic(a.options.Upstream, operations, translate.DynamicOptions{
		Visible: a.options.Visible,
		Describe: func(name string, path []string, budget int) ([]byte, bool) {
			return s.tools[name].describe(path, budget)
		},
		Call: func(ctx context.Context, c *catalog.Call, name string, raw []byte) (*translate.Result, error) {
			return a.run(ctx, c, s.tools[name], raw)
		},
	})
}

// describe writes the schema of the arguments, or of what path leads to in them.
func (t *tool) describe(path []string, budget int) ([]byte, bool) {
	at := t.full.Root
	for _, step := range path {
		if at = t.step(at, step); at == nil {
			return nil, false
		}
	}
	root := at
	if len(path) > 0 { // what is published has an object at its root
		last := path[len(path)-1]
		root = schema.Map(
			schema.Member{Key: "type", Value: schema.Text("object")},
			schema.Member{Key: "properties", Value: schema.Map(schema.Member{Key: last, Value: at})},
		)
	}
	published, _ := schema.Publish(schema.Full{Root: root, Defs: t.full.Defs}, budget)
	return published, true
}
