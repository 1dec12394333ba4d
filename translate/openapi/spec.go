package openapi

import (
	"time"

	"go.yaml.in/yaml/v4"

	"weir/catalog"
	"weir/translate/schema"
)

// Spec is what the configuration of an upstream says about an API that is described in OpenAPI.
type Spec struct {
	// OpenAPI is the description: a file, a folder with one, or an http or https URL.
	OpenAPI string `yaml:"openapi"`
	// Overlays are files with OpenAPI Overlay documents, applied in order before anything is read.
	Overlays []string `yaml:"overlays"`
	// References is a folder that holds the description and the files that it may refer to; empty lets it refer to none.
	References string `yaml:"references"`
	// Refresh is how often a description behind a URL is asked for again; 0 means five minutes, negative never.
	Refresh time.Duration `yaml:"refresh"`

	// Server is where the API is called, in place of what the description says; it may be relative to the description's own URL.
	Server string `yaml:"server"`
	// Variables fill in those of the description's servers.
	Variables map[string]string `yaml:"variables"`

	// Include keeps operations that one of these matches; empty keeps all. Exclude drops those that one matches and wins.
	Include []Filter `yaml:"include"`
	Exclude []Filter `yaml:"exclude"`
	// Mode is auto, tools, dynamic or explicit. auto lists every operation while the list costs at most Budget tokens, and three tools to search,
	// describe and call them otherwise. explicit lists what Tools names and nothing else.
	Mode string `yaml:"mode"`
	// Budget is in tokens; 0 means 20000.
	Budget int `yaml:"budget"`
	// Pinned are operations that are listed in dynamic mode too.
	Pinned []string `yaml:"pinned"`
	// SchemaBytes bounds the published input schema of one tool; 0 means 4096.
	SchemaBytes int `yaml:"schemaBytes"`

	// Arrays says how arrays inside deepObject parameters are written: index a[0], brackets a[], or repeat a.
	Arrays string `yaml:"arrays"`
	// MaxBody bounds a response in bytes; 0 means 16 MiB. MaxText bounds the text that a tool answers; 0 means 64 KiB.
	MaxBody int64 `yaml:"maxBody"`
	MaxText int   `yaml:"maxText"`
	// Timeout bounds one call; 0 means one minute.
	Timeout time.Duration `yaml:"timeout"`
	// Tools changes single operations. The key is an operationId, "POST /path", or the name of the tool.
	Tools map[string]Tool `yaml:"tools"`
}

// Filter matches operations: all of its fields that are set must match. Every field is a glob.
type Filter struct {
	Operation catalog.Glob `yaml:"operation"` // operationId, or the name of the tool
	Tag       catalog.Glob `yaml:"tag"`
	Path      catalog.Glob `yaml:"path"`
	Method    catalog.Glob `yaml:"method"`
}

// Tool is what configuration changes about one operation.
type Tool struct {
	Name        string         `yaml:"name"`
	Description string         `yaml:"description"`
	Args        map[string]Arg `yaml:"args"`
	Result      Shape          `yaml:"result"`
	Hints       Hints          `yaml:"hints"`
	Timeout     time.Duration  `yaml:"timeout"`
	// Media picks the media type of the body among those of the description.
	Media string `yaml:"media"`
}

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

// Hints override the annotations of a tool.
type Hints struct {
	ReadOnly    *bool `yaml:"readOnly"`
	Destructive *bool `yaml:"destructive"`
	Idempotent  *bool `yaml:"idempotent"`
	OpenWorld   *bool `yaml:"openWorld"`
}

// Literal is a JSON value written in YAML. Value is nil when there is none.
type Literal struct{ Value *schema.Value }

// UnmarshalYAML keeps the value as it is written.
func (l *Literal) UnmarshalYAML(n *yaml.Node) error {
	r := yamlReader{}
	l.Value = r.value(n, 0)
	return r.fault
}
