package requestlog

import "time"

// Spec is where the request log is kept.
type Spec struct {
	// Database is the path of an SQLite file, or a URL postgres://…; without one there is no request log.
	Database string `yaml:"database"`
	// Keep is how long rows are kept.
	Keep time.Duration `yaml:"keep"`
	// Arguments are kept with every call, without secrets: what its schema marks as such, and the values of keys that name them.
	Arguments bool `yaml:"arguments"`
	// Results are kept as Arguments are, up to 64 KiB.
	Results bool `yaml:"results"`
}

// Default is what stands where the file says nothing.
func Default() Spec { return Spec{Keep: 30 * 24 * time.Hour} }
