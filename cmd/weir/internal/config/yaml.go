package config

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxNodes bounds what aliases can blow a small file up to.
const maxNodes = 100_000

// parseYAML reads one YAML document. An empty file is an empty mapping.
func parseYAML(s *source) (*node, *Problem) {
	loader, err := yaml.NewLoader(bytes.NewReader(s.data), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return nil, yamlProblem(s, err)
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return &node{kind: object}, nil
	} else if err != nil {
		return nil, yamlProblem(s, err)
	}
	c := &converter{s: s}
	root := c.convert(&doc, 0)
	if c.problem == nil {
		var second yaml.Node
		if err := loader.Load(&second); err == nil {
			c.fail(&second, "a second YAML document; weir reads one")
		} else if !errors.Is(err, io.EOF) {
			return nil, yamlProblem(s, err)
		}
	}
	if root.kind == null {
		root = &node{kind: object}
	}
	return root, c.problem
}

// yamlProblem takes the place of a syntax error.
func yamlProblem(s *source, err error) *Problem {
	at, message := len(s.data), err.Error()
	if le, ok := errors.AsType[*yaml.LoadError](err); ok {
		message = le.Message
		if le.Mark.Line > 0 {
			at = s.offset(le.Mark.Line, le.Mark.Column)
		}
	}
	s.maskUnparsed()
	p := s.problem(span{at, at + 1}, "not YAML: "+strings.TrimPrefix(message, "yaml: "))
	return &p
}

// converter turns YAML nodes into ours and keeps the first problem.
type converter struct {
	s       *source
	count   int
	problem *Problem
}

func (c *converter) fail(n *yaml.Node, message string) *node {
	at := c.s.offset(n.Line, n.Column)
	if c.problem == nil {
		p := c.s.problem(span{at, at + 1}, message)
		c.problem = &p
	}
	return &node{kind: null, at: span{at, at + 1}}
}

func (c *converter) convert(y *yaml.Node, depth int) *node {
	if c.count++; c.problem != nil || c.count > maxNodes || depth > 2*maxDepth {
		return c.fail(y, "aliases make this file too large")
	}
	at := c.s.offset(y.Line, y.Column)
	n := &node{at: span{at, at + 1}}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			n.kind = null
			return n
		}
		return c.convert(y.Content[0], depth+1)
	case yaml.AliasNode:
		if y.Alias == nil {
			return c.fail(y, "an alias without anchor")
		}
		v := *c.convert(y.Alias, depth+1)
		return &v
	case yaml.SequenceNode:
		n.kind = list
		for _, e := range y.Content {
			n.items = append(n.items, c.convert(e, depth+1))
		}
	case yaml.MappingNode:
		n.kind = object
		for i := 0; i+1 < len(y.Content); i += 2 {
			n.members = append(n.members, member{c.key(y.Content[i], depth), c.convert(y.Content[i+1], depth+1)})
		}
	default:
		return c.scalar(y, n)
	}
	return n
}

// key converts a mapping's key, which must be a plain word.
func (c *converter) key(y *yaml.Node, depth int) *node {
	if y.Kind != yaml.ScalarNode {
		return c.fail(y, "a key must be text")
	}
	if y.ShortTag() == "!!merge" {
		return c.fail(y, "merge keys (<<) are not supported; write the fields out, or use an alias for a whole value")
	}
	return c.convert(y, depth+1)
}

func (c *converter) scalar(y *yaml.Node, n *node) *node {
	n.text = y.Value
	switch y.ShortTag() {
	case "!!null":
		n.kind = null
	case "!!bool":
		n.kind = boolean
	case "!!int", "!!float":
		n.kind = number
	case "!!str", "!!timestamp":
		n.kind = text
	default:
		return c.fail(y, "the tag "+y.ShortTag()+" is not supported")
	}
	n.at.end = max(n.at.end, c.end(y, n.at.start))
	return n
}

// end finds where a scalar ends in the source. A block scalar ends with its first byte: its lines are never shown.
func (c *converter) end(y *yaml.Node, start int) int {
	rest := c.s.data[start:]
	var quote byte
	switch {
	case y.Anchor != "" || y.Style&yaml.TaggedStyle != 0: // the place is that of the anchor or tag
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		return start + len(line)
	case y.Style&yaml.DoubleQuotedStyle != 0:
		quote = '"'
	case y.Style&yaml.SingleQuotedStyle != 0:
		quote = '\''
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return start + 1
	default:
		first, _, _ := strings.Cut(y.Value, "\n")
		if !bytes.HasPrefix(rest, []byte(first)) {
			return start + 1
		}
		return start + len(first)
	}
	for i := 1; i < len(rest); i++ {
		switch {
		case quote == '"' && rest[i] == '\\':
			i++
		case quote == '\'' && rest[i] == quote && i+1 < len(rest) && rest[i+1] == quote:
			i++
		case rest[i] == quote:
			return start + i + 1
		}
	}
	return start + 1
}
