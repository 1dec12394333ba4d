package translate

import (
	"go.yaml.in/yaml/v4"

	"weir/translate/schema"
)

// Arg is what configuration changes about one argument.
type Arg struct {
	// Fixed is always sent; the argument is hidden and refused.
	Fixed Literal `yaml:"fixed"`
	// Default is sent when the caller gives none.
	Default     Literal `yaml:"default"`
	Hide        bool    `yaml:"hide"`
	Rename      string  `yaml:"rename"`
	Description string  `yaml:"description"`
}

// Shape cuts a result down.
type Shape struct {
	// Path is a gjson path to the part that is answered: "data.items", "data.#.name".
	Path string `yaml:"path"`
	// Fields are paths that are kept of it: "number", "user.login", "items.#.name".
	Fields   []string `yaml:"fields"`
	MaxBytes int      `yaml:"maxBytes"`
}

// Literal is a JSON value written in YAML. Value is nil when there is none.
type Literal struct{ Value *schema.Value }

// UnmarshalYAML keeps the value as it is written.
func (l *Literal) UnmarshalYAML(n *yaml.Node) error {
	v, err := schema.FromYAML(n)
	l.Value = v
	return err
}
