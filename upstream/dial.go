package upstream

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"weir/catalog"
	"weir/upstream/egress"
	"weir/upstream/mcpconn"
	"weir/upstream/process"
)

// maxEnvFile bounds an envFile, in bytes.
const maxEnvFile = 1 << 20

// backend is one live connection to an upstream of whatever kind.
type backend interface {
	Call(context.Context, *catalog.Call) (*catalog.Answer, error)
	// List reads all that the upstream offers. A list that failed stands among the faults, by kind; err says that nothing could be read.
	List(context.Context) (src *catalog.Source, faults map[catalog.Kind]error, err error)
	// Done is closed when the connection is lost; Err is not nil from then on, or earlier.
	Done() <-chan struct{}
	Err() error
	Close(context.Context) error
}

// dialer makes a connection in a manner. changed is called, without blocking, when the upstream's lists may have changed.
type dialer func(ctx context.Context, as manner, changed func()) (backend, error)

// dialerOf returns what connects to the upstream of spec.
func (s *Set) dialerOf(name string, spec *Spec) dialer {
	if s.o.dial != nil {
		return s.o.dial(name, spec)
	}
	quiet := false // it did not answer the last probe
	var out outlet
	return func(ctx context.Context, as manner, changed func()) (backend, error) {
		r, err := s.resolve(name, spec)
		if err != nil {
			return nil, err
		}
		if r.translated() {
			return s.dialAPI(ctx, name, &r.Spec, changed)
		}
		cfg := mcpconn.Config{
			Name: name, Transport: spec.Kind(), Era: cmp.Or(as.era, spec.Era), Capabilities: []byte(as.capabilities), URL: r.URL, MaxMessage: spec.MaxMessage, Memory: s.memory, Log: s.o.Log,
			Client: mcpconn.Implementation{Name: "weir", Version: s.o.Version}, Changed: changed, Quiet: as.era == "" && quiet, Outside: as.outside, ElicitationHosts: spec.ElicitationHosts,
			Updated: func(topic catalog.Topic, params []byte) {
				if s.o.Updated != nil {
					s.o.Updated(name, topic, params)
				}
			},
			Start: func() (*process.Process, error) { return s.children.Start(r.child(name)) },
		}
		for _, k := range slices.Sorted(maps.Keys(r.Headers)) {
			cfg.Headers = append(cfg.Headers, [2]string{k, r.Headers[k]})
		}
		var way *egress.Transport
		if r.URL != "" {
			if way, err = out.onto(ctx, &cfg, r, s.o.SignIn); err != nil {
				return nil, err
			}
		}
		c, err := mcpconn.Dial(ctx, cfg)
		if err != nil {
			return nil, err
		}
		if as.era == "" {
			quiet = c.Quiet()
		}
		if way != nil {
			return &server{c, way}, nil
		}
		return c, nil
	}
}

// child says how to start a stdio server.
func (r *resolved) child(name string) process.Spec {
	return process.Spec{
		Name: name, Command: r.Command, Args: r.Args, Dir: r.Cwd, Env: process.Environ(os.Environ(), r.Env), Secrets: r.childSecrets(),
		Sandbox: r.Sandbox,
	}
}

// secretFlag is an argument that says that it, or the next one, is a secret.
var secretFlag = regexp.MustCompile(`(?i)^-.*(token|secret|key|pass|auth|cred)`)

// childSecrets are the values that a child may repeat and that must not show: what references resolved to, its environment, and arguments that are secrets by
// their name or look like tokens.
func (r *resolved) childSecrets() []string {
	secrets := slices.Concat(r.secrets, slices.Collect(maps.Values(r.Env)))
	for i, arg := range r.Args {
		name, value, ok := strings.Cut(arg, "=")
		switch {
		case ok && secretFlag.MatchString(name):
			secrets = append(secrets, value)
		case i > 0 && secretFlag.MatchString(r.Args[i-1]) && !strings.Contains(r.Args[i-1], "="), looksRandom(arg):
			secrets = append(secrets, arg)
		}
	}
	return secrets
}

// looksRandom reports whether s is one long run of letters and digits mixed, as tokens are and paths and names of packages are not.
func looksRandom(s string) bool {
	const token = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=."
	return len(s) >= 16 && strings.Trim(s, token) == "" && strings.ContainsAny(s, "0123456789") && strings.ContainsAny(s, token[:52])
}

// readEnvFile reads KEY=value lines. Blank lines and lines that begin with # are skipped, "export " before a key and one pair of quotes around a value too.
func readEnvFile(name, path string) (map[string]string, error) {
	info, err := os.Stat(path)
	fail := func(format string, args ...any) (map[string]string, error) {
		return nil, &catalog.Error{Code: catalog.Config, Msg: name + ": envFile: " + fmt.Sprintf(format, args...), Execution: catalog.NotExecuted, Err: err}
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxEnvFile {
		return fail("%s is not a readable file", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fail("%s is not a readable file", path)
	}
	vars := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxEnvFile+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" {
			return fail("%s:%d: no KEY=value", path, n)
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		vars[key] = value
	}
	return vars, nil
}
