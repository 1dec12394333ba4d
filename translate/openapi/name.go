package openapi

import (
	"strings"

	"weir/translate"
)

// toolName is the name of an operation on its own: a pure function of the operation and the limit.
func toolName(o *operation, limit int) string {
	name := translate.PortableName(o.name)
	if name == "" {
		name = translate.PortableName(o.id)
	}
	if name == "" {
		name = pathName(o)
	}
	return translate.FitName(name, o.identity, limit)
}

// pathName makes a name of method and path: get_users_by_id.
func pathName(o *operation) string {
	words := []string{strings.ToLower(o.method)}
	path, fragment, _ := strings.Cut(o.identity[len(o.method)+1:], "#")
	for segment := range strings.SplitSeq(path+"/"+fragment, "/") {
		plain := segment
		if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") {
			plain = "by_" + segment[1:len(segment)-1]
		}
		if plain = translate.PortableName(plain); plain != "" {
			words = append(words, plain)
		}
	}
	return strings.Join(words, "_")
}

// nameAll names the operations; chosen is what configuration calls one, "" for nothing.
func nameAll(all []*operation, limit int, chosen func(*operation) string) []string {
	wanted := make([]translate.Wanted, len(all))
	for i, o := range all {
		wanted[i] = translate.Wanted{Name: toolName(o, limit), Identity: o.identity}
		if c := translate.PortableName(chosen(o)); c != "" {
			wanted[i].Name = translate.FitName(c, o.identity, limit)
		}
	}
	return translate.NameAll(wanted, limit)
}
