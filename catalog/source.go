package catalog

// Source is what one upstream offers at a moment, as it listed it. It is immutable once published.
type Source struct {
	Upstream string
	// Tools, Prompts, Resources and Templates are raw items, verbatim, in the upstream's order.
	Tools, Prompts, Resources, Templates [][]byte
	// Hidden are raw tools that stand in no list and that no name calls: operations behind a few listed tools, the Doors.
	Hidden [][]byte
	// Doors are the listed tools, by their own names, that find, describe or call hidden ones. The func tells which hidden tool a call with these raw
	// arguments is about, and its own arguments; it is nil for a door that only tells of them.
	Doors map[string]func(arguments []byte) (name string, inner []byte, ok bool)
	// Schemas returns the whole raw JSON Schemas of a tool, by its own name, where its item has them cut to size: of its arguments, and of its result as far
	// as that says what is secret. It returns nil for a tool whose item has all; the func is nil when all items do.
	Schemas func(tool string) (arguments, result []byte)
	// Capabilities is the upstream's raw ServerCapabilities object; Instructions its free text.
	Capabilities []byte
	Instructions string
	// Legacy says that the upstream speaks no modern revision: it asks clients in the middle of a call.
	Legacy bool
	// Stale says that the upstream is down and these are its last known entries.
	Stale bool
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
	// Partial says that upstreams are down or still starting, so that more is to come: see [Snapshot.Partial].
	Partial bool

	offer *Offer // see Snapshot.Offer
}

// DefaultPageSize is large because many clients never ask for a second page.
const DefaultPageSize = 1000

// Problem is an item that is withheld, or another thing to know about an upstream's catalogue.
type Problem struct {
	Upstream string
	Kind     Kind   // of the item; means nothing when Name is empty and Withheld is not set
	Name     string // the upstream's name of the item, may be empty
	Withheld bool   // whether the item is left out entirely; everything else is a warning
	Reason   string // for people: starts with the subject
	Fix      string // one thing to type, may be empty
}
