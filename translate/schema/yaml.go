package schema

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	// maxYAMLNodes bounds the tree after aliases are written out, so that a few lines cannot become gigabytes.
	maxYAMLNodes = 2_000_000
	maxYAMLDepth = 256
)

// ParseText reads JSON, or YAML when the text is not JSON.
func ParseText(data []byte) (*Value, error) {
	data = []byte(strings.TrimPrefix(string(data), "\ufeff"))
	trimmed := strings.TrimLeft(string(data[:min(len(data), 512)]), " \t\r\n")
	if trimmed == "" {
		return nil, errors.New("the text is empty")
	}
	if trimmed[0] == '{' || trimmed[0] == '[' {
		v, err := Parse(data)
		if err == nil {
			return v, nil
		}
		if y, yamlErr := parseYAML(data); yamlErr == nil {
			return y, nil
		}
		return nil, err
	}
	return parseYAML(data)
}

// FromYAML returns the value that a YAML node is, aliases written out.
func FromYAML(n *yaml.Node) (*Value, error) {
	r := yamlReader{}
	v := r.value(n, 0)
	return v, r.fault
}

func parseYAML(data []byte) (*Value, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, fmt.Errorf("yaml: %w", err)
	}
	return FromYAML(&root)
}

// yamlReader turns YAML nodes into values.
type yamlReader struct {
	nodes int
	fault error
}

func (c *yamlReader) value(n *yaml.Node, depth int) *Value {
	c.nodes++
	switch {
	case c.fault != nil:
		return &Value{}
	case c.nodes > maxYAMLNodes:
		c.fault = fmt.Errorf("yaml: more than %d values after aliases are followed", maxYAMLNodes)
		return &Value{}
	case depth > maxYAMLDepth:
		c.fault = fmt.Errorf("yaml: line %d: deeper than %d levels", n.Line, maxYAMLDepth)
		return &Value{}
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return &Value{}
		}
		return c.value(n.Content[0], depth)
	case yaml.AliasNode:
		return c.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		elements := make([]*Value, len(n.Content))
		for i, e := range n.Content {
			elements[i] = c.value(e, depth+1)
		}
		return List(elements...)
	case yaml.MappingNode:
		return c.mapping(n, depth)
	default:
		return scalar(n)
	}
}

// mapping reads a mapping with its merge keys; keys that are no strings (a response code) become their text.
func (c *yamlReader) mapping(n *yaml.Node, depth int) *Value {
	v := Map()
	index := make(map[string]int, len(n.Content)/2)
	put := func(key string, value *Value, over bool) {
		if i, ok := index[key]; ok {
			if over {
				v.Members[i].Value = value
			}
			return
		}
		index[key] = len(v.Members)
		v.Members = append(v.Members, Member{Key: key, Value: value})
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			c.merge(value, depth, put)
			continue
		}
		put(key.Value, c.value(value, depth+1), true)
	}
	return v
}

func (c *yamlReader) merge(n *yaml.Node, depth int, put func(string, *Value, bool)) {
	merged := c.value(n, depth+1)
	if merged.Is(Object) {
		merged = List(merged)
	}
	for _, e := range merged.Members {
		for _, m := range e.Value.Members {
			put(m.Key, m.Value, false)
		}
	}
}

func scalar(n *yaml.Node) *Value {
	switch n.ShortTag() {
	case "!!null":
		return &Value{}
	case "!!bool":
		return Boolean(strings.EqualFold(n.Value, "true"))
	case "!!int":
		return integer(n.Value)
	case "!!float":
		if _, err := Parse([]byte(n.Value)); err == nil {
			return &Value{Kind: Number, Text: n.Value}
		}
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return &Value{Kind: Number, Text: strconv.FormatFloat(f, 'g', -1, 64)}
		}
	}
	return Text(n.Value)
}

// integer reads the forms of YAML 1.2: decimal, 0o and 0x.
func integer(text string) *Value {
	if v, err := Parse([]byte(text)); err == nil && v.Kind == Number {
		return v
	}
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return &Value{Kind: Number, Text: strconv.FormatInt(i, 10)}
	}
	return Text(text)
}
