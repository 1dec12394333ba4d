package upstream

import (
	"reflect"
	"time"

	"weir/translate"
	"weir/translate/graphql"
	"weir/translate/grpc"
	"weir/translate/openapi"
	"weir/upstream/cred"
	"weir/upstream/process"
)

// Spec is one entry of mcpServers in the configuration: how to reach one MCP server, or an API that is dressed as one, and how it appears in the
// namespace. Exactly one of Command, URL, Endpoints and the keys that name the description of an API is set. Text values keep their ${…} references; they are
// expanded when the upstream is started.
type Spec struct {
	// Command is the program of a stdio server, looked up in PATH.
	Command string `yaml:"command"`
	// Args are its arguments.
	Args []string `yaml:"args"`
	// Env is added to the clean environment the child gets (PATH, HOME and the like; nothing else of weir's own).
	Env map[string]string `yaml:"env"`
	// EnvFile names a file of KEY=value lines that are added to Env where Env does not set the key.
	EnvFile string `yaml:"envFile"`
	// Cwd is the child's working directory; weir's own when empty.
	Cwd string `yaml:"cwd"`

	// URL is the endpoint of a Streamable HTTP or HTTP+SSE server.
	URL string `yaml:"url"`
	// Endpoints are the addresses of a server that has several, in place of URL.
	Endpoints []Endpoint `yaml:"endpoints"`
	// Balance says which of Endpoints gets a call: round-robin (the default), by weight; least, with the fewest open calls; principal, always the same for one
	// caller. What belongs to a session of the legacy era always goes to the same.
	Balance string `yaml:"balance"`
	// Headers are sent with every request to URL, or to the API.
	Headers map[string]string `yaml:"headers"`

	// OpenAPI is a REST API.
	OpenAPI openapi.Spec `yaml:",inline"`
	// GRPC is a gRPC server.
	GRPC grpc.Spec `yaml:",inline"`
	// GraphQL is a GraphQL API.
	GraphQL graphql.Spec `yaml:",inline"`
	// API is what can be said of an API of any kind.
	API translate.Spec `yaml:",inline"`
	// Credentials are for the security schemes of an API, by the names that its description has for them; the one called description is for fetching
	// that. They go only to the origins that this entry names.
	Credentials map[string]cred.Spec `yaml:"credentials"`
	// TLS is for an API behind a private authority, or one that wants a client certificate.
	TLS TLS `yaml:"tls"`

	// Type is the transport: stdio, http (Streamable HTTP) or sse (HTTP+SSE of 2024-11-05); inferred when empty.
	Type string `yaml:"type"`
	// Era is auto, legacy or modern. auto asks the server.
	Era string `yaml:"era"`

	// Include keeps only tools, prompts and resources whose own name matches one of these globs; empty keeps all. Of a REST API it keeps operations,
	// and each pattern is words that must all match: operationId, /path, METHOD, tag:name; of a gRPC server methods: pkg.Service/Method; of a GraphQL
	// API operations: Query.field, the name, kind:mutation.
	Include []string `yaml:"include"`
	// Exclude drops those that match; it wins over Include.
	Exclude []string `yaml:"exclude"`
	// Alias gives single tools or prompts a public name of their own: own name → public name.
	Alias map[string]string `yaml:"alias"`

	// ElicitationHosts are the hosts that an MCP server may send users to, such as login.example.com or *.example.com; any when empty.
	ElicitationHosts []string `yaml:"elicitationHosts"`

	// Timeout bounds one call; 0 means five minutes. While the caller's user is asked something, the clock stands still.
	Timeout time.Duration `yaml:"timeout"`
	// IdleTimeout bounds how long an MCP server may give no sign of life during a call: no progress, no log line, no question; 0 means as long as Timeout.
	IdleTimeout time.Duration `yaml:"idleTimeout"`
	// StartTimeout bounds starting and the first listing; 0 means one minute.
	StartTimeout time.Duration `yaml:"startTimeout"`
	// MaxMessage bounds one message from the server, in bytes; 0 means 16 MiB.
	MaxMessage int64 `yaml:"maxMessage"`
	// Concurrency bounds the calls that the upstream has at a time; 0 bounds nothing.
	Concurrency int `yaml:"concurrency"`
	// Queue is how many calls wait for their turn while Concurrency is reached; more are refused at once. Without it as many wait as may run. The wait
	// counts as part of Timeout.
	Queue *int `yaml:"queue"`
	// Probe is how often a server that gets no calls is asked whether it is alive; 0 means every 30 seconds.
	Probe time.Duration `yaml:"probe"`
	// Grace is how long the entries of an upstream that is down stay listed; 0 means 15 minutes.
	Grace time.Duration `yaml:"grace"`
	// Breaker says when calls are held back from what fails.
	Breaker Breaker `yaml:"breaker"`
	// Lazy starts a stdio server with its first call, and not with weir. Until then it is listed with what it offered when it last ran; one that never ran
	// is started once, to be asked.
	Lazy bool `yaml:"lazy"`
	// IdleStop stops a stdio server that had no calls, subscriptions and open questions for so long. It stays listed, and the next call starts it; 0 never
	// stops it.
	IdleStop time.Duration `yaml:"idleStop"`
	// Sandbox bounds what a stdio server can do, on Linux.
	Sandbox process.Sandbox `yaml:"sandbox"`
	// Required makes weir answer nobody before this upstream is ready, and refuse to start when it cannot be reached.
	Required bool `yaml:"required"`
	// Disabled keeps the entry in the file and out of the gateway.
	Disabled bool `yaml:"disabled"`
}

// Defaults of Spec.
const (
	DefaultTimeout      = 5 * time.Minute
	DefaultStartTimeout = time.Minute
)

// TLS names files in PEM form.
type TLS struct {
	// CA holds the certificates of the authorities that are trusted, in place of the system's.
	CA string `yaml:"ca"`
	// Cert and Key are the client certificate and its key.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Kind is how the upstream is reached: stdio, http, sse, openapi, grpc or graphql.
func (s *Spec) Kind() string {
	switch {
	case s.OpenAPI.OpenAPI != "":
		return "openapi"
	case s.GRPC.GRPC != "":
		return "grpc"
	case s.GraphQL.GraphQL != "":
		return "graphql"
	case s.URL == "" && len(s.Endpoints) == 0:
		return "stdio"
	case s.Type == "sse":
		return "sse"
	default:
		return "http"
	}
}

// translated reports whether the upstream is an API and no MCP server.
func (s *Spec) translated() bool { return s.Command == "" && s.URL == "" && len(s.Endpoints) == 0 }

// sameServer reports whether both specs reach the same server in the same way, so that a connection made for one serves the other.
func (s *Spec) sameServer(o *Spec) bool {
	a, b := *s, *o
	for _, x := range []*Spec{&a, &b} {
		x.Alias, x.Required, x.Concurrency, x.Queue, x.Breaker, x.Probe, x.Grace = nil, false, 0, nil, Breaker{}, 0, 0
		if !x.translated() {
			x.Include, x.Exclude, x.Timeout, x.IdleTimeout, x.API.Tools = nil, nil, 0, 0, nil
		}
	}
	return reflect.DeepEqual(a, b)
}
