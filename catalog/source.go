package catalog

// Source is what one upstream offers at a moment, as it listed it. It is immutable once published.
type Source struct {
	Upstream string
	// Tools, Prompts, Resources and Templates are raw items, verbatim, in the upstream's order.
	Tools, Prompts, Resources, Templates [][]byte
	// Capabilities is the upstream's raw ServerCapabilities object; Instructions its free text.
	Capabilities []byte
	Instructions string
	// Stale says that the upstream is down and these are its last known entries.
	Stale bool
}

// Rules say how the entries of one upstream appear in the namespace.
type Rules struct {
	Alias   map[string]string // upstream's tool or prompt name → public name
	Include []string          // globs on the upstream's names; empty means all
	Exclude []string          // globs, win over Include
}

// Naming is how public names are made.
type Naming string

// Prefix always prefixes with the upstream's name, Conflict only names that two upstreams share, Bare never.
const (
	Prefix   Naming = "prefix"
	Conflict Naming = "conflict"
	Bare     Naming = "bare"
)

// Options are what a snapshot is built with, besides sources.
type Options struct {
	Naming   Naming
	PageSize int              // entries per list page; 0 means DefaultPageSize
	Rules    map[string]Rules // by upstream
	Order    []string         // upstreams in the order of the configuration
}

// DefaultPageSize is large because many clients never ask for a second page.
const DefaultPageSize = 1000

// Problem is an item that is withheld, or another thing to know about an upstream's catalogue.
type Problem struct {
	Upstream string
	Kind     Kind
	Name     string // the upstream's name of the item, may be empty
	Reason   string // for people: starts with the subject
	Fix      string // one thing to type, may be empty
}
