package openapi

import (
	"slices"
	"strings"

	"weir/catalog"
)

// filter is a pattern of include and exclude: words that must all match, each a glob. A word with / in front matches the path, one with tag: in
// front a tag, a method (alone, in capitals) the method, and any other the operationId or the name of the tool: "getPet*", "GET /pets/*", "tag:pets".
// A tag with spaces is written with ? for them.
type filter struct {
	operation, tag, path, method catalog.Glob
}

// parseFilters reads include or exclude.
func parseFilters(patterns []string) []filter {
	all := make([]filter, len(patterns))
	for i, p := range patterns {
		words := strings.Fields(p)
		for _, word := range words {
			tag, isTag := strings.CutPrefix(word, "tag:")
			switch {
			case isTag:
				all[i].tag = catalog.Glob(tag)
			case strings.HasPrefix(word, "/"):
				all[i].path = catalog.Glob(word)
			case slices.Contains(methods(), strings.ToLower(word)) && (len(words) > 1 || word == strings.ToUpper(word)):
				all[i].method = catalog.Glob(strings.ToUpper(word))
			case all[i].operation != "":
				all[i].operation += catalog.Glob(" " + word) // nothing is called so
			default:
				all[i].operation = catalog.Glob(word)
			}
		}
	}
	return all
}

func (f filter) matches(o *operation, name string) bool {
	switch {
	case f == (filter{}):
		return false
	case f.operation != "" && !f.operation.Match(o.id) && !f.operation.Match(name):
		return false
	case f.tag != "" && !slices.ContainsFunc(o.tags, f.tag.Match):
		return false
	case f.path != "" && !f.path.Match(strings.TrimPrefix(o.identity, o.method+" ")):
		return false
	}
	return f.method == "" || f.method.Match(o.method)
}
