package openapi

import (
	"context"
	"slices"

	"weir/catalog"
	"weir/translate"
)

// dynamic makes the three tools that stand for all.
func (a *API) dynamic(s *state) *translate.Dynamic {
	operations := make([]translate.Operation, len(s.ordered))
	for i, t := range s.ordered {
		pinned := slices.Contains(a.spec.Pinned, t.name) || slices.Contains(a.spec.Pinned, t.key)
		operations[i] = translate.Operation{Document: t.document, Hints: t.hints.Letters(), Pinned: pinned}
	}
	return translate.NewDynamic(a.options.Upstream, operations, translate.DynamicOptions{
		Describe: func(name string, path []string, budget int) ([]byte, bool) {
			return s.tools[name].input.Describe(path, budget)
		},
		Call: func(ctx context.Context, c *catalog.Call, name string, raw []byte) (*translate.Result, error) {
			return a.run(ctx, c, s.tools[name], raw)
		},
	})
}
