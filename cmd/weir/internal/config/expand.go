package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"weir/catalog"
)

// maxSecret bounds a file that ${file:…} names, in bytes.
const maxSecret = 64 << 10

// Expander resolves the references in values: ${VAR}, ${VAR:-default}, ${env:VAR}, ${file:PATH} and
// ${command:PROGRAM ARGUMENT…}; $${ stands for a plain ${. In a client's own
// file it also knows what that client would put in: ${input:id}, ${workspaceFolder} and the like. It holds no secret but those of the
// env file; everything else is looked up when it is asked for.
type Expander struct {
	env    Env
	vars   map[string]string // the env file's
	dir    string            // of the configuration
	client bool
	text   []byte // the configuration

	commands commands
}

// newExpander reads the env file that belongs to the configuration at path.
func newExpander(path string, client bool, env Env) (*Expander, error) {
	e := &Expander{env: env, dir: filepath.Dir(path), client: client}
	beside := e.dir
	if client { // a client's directory has an env of its own, or a Python one
		beside = UserDir(env)
	}
	if beside == "" {
		return e, nil
	}
	vars, err := readEnvFile(filepath.Join(beside, "env"))
	e.vars = vars
	return e, err
}

// Expand replaces the references in s. Its error names the reference and never a value.
func (e *Expander) Expand(s string) (string, error) {
	var b strings.Builder
	for _, p := range split(s) {
		if p.reference == "" {
			b.WriteString(p.literal)
			continue
		}
		v, err := e.resolve(p.reference)
		if errors.Is(err, errLiteral) {
			v, err = p.literal, nil
		}
		if err != nil {
			return "", err
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

// Digest is a keyed hash of the configuration and of what its variables are now. Files and programs it refers to are the same for everybody who has the same key.
func (e *Expander) Digest(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(e.text) // never fails (hash.Hash)
	for _, p := range split(string(e.text)) {
		if p.reference != "" && !strings.HasPrefix(p.reference, "file:") && !strings.HasPrefix(p.reference, "command:") {
			v, err := e.resolve(p.reference)
			_, _ = fmt.Fprintf(h, "%q %t", v, err == nil) // as above
		}
	}
	return h.Sum(nil)
}

// part is a stretch of a value: a reference (what stands between the braces), or literal text.
type part struct{ literal, reference string }

// unclosed is the reference of a ${ without its }.
const unclosed = "\x00"

// split cuts a value at its references. The literal of a reference is its source text.
func split(s string) []part {
	var parts []part
	for s != "" {
		i := strings.Index(s, "${")
		if i < 0 {
			return append(parts, part{literal: s})
		}
		if i > 0 && s[i-1] == '$' {
			parts = append(parts, part{literal: s[:i-1] + "${"})
			s = s[i+2:]
			continue
		}
		if i > 0 {
			parts = append(parts, part{literal: s[:i]})
		}
		n := strings.IndexByte(s[i:], '}')
		if n < 0 {
			return append(parts, part{literal: s[i:], reference: unclosed})
		}
		body := s[i+2 : i+n]
		if body == "" {
			body = " "
		}
		parts = append(parts, part{literal: s[i : i+n+1], reference: body})
		s = s[i+n+1:]
	}
	return parts
}

// errLiteral says that a text which looks like a reference is none for the client whose file this is.
var errLiteral = errors.New("not a reference")

// resolve gives the value of one reference.
func (e *Expander) resolve(ref string) (string, error) {
	form, rest, ok := strings.Cut(ref, ":")
	switch {
	case ref == unclosed:
		return "", e.odd("a ${ without }; write $${ for a plain ${")
	case ok && form == "file":
		return e.file(rest)
	case ok && form == "env":
		return e.variable(rest)
	case ok && form == "input":
		return e.input(rest)
	case ok && form == "command" && !e.client:
		return e.command(rest)
	case ok && (form == "config" || form == "command"):
		return "", faultf("${%s} can only be answered by an editor; write the value, or a ${VARIABLE}", ref)
	}
	if v, ok := e.predefined(ref); ok {
		return v, nil
	}
	return e.variable(ref)
}

// odd is an error in weir's own file; a client leaves such text alone.
func (e *Expander) odd(format string, args ...any) error {
	if e.client {
		return errLiteral
	}
	return faultf(format, args...)
}

func (e *Expander) variable(ref string) (string, error) {
	name, fallback, hasDefault := strings.Cut(ref, ":-")
	if !isName(name) {
		return "", e.odd("${%s} is no reference; known are ${VAR}, ${VAR:-default}, ${env:VAR}, ${file:PATH} and ${command:PROGRAM …}, and $${ for a plain ${", ref)
	}
	if strings.Contains(fallback, "${") {
		return "", faultf("${%s…}: references do not nest", name)
	}
	v, ok := e.lookup(name)
	switch {
	case hasDefault && v == "":
		return fallback, nil
	case !ok:
		return "", faultf("${%s} is not set; set it in the environment or in %s, or write ${%s:-default}", name, e.envFile(), name)
	}
	return v, nil
}

// lookup asks the environment, then the env file.
func (e *Expander) lookup(name string) (string, bool) {
	if v, ok := e.env.Lookup(name); ok {
		return v, true
	}
	v, ok := e.vars[name]
	return v, ok
}

// envFile is the path where an unset variable can be written down.
func (e *Expander) envFile() string {
	if e.client {
		return filepath.Join(UserDir(e.env), "env")
	}
	return Show(filepath.Join(e.dir, "env"), e.env)
}

// input answers what VS Code would ask its user for, from a variable named after the input: github-token is GITHUB_TOKEN.
func (e *Expander) input(id string) (string, error) {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			return c
		}
		return '_'
	}, id)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "INPUT_" + name
	}
	if !e.client {
		return "", faultf("${input:%s} is VS Code's way to ask; use ${%s}", id, name)
	}
	if v, ok := e.lookup(name); ok {
		return v, nil
	}
	return "", faultf("${input:%s}: VS Code asks for this, weir cannot; set %s in the environment or in %s", id, name, e.envFile())
}

