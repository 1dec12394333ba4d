package catalog

import "weir/catalog/rawjson"

// Kind is what an entry is.
type Kind uint8

// The kinds of entries, in the order the specification names them.
const (
	Tool Kind = iota
	Prompt
	Resource
	Template
	kinds
)

// String returns the singular noun of the specification: tool, prompt, resource, resource template.
func (k Kind) String() string {
	switch k {
	case Tool:
		return "tool"
	case Prompt:
		return "prompt"
	case Resource:
		return "resource"
	default:
		return "resource template"
	}
}

// Era is one of the two families of MCP revisions.
type Era uint8

// Legacy is the handshake family (2024-11-05 to 2025-11-25), Modern the stateless one (2026-07-28 on).
const (
	Legacy Era = iota
	Modern
	eras
)

// String returns "legacy" or "modern".
func (e Era) String() string {
	if e == Modern {
		return "modern"
	}
	return "legacy"
}

// Ref names an entry for people, policy, logs and metrics: "github/create_issue". Name is the upstream's own name of a tool or prompt,
// the URI of a resource, the URI template of a template. A Ref never changes with naming rules.
type Ref struct{ Upstream, Name string }

// String returns upstream/name.
func (r Ref) String() string { return r.Upstream + "/" + r.Name }

// Entry is one tool, prompt, resource or resource template of a snapshot. It is immutable.
type Entry struct {
	Kind Kind
	Ref  Ref
	// Name is the public name of a tool or prompt, the public URI of a resource, the public URI template of a template.
	Name string
	// Unlisted entries may be read but stand in no list (a ui:// resource that only a tool names).
	Unlisted bool
	// Headers are the tool's x-mcp-header bindings (spec 2026-07-28, streamable-http); empty for most tools.
	Headers []HeaderParam
	// HeadersFault is why the tool's x-mcp-header annotations are invalid, "" when they are not. A modern client over HTTP must drop such a
	// tool, so modern lists leave it out; Headers is empty then.
	HeadersFault string
	// OnlyTask says that the upstream runs the tool as a task of 2025-11-25 and not otherwise. Lists do not say so: callers wait for the result.
	OnlyTask bool
	// Hidden tools are called through another one only, see [Source.Hidden].
	Hidden bool
	// door is not nil for a tool through which hidden ones are found and called.
	door    *door
	schemas func(tool string) (arguments, result []byte) // see [Source.Schemas]
	// raw is the listed item per era; legacy differs only where its revisions cannot express the item.
	raw [eras][]byte
	// index is the dense position of the entry in its snapshot, for bitsets.
	index int
}

// Raw returns the item as lists of era show it, or would show it, for a hidden one; nil for an unlisted entry. Callers must not change it.
func (e *Entry) Raw(era Era) []byte { return e.raw[era] }

// Schemas returns the raw JSON Schemas of a tool's arguments and of its result, as much as is known of them; nil for none.
func (e *Entry) Schemas() (arguments, result []byte) {
	if e.schemas != nil {
		if arguments, result = e.schemas(e.Ref.Name); arguments != nil {
			return arguments, result
		}
	}
	raw := e.raw[Modern]
	f, err := rawjson.Fields(raw, "inputSchema", "outputSchema")
	if err != nil {
		return nil, nil
	}
	return f[0].Of(raw), f[1].Of(raw)
}

// Index is the dense position of the entry in its snapshot: 0 ≤ Index < Snapshot.Len(). It is -1 for an entry that ResolveURI made for
// a URI that nobody lists; a bitset over entries must ask its rule for those (see [View.Visible]).
func (e *Entry) Index() int { return e.index }
