package config

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/catalog"
	"weir/policy"
	"weir/policy/guard"
	"weir/server"
	"weir/server/authn"
	"weir/server/once"
	"weir/server/record"
	"weir/server/record/export"
	"weir/server/record/requestlog"
	"weir/upstream"
	"weir/upstream/cred"
)

// maxFile bounds the file's size in bytes.
const maxFile = 1 << 20

// File is the whole configuration. Sections are the Specs of the packages that use them.
type File struct {
	// MCPServers are the upstreams by name, in the form that MCP clients share.
	MCPServers Upstreams `yaml:"mcpServers"`
	// Naming is how public names are made of an upstream's name and a tool's: always prefixed, prefixed only where two upstreams share a
	// name, or never.
	Naming catalog.Naming `yaml:"naming"`
	// PageSize is the number of entries on one page of a list.
	PageSize int `yaml:"pageSize"`
	// Log is what the gateway says about itself on standard error.
	Log Log `yaml:"log"`
	// Policy says who may use what. Without it the local user may use everything and nobody else anything; with it, what no rule allows is
	// denied. weir help policy says more.
	Policy policy.Spec `yaml:"policy"`
	// Guards say what may pass in calls that the policy allows: no credentials, and no private data once a caller has read what others wrote.
	Guards guard.Spec `yaml:"guards"`
	// Telemetry is what weir tells monitoring systems.
	Telemetry record.Telemetry `yaml:"telemetry"`
	// Audit is the append-only log of every request.
	Audit record.Audit `yaml:"audit"`
	// RequestLog is where people look requests up.
	RequestLog requestlog.Spec `yaml:"requestLog"`
	// Idempotency is where the calls are kept that have a key of their callers, so that each is made once.
	Idempotency once.Spec `yaml:"idempotency"`
	// Tokens is where the tokens of users who signed in to upstreams are kept.
	Tokens Tokens `yaml:"tokens"`
	// Export are other systems that are told of every request: syslog, HTTP endpoints, OTLP endpoints.
	Export []export.Spec `yaml:"export"`
	// OwnTools lists the gateway's own tools, weir__*: what there is, who may use it and what was called. The policy decides about them as about
	// any others, by the upstream's name weir.
	OwnTools bool `yaml:"ownTools"`
	// Servers are virtual servers by name: parts of the namespace at paths of their own.
	Servers map[string]server.Virtual `yaml:"servers"`
	// Auth is how callers sign in. Without it only this machine's user may call. weir help auth says more.
	Auth authn.Spec `yaml:"auth"`
	// Server is how the gateway listens; its keys stand at the top of the file.
	Server server.Spec `yaml:",inline"`

	// Path is the file that was read. Client says that it is a client's own and not weir's.
	Path   string `yaml:"-"`
	Name   string `yaml:"-"` // Path as messages show it
	Client bool   `yaml:"-"`
	// Warnings do not stop anything.
	Warnings Problems `yaml:"-"`
	// Expander resolves the references in this file's values.
	Expander *Expander `yaml:"-"`
	// Section is where Policy stands.
	Section *Section `yaml:"-"`
}

// Tokens is where the tokens of users are kept, encrypted.
type Tokens struct {
	// Dir is the folder; weir below $XDG_STATE_HOME or ~/.local/state when empty.
	Dir string `yaml:"dir"`
	// Key encrypts them; a random one in a file in Dir when empty.
	Key cred.Secret `yaml:"key"`
}

// Log is what the gateway says about itself.
type Log struct {
	// Level is the least important level that is written.
	Level string `yaml:"level"`
	// Format is auto (coloured text on a terminal, text elsewhere), text or json.
	Format string `yaml:"format"`
}

// SignsIn reports whether users sign in to an upstream of the file.
func (f *File) SignsIn() bool {
	return slices.ContainsFunc(f.MCPServers, func(u Upstream) bool {
		c := u.Spec.Credentials[cred.ForServer]
		return c.SignIn()
	})
}

// Upstreams keeps mcpServers in the order of the file.
type Upstreams []Upstream