// predefined answers what editors define in their own files (Cursor and VS Code documentation, "variables").
func (e *Expander) predefined(name string) (string, bool) {
	if !e.client {
		return "", false
	}
	folder := e.dir
	if strings.HasPrefix(filepath.Base(folder), ".") { // .vscode, .cursor
		folder = filepath.Dir(folder)
	}
	switch name {
	case "userHome":
		return e.env.Home, e.env.Home != ""
	case "workspaceFolder":
		return folder, true
	case "workspaceFolderBasename":
		return filepath.Base(folder), true
	case "pathSeparator", "/":
		return string(filepath.Separator), true
	}
	return "", false
}

// file reads the file of ${file:PATH} without its last line break. PATH may start with ~/ or be relative to the configuration.
func (e *Expander) file(path string) (string, error) {
	full := path
	if rest, ok := strings.CutPrefix(path, "~/"); ok && e.env.Home != "" {
		full = filepath.Join(e.env.Home, rest)
	} else if !filepath.IsAbs(path) {
		full = filepath.Join(e.dir, path)
	}
	info, err := os.Stat(full)
	switch {
	case err != nil:
		return "", faultf("${file:%s}: %w", path, bare(err))
	case !info.Mode().IsRegular() && info.Mode()&os.ModeNamedPipe == 0:
		return "", faultf("${file:%s}: not a file", path)
	case info.Size() > maxSecret:
		return "", faultf("${file:%s}: larger than %d bytes", path, maxSecret)
	}
	b, err := os.ReadFile(full)
	if err != nil {
		return "", faultf("${file:%s}: %w", path, bare(err))
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// bare is the reason of a file error without its path, which the reference names already.
func bare(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// faultf makes an error of an invalid configuration.
func faultf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &catalog.Error{Code: catalog.Config, Msg: err.Error(), Err: err}
}

// isName reports whether s can name an environment variable.
func isName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// fault says why a reference cannot be resolved. Programs are run when their answer is needed, and not for this.
func (e *Expander) fault(ref string) error {
	if line, ok := strings.CutPrefix(ref, "command:"); ok && !e.client {
		return commandFault(line)
	}
	_, err := e.resolve(ref)
	return err
}

// references reports references of a value that cannot be resolved, each at its own place. What they resolve to is not kept.
func (r *reader) references(n *node) {
	from := n.at.start
	for _, p := range split(n.text) {
		if p.reference == "" {
			continue
		}
		at := n.at
		if i := strings.Index(string(r.src.data[from:max(from, n.at.end)]), p.literal); i >= 0 {
			at = span{from + i, from + i + len(p.literal)}
			from = at.end
		}
		if err := r.expand.fault(p.reference); err != nil && !errors.Is(err, errLiteral) {
			r.problem(at, "%v", err)
		}
	}
}
