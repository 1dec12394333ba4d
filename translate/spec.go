package translate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"weir/catalog/room"
)

// Spec is what configuration says about an API of any kind. The Spec of a kind embeds it, with the tag yaml:"-", beside the keys of its own; who
// reads the configuration has these keys once, for all kinds.
type Spec struct {
	// Mode is auto, tools, dynamic or explicit. auto lists every operation while the list costs at most Budget tokens, and three tools to search,
	// describe and call them otherwise. explicit lists what Tools names and nothing else.
	Mode string `yaml:"mode"`
	// Budget is what the list of an API may cost in mode auto, in tokens; 0 means 20000.
	Budget int `yaml:"budget"`
	// Pinned are operations that are listed in mode dynamic too.
	Pinned []string `yaml:"pinned"`
	// Refresh is how often a description is asked for again where nobody tells of changes; 0 means a default of the kind, and a negative one never.
	Refresh time.Duration `yaml:"refresh"`
	// SchemaBytes bounds the published input schema of one tool, in bytes; 0 means 4096.
	SchemaBytes int `yaml:"schemaBytes"`
	// MaxText bounds the text that a tool answers, in bytes; 0 means 65536.
	MaxText int `yaml:"maxText"`
	// Tools changes single operations: operationId, "POST /path", Query.field, pkg.Service/Method, or the name of the tool → what is changed. For an MCP
	// server it sets deadlines: glob on the tools' own names → timeout, idleTimeout, idempotent and hedge, the most telling pattern first.
	Tools map[string]Tool `yaml:"tools"`

	// Include keeps operations that one of these matches; empty keeps all. Exclude drops those that one matches and wins. The kinds say what a
	// pattern matches; a plain glob matches the operation's own name and the tool's.
	Include []string `yaml:"-"`
	Exclude []string `yaml:"-"`
	// Timeout bounds one call; 0 means one minute.
	Timeout time.Duration `yaml:"-"`
	// MaxBody bounds one answer of the API, in bytes; 0 means 16 MiB.
	MaxBody int64 `yaml:"-"`
}

// Tool is what configuration changes about one operation.
type Tool struct {
	// Name is the upstream's own name of the tool.
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	// Args changes arguments, by their names.
	Args map[string]Arg `yaml:"args"`
	// Result cuts the result down.
	Result Shape `yaml:"result"`
	// Hints override the annotations.
	Hints Hints `yaml:"hints"`
	// Timeout bounds one call of this operation.
	Timeout time.Duration `yaml:"timeout"`
	// IdleTimeout bounds how long a call of an MCP server's tool may be silent. An API gives no sign of life before its answer.
	IdleTimeout time.Duration `yaml:"idleTimeout"`
	// Idempotent says of an MCP server's tools that a call may be made twice where nobody knows whether the first was executed. What the server says
	// itself does not count.
	Idempotent *bool `yaml:"idempotent"`
	// Hedge is after which time without an answer a call of an idempotent tool of an MCP server is sent a second time; 0 means never. The first answer
	// counts and the other call is cancelled. At most one call in ten is sent twice.
	Hedge time.Duration `yaml:"hedge"`
	// Media picks the media type of a REST body among those of the description.
	Media string `yaml:"media"`
}

// Options are what a [Backend] of any kind needs from outside. The New of a kind takes its Spec and these:
//
//	func New(ctx context.Context, spec Spec, o translate.Options) (*API, error)
//
// It reads the description once, within ctx, and its error says why nothing can be offered at all. It starts with the name of the upstream.
type Options struct {
	Upstream string // the name of the upstream
	// Transport reaches the network over HTTP, for descriptions and for calls. It puts Headers on what goes to the API's own origins.
	Transport http.RoundTripper
	// Dial and TLS reach the network for whoever does not speak HTTP/1.1; the same guard stands behind Dial.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	TLS  *tls.Config // nil for the defaults
	// Headers go with each call. Who uses Transport leaves them alone.
	Headers http.Header
	// Credentials may be nil: requests go without then.
	Credentials Credentials
	// Cache keeps what a description came to from one run to the next. May be nil.
	Cache Cache
	// Memory is asked before a large answer is taken.
	Memory *room.Memory
	// Changed is called after the source became another one; it must not block. May be nil.
	Changed func()
	Log     *slog.Logger // nil for none
}

// Cache keeps bytes from one run of weir to the next. Nothing that comes out of it is to be trusted blindly: it may be lost, old or damaged.
type Cache interface {
	// Get returns what was kept under a key, false when nothing was or it is damaged.
	Get(key string) ([]byte, bool)
	// Put keeps data under a key. It fails in silence.
	Put(key string, data []byte)
}

// Report sums up what a description came to.
type Report struct {
	Operations int // kept by include and exclude, or lost
	Tools      int
	Lost       int
	Dynamic    bool
	Bytes      int // of the list with every operation as a tool
	Tokens     int // about, of the same list
	Largest    int // bytes of the largest tool
	Median     int // bytes of the median tool
	Costs      []Cost
	Warnings   []Warning
	Outdated   string // why a newer description is not in force, "" when this is the newest
}

// Cost is what one operation costs when it is listed as a tool.
type Cost struct {
	Tool, Operation string // its name, and what the description calls it
	Tokens          int    // about
}

// BytesPerToken is about what English and JSON come to in the tokenizers of today.
const BytesPerToken = 4
