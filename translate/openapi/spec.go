package openapi

import "weir/translate"

// Spec is what the configuration of an upstream says about an API that is described in OpenAPI.
type Spec struct {
	// An include or exclude pattern is words that must all match, each a glob: operationId or name of the tool, /path, METHOD, tag:name.
	translate.Spec `yaml:"-"`

	// OpenAPI is the description: a file, a folder with one, or an http or https URL.
	OpenAPI string `yaml:"openapi"`
	// Overlays are files with OpenAPI Overlay documents, applied in order before anything is read.
	Overlays []string `yaml:"overlays"`
	// References is a folder that holds the description and the files that it may refer to; empty lets it refer to none.
	References string `yaml:"references"`
	// Server is where the API is called, in place of what the description says; it may be relative to the description's own URL.
	Server string `yaml:"server"`
	// Variables fill in those of the description's servers.
	Variables map[string]string `yaml:"variables"`
	// MaxPages bounds how many pages of a result one call reads when it asks for all_pages; 0 means 10, and 1 takes that argument away.
	MaxPages int `yaml:"maxPages"`

	// Arrays says how arrays inside deepObject parameters are written: index a[0], brackets a[], or repeat a.
	Arrays string `yaml:"arrays"`
}
