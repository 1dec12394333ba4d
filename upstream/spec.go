package upstream

import (
	"fmt"
	"net/textproto"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"weir/upstream/mcpconn"
)

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

// Problem is what is wrong with one field of a Spec.
type Problem struct {
	Field  string // the yaml name; with the key for maps: "headers.Accept"
	Reason string // for people, without the field's name
}

// Problems says everything that is wrong with s by itself. Values with references are checked as far as they can be without resolving them.
func (s *Spec) Problems() []Problem {
	var all []Problem
	say := func(field, format string, args ...any) {
		all = append(all, Problem{field, fmt.Sprintf(format, args...)})
	}
	switch {
	case s.Command == "" && s.URL == "":
		say("command", "needs command (a program to start) or url")
	case s.Command != "" && s.URL != "":
		say("url", "has both command and url; keep one")
	}
	switch s.Type {
	case "":
	case "stdio":
		if s.URL != "" {
			say("type", "stdio goes with command, not with url")
		}
	case "http", "sse", "streamable-http":
		if s.Command != "" {
			say("type", "%s goes with url, not with command", s.Type)
		}
	default:
		say("type", "is stdio, http or sse, not %q", s.Type)
	}
	if !slices.Contains([]string{"", "auto", "legacy", "modern"}, s.Era) {
		say("era", "is auto, legacy or modern, not %q", s.Era)
	}
	if s.Era == "modern" && s.Type == "sse" {
		say("era", "sse is a transport of the legacy era")
	}
	if s.URL != "" && !strings.Contains(s.URL, "${") {
		if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			say("url", "is not an http or https URL")
		}
	}
	for name := range s.Headers {
		if mcpconn.ReservedHeader(textproto.CanonicalMIMEHeaderKey(name)) {
			say("headers."+name, "is set by weir itself")
		}
	}
	for field, d := range map[string]time.Duration{"timeout": s.Timeout, "startTimeout": s.StartTimeout} {
		if d < 0 {
			say(field, "is negative")
		}
	}
	if s.MaxMessage < 0 {
		say("maxMessage", "is negative")
	}
	slices.SortFunc(all, func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
	return all
}

// transport is the name of the transport: stdio, http or sse.
func (s *Spec) transport() string {
	switch {
	case s.URL == "":
		return "stdio"
	case s.Type == "sse":
		return "sse"
	default:
		return "http"
	}
}

// sameServer reports whether both specs reach the same server in the same way, so that a connection made for one serves the other.
func (s *Spec) sameServer(o *Spec) bool {
	a, b := *s, *o
	for _, x := range []*Spec{&a, &b} {
		x.Include, x.Exclude, x.Alias, x.Required, x.Timeout = nil, nil, nil, false, 0
	}
	return reflect.DeepEqual(a, b)
}
