package openapi

import (
	"errors"
	"fmt"
	"strings"
)

// template is a path split before any argument is seen.
type template struct {
	pieces []piece
	query  string // what the description wrote behind a question mark
}

// piece is literal text, escaped and ready, or the name of a parameter.
type piece struct {
	literal   string
	parameter string
}

// parseTemplate splits a path template.
func parseTemplate(path string) template {
	var t template
	path, t.query, _ = strings.Cut(path, "?")
	t.query = escapeLiteral(t.query, true)
	for path != "" {
		open := strings.IndexByte(path, '{')
		end := strings.IndexByte(path, '}')
		if open < 0 || end < open {
			break
		}
		if open > 0 {
			t.pieces = append(t.pieces, piece{literal: escapeLiteral(path[:open], false)})
		}
		t.pieces = append(t.pieces, piece{parameter: parameterName(path[open+1 : end])})
		path = path[end+1:]
	}
	if path != "" {
		t.pieces = append(t.pieces, piece{literal: escapeLiteral(path, false)})
	}
	return t
}

// parameterName is the name in an expression of a template: some descriptions write {+name} or {name*}.
func parameterName(expression string) string {
	return strings.TrimSuffix(strings.TrimLeft(expression, "+#./;?&"), "*")
}

// templateNames returns the parameters of a path, each once.
func templateNames(path string) []string {
	var names []string
	seen := make(map[string]bool)
	for _, p := range parseTemplate(path).pieces {
		if p.parameter != "" && !seen[p.parameter] {
			seen[p.parameter] = true
			names = append(names, p.parameter)
		}
	}
	return names
}

const upperHex = "0123456789ABCDEF"

func appendHex(dst []byte, c byte) []byte {
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

func isUnreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// escapeLiteral escapes what a description wrote into a path or query: escapes that are there stay, what would end the part is escaped.
func escapeLiteral(s string, query bool) string {
	dst := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '%' && i+2 < len(s) && isHexDigit(s[i+1]) && isHexDigit(s[i+2]),
			isUnreserved(c), strings.IndexByte("/:@!$&'()*+,;=", c) >= 0, query && c == '?':
			dst = append(dst, c)
		default:
			dst = appendHex(dst, c)
		}
	}
	return string(dst)
}

// appendEscaped appends s with every byte escaped that is not unreserved (RFC 3986 section 2.3).
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) {
			dst = append(dst, c)
		} else {
			dst = appendHex(dst, c)
		}
	}
	return dst
}

// appendReserved is appendEscaped for allowReserved: reserved characters stay, but for those that would end the value.
func appendReserved(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case isUnreserved(c), strings.IndexByte(":/?@!$'()*,;", c) >= 0:
			dst = append(dst, c)
		case c == '%' && i+2 < len(s) && isHexDigit(s[i+1]) && isHexDigit(s[i+2]):
			dst = append(dst, c)
		default:
			dst = appendHex(dst, c)
		}
	}
	return dst
}

// safePathValue refuses values with which a server that decodes too early would leave the template: dot segments between slashes of either
// kind, escaped or not, and control characters.
func safePathValue(value string) error {
	if value == "" {
		return errors.New("must not be empty: it is part of the path")
	}
	if strings.ContainsFunc(value, isControl) {
		return errors.New("must not contain control characters")
	}
	if !strings.ContainsAny(value, ".%") {
		return nil
	}
	lower := strings.ToLower(value)
	for range 3 {
		for _, segment := range strings.FieldsFunc(lower, func(r rune) bool { return r == '/' || r == '\\' }) {
			segment, _, _ = strings.Cut(segment, ";")
			if segment == "." || segment == ".." {
				return errors.New(`must not contain "." or ".." as a segment of the path`)
			}
		}
		lower = strings.NewReplacer("%2e", ".", "%2f", "/", "%5c", `\`, "%25", "%", "%3b", ";").Replace(lower)
	}
	return nil
}

// expand fills in the values, which are escaped already.
func (t *template) expand(dst []byte, values map[string]string) ([]byte, error) {
	start := len(dst)
	for _, p := range t.pieces {
		if p.parameter == "" {
			dst = append(dst, p.literal...)
			continue
		}
		v, ok := values[p.parameter]
		if !ok {
			return dst, fmt.Errorf("path parameter %q is missing", p.parameter)
		}
		dst = append(dst, v...)
	}
	for segment := range strings.SplitSeq(string(dst[start:]), "/") {
		if segment == "." || segment == ".." {
			return dst, errors.New(`the path would contain "." or ".." as a segment`)
		}
	}
	return dst, nil
}
