package openapi

import (
	"strings"

	"weir/translate"
)

// toolName is the name of an operation on its own: a pure function of the operation.
func (o *operation) toolName() string {
	for _, name := range [...]string{o.name, o.id} {
		if name = translate.PortableName(name); name != "" {
			return name
		}
	}
	return pathName(o)
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
