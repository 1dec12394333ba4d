package openapi

import (
	"time"

	"weir/catalog"
	"weir/translate"
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
	Name        string                   `yaml:"name"`
	Description string                   `yaml:"description"`
	Args        map[string]translate.Arg `yaml:"args"`
	Result      translate.Shape          `yaml:"result"`
	Hints       translate.Hints          `yaml:"hints"`
	Timeout     time.Duration            `yaml:"timeout"`
	// Media picks the media type of the body among those of the description.
	Media string `yaml:"media"`
}
