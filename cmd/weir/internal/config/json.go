package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tailscale/hujson"
)

// maxDepth bounds nesting. The parsers recurse, so the text is checked before they see it.
const maxDepth = 100

// parseJSON reads JSON with comments and trailing commas.
func parseJSON(s *source) (*node, *Problem) {
	if at, ok := shallow(s.data); !ok {
		p := s.problem(span{at, at + 1}, fmt.Sprintf("nested deeper than %d levels", maxDepth))
		return nil, &p
	}
	v, err := hujson.Parse(s.data)
	if err != nil {
		return nil, jsonProblem(s, err)
	}
	return fromJSON(v), nil
}

// jsonProblem takes the place out of the parser's text, the only form it gives it in.
func jsonProblem(s *source, err error) *Problem {
	message := strings.TrimPrefix(err.Error(), "hujson: ")
	var line, column int
	if _, e := fmt.Sscanf(message, "line %d, column %d:", &line, &column); e == nil {
		_, message, _ = strings.Cut(message, ": ")
	}
	at := len(s.data)
	if lines := bytes.SplitAfterN(s.data, []byte("\n"), line+1); line >= 1 && line <= len(lines) { // the parser counts line feeds and bytes
		at = min(len(bytes.Join(lines[:line-1], nil))+column-1, len(s.data))
	}
	if strings.HasSuffix(message, "unexpected EOF") {
		at = len(s.data)
	}
	s.maskUnparsed()
	p := s.problem(span{at, at + 1}, "not JSON: "+message)
	return &p
}

// shallow returns the offset of the first bracket that nests deeper than maxDepth. Brackets in strings and comments do not count.
func shallow(data []byte) (int, bool) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '{', '[':
			if depth++; depth > maxDepth {
				return i, false
			}
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '/':
			i = skipComment(data, i)
		}
	}
	return 0, true
}

// skipComment returns the offset of the last byte of the comment at i, or i.
func skipComment(data []byte, i int) int {
	rest := string(data[i:min(i+2, len(data))])
	var end string
	switch rest {
	case "//":
		end = "\n"
	case "/*":
		end = "*/"
	default:
		return i
	}
	n := strings.Index(string(data[i+2:]), end)
	if n < 0 {
		return len(data)
	}
	return i + 1 + n + len(end)
}

// fromJSON converts a parsed value.
func fromJSON(v hujson.Value) *node {
	n := &node{at: span{v.StartOffset, v.StartOffset + 1}}
	switch t := v.Value.(type) {
	case *hujson.Object:
		n.kind = object
		for _, m := range t.Members {
			n.members = append(n.members, member{fromJSON(m.Name), fromJSON(m.Value)})
		}
	case *hujson.Array:
		n.kind = list
		for _, e := range t.Elements {
			n.items = append(n.items, fromJSON(e))
		}
	case hujson.Literal:
		n.at.end = v.EndOffset
		n.text = string(t)
		switch t.Kind() {
		case '"':
			n.kind, n.text = text, t.String()
		case 't', 'f':
			n.kind = boolean
		case 'n':
			n.kind = null
		default:
			n.kind = number
		}
	}
	return n
}