// Upstream is one entry of mcpServers.
type Upstream struct {
	Name string
	Spec upstream.Spec
}

// Read reads, checks and decodes the file at path. An error of type Problems says that the file is invalid.
func Read(path string, env Env) (*File, error) {
	data, err := Load(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, env)
}

// Load reads a file whole, for [Parse].
func Load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, faultf("config: %w", err)
	}
	defer func() { _ = f.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(&limited{f, maxFile}); err != nil {
		return nil, faultf("config: %s: %w", path, bare(err))
	}
	return b.Bytes(), nil
}

// limited fails when more than n bytes are read; a configuration is a page or two of text.
type limited struct {
	f *os.File
	n int
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.f.Read(p)
	if l.n -= n; l.n < 0 {
		return n, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return n, err
}

// Parse is Read for text in memory; path names it and is what relative paths in it start from.
func Parse(path string, data []byte, env Env) (*File, error) {
	return parseFile(path, data, env, false)
}

// parseFile is Parse, or looks at the policy only.
func parseFile(path string, data []byte, env Env, policyOnly bool) (*File, error) {
	s := newSource(Show(path, env), data)
	root, p := parse(s)
	if p != nil {
		return nil, Problems{*p}
	}
	s.maskValues(root)
	file := &File{Path: path, Name: s.name, Client: isClient(path, root), Server: server.Default(), Naming: catalog.Prefix, PageSize: catalog.DefaultPageSize}
	file.Log, file.Auth = Log{Level: "info", Format: "auto"}, authn.Default()
	file.Telemetry, file.Audit, file.RequestLog, file.Idempotency = record.DefaultTelemetry(), record.DefaultAudit(), requestlog.Default(), once.Default()
	file.Guards = guard.Default()
	file.Section = newSection(s, root)
	e, err := newExpander(path, file.Client, env)
	if err != nil {
		return nil, err
	}
	e.text = data
	file.Expander = e
	r := &reader{src: s, expand: e, lacks: env.Lacks, client: file.Client, section: file.Section}
	switch {
	case policyOnly && file.Client: // it has none
	case policyOnly:
		r.policyOnly(root, file)
		r.structure(root, reflect.ValueOf(file).Elem(), "")
	case file.Client:
		r.clientFile(root, file)
	default:
		r.structure(root, reflect.ValueOf(file).Elem(), "")
		r.rules(root, file)
	}
	if m := root.member("policy"); m != nil && !file.Client && file.Policy.IsZero() && len(r.problems) == 0 {
		r.problem(m.key.at, "policy: has no rules; remove the key to run without a policy, or write allowEmpty: true to allow nothing")
	}
	slices.SortStableFunc(r.problems, inOrder)
	slices.SortStableFunc(r.warnings, inOrder)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	file.Warnings = r.warnings
	if file.Section.Text != nil {
		file.Policy.Place = file.Section.Place
	}
	return file, nil
}

// inOrder compares problems by where they stand.
func inOrder(a, b Problem) int {
	return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// parse picks the form by the file's name, else by its first character.
func parse(s *source) (*node, *Problem) {
	if !utf8.Valid(s.data) {
		at := 0
		for at < len(s.data) {
			c, n := utf8.DecodeRune(s.data[at:])
			if c == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		p := s.problem(span{at, at + 1}, "not UTF-8 text")
		return nil, &p
	}
	switch strings.ToLower(filepath.Ext(s.name)) {
	case ".yaml", ".yml":
		return parseYAML(s)
	case ".json", ".jsonc":
		return parseJSON(s)
	case ".toml":
		p := s.problem(span{}, "TOML is not supported; write the servers as mcpServers in YAML or JSON")
		return nil, &p
	}
	if bytes.HasPrefix(bytes.TrimSpace(s.data), []byte("{")) {
		return parseJSON(s)
	}
	return parseYAML(s)
}

// Show is the path as messages name it: below the working directory without it.
func Show(path string, env Env) string {
	if rel, err := filepath.Rel(env.Dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
