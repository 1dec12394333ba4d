package upstream

import "time"

// Spec is one entry of mcpServers in the configuration: how to reach one MCP server and how it appears in the namespace.
// Exactly one of Command and URL is set. Text values keep their ${…} references; they are expanded when the upstream is started.
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
	// Headers are sent with every request to URL.
	Headers map[string]string `yaml:"headers"`

	// Type is the transport: stdio, http (Streamable HTTP) or sse (HTTP+SSE of 2024-11-05); inferred when empty.
	Type string `yaml:"type"`
	// Era is auto, legacy or modern. auto asks the server.
	Era string `yaml:"era"`

	// Include keeps only tools, prompts and resources whose own name matches one of these globs; empty keeps all.
	Include []string `yaml:"include"`
	// Exclude drops those that match; it wins over Include.
	Exclude []string `yaml:"exclude"`
	// Alias gives single tools or prompts a public name of their own: own name → public name.
	Alias map[string]string `yaml:"alias"`

	// Timeout bounds one call; 0 means five minutes. Start bounds starting and the first listing; 0 means one minute.
	Timeout      time.Duration `yaml:"timeout"`
	StartTimeout time.Duration `yaml:"startTimeout"`
	// MaxMessage bounds one message from the server, in bytes; 0 means 64 MiB.
	MaxMessage int64 `yaml:"maxMessage"`
	// Required makes weir refuse to start when this upstream cannot be reached.
	Required bool `yaml:"required"`
	// Disabled keeps the entry in the file and out of the gateway.
	Disabled bool `yaml:"disabled"`
}
