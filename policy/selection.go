package policy

import (
	"slices"

	"weir/catalog"
)

// Selection compiles patterns, in the form that rules have, to a func that reports whether any of them matches a Ref; nil for no patterns.
func Selection(patterns []string) (func(catalog.Ref) bool, error) {
	if len(patterns) == 0 {
		return nil, nil //nolint:nilnil // no patterns are no selection
	}
	all := make([]pattern, len(patterns))
	for i, text := range patterns {
		p, err := parsePattern(text)
		if err != nil {
			return nil, err
		}
		all[i] = p
	}
	return func(ref catalog.Ref) bool {
		return slices.ContainsFunc(all, func(p pattern) bool { return p.match(ref) })
	}, nil
}
