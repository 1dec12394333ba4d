package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/term"
)

// addition is what weir add was told.
type addition struct {
	env, headers           []string
	transport, scope       string
	openapi, grpc, graphql string
	server                 string
	replace                bool
	name                   string
	entry                  config.Entry
}

// add is weir add NAME.
func (c *cli) add() *cobra.Command {
	a := &addition{}
	cmd := &cobra.Command{
		Use: "add NAME (-- CMD... | URL | --openapi SPEC | --grpc ADDR | --graphql URL)", Short: "add an upstream to the configuration",
		Long: "Add an upstream to the configuration; everything else in the file stays as it is written, comments too. A file is made when there is none:\n" +
			"./weir.yaml, or the user's own with --scope user. The words are those of claude mcp add.",
		Example: "  weir add time -- uvx mcp-server-time\n  weir add github https://api.githubcopilot.com/mcp/ --header 'Authorization: Bearer ${GITHUB_TOKEN}'\n" +
			"  weir add pets --openapi https://petstore3.swagger.io/api/v3/openapi.json\n  weir add time --replace --env TZ=UTC -- uvx mcp-server-time",
		Args: cobra.ArbitraryArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.read(args, cmd.ArgsLenAtDash()); err != nil {
				return err
			}
			return c.addTo(a)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&a.env, "env", "e", nil, "a variable of the program, `NAME=VALUE`; may be repeated")
	f.StringArrayVarP(&a.headers, "header", "H", nil, "a header of every request, `'Name: value'`; may be repeated. ${VARIABLES} stay in the file as they are")
	f.StringVarP(&a.transport, "transport", "t", "", "stdio, http or sse; found out when left away")
	f.StringVarP(&a.scope, "scope", "s", "", "which file: project (./weir.yaml) or user; by default the one that weir finds")
	f.StringVar(&a.openapi, "openapi", "", "a REST API: the file or URL of its OpenAPI `SPEC`")
	f.StringVar(&a.server, "server", "", "the `URL` of the REST API, in place of what its description says")
	f.StringVar(&a.grpc, "grpc", "", "a gRPC server at `ADDR`")
	f.StringVar(&a.graphql, "graphql", "", "a GraphQL endpoint at `URL`")
	f.BoolVar(&a.replace, "replace", false, "take the place of an upstream of this name")
	return cmd
}

// read sorts the words: NAME, then what is behind -- or a URL.
func (a *addition) read(args []string, dash int) error {
	usage := func(format string, args ...any) error {
		return &term.UsageError{Msg: "weir add: " + fmt.Sprintf(format, args...), Hint: "weir add --help"}
	}
	var command []string // behind --
	if dash >= 0 {
		command, args = args[dash:], args[:dash]
	}
	if len(args) == 0 {
		return usage("needs a name")
	}
	a.name = args[0]
	e := &a.entry
	switch len(args) {
	case 1:
	case 2:
		if !strings.Contains(args[1], "://") {
			return usage("%q is no URL; write a program behind --", args[1])
		}
		e.URL = args[1]
	default:
		return usage("too many arguments: %q; write a program behind --", args[2])
	}
	e.OpenAPI, e.GRPC, e.GraphQL, e.Server = a.openapi, a.grpc, a.graphql, a.server
	ways := slices.DeleteFunc([]string{e.URL, e.OpenAPI, e.GRPC, e.GraphQL, strings.Join(command, " ")}, func(s string) bool { return s == "" })
	if len(ways) != 1 {
		return usage("say in one way how to reach %s: -- CMD, URL, --openapi, --grpc or --graphql", a.name)
	}
	if len(command) > 0 {
		e.Command, e.Args = command[0], command[1:]
	}
	if said := (a.transport == "http" && e.URL != "" || a.transport == "stdio" && e.Command != ""); !said {
		e.Type = a.transport // what is clear anyway is not written
	}
	return a.readPairs(usage)
}

// readPairs takes up what goes with the way.
func (a *addition) readPairs(usage func(string, ...any) error) error {
	e := &a.entry
	for _, pair := range a.env {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return usage("--env %s: want NAME=VALUE", name)
		}
		put(&e.Env, name, value)
	}
	for _, line := range a.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return usage("--header: want 'Name: value'")
		}
		put(&e.Headers, strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if !slices.Contains([]string{"", "user", "project", "local"}, a.scope) {
		return usage("--scope: want user or project, got %q", a.scope)
	}
	return nil
}

func put(m *map[string]string, key, value string) {
	if *m == nil {
		*m = make(map[string]string)
	}
	(*m)[key] = value
}

// addTo writes the entry into the file.
func (c *cli) addTo(a *addition) error {
	path, err := c.fileFor(a.scope)
	if err != nil {
		return err
	}
	if e := &a.entry; e.Command != "" && filepath.Base(e.Command) == e.Command {
		// A client that starts weir may give it another PATH than this shell's.
		if full, err := exec.LookPath(e.Command); err == nil && filepath.IsAbs(full) {
			e.Command = full
		} else {
			c.Note("%s: %q is not in PATH here", a.name, e.Command)
		}
	}
	a.entry.OpenAPI = c.relative(path, a.entry.OpenAPI)
	err = c.edit(path, func(data []byte) ([]byte, error) { return config.Add(path, data, a.name, a.entry, a.replace, c.env) })
	if err != nil {
		return err
	}
	for _, pairs := range []map[string]string{a.entry.Headers, a.entry.Env} {
		for _, name := range slices.Sorted(maps.Keys(pairs)) {
			if looksSecret(name, pairs[name]) {
				c.Note("%s: the value of %s stands in the file as it is; write ${NAME} in its place to keep it in the environment", a.name, name)
			}
		}
	}
	c.Note("%s: %s added; weir check --dial tries it", c.shown(path), a.name)
	return nil
}

// looksSecret guesses by the name.
func looksSecret(name, value string) bool {
	name = strings.ToLower(name)
	return !strings.Contains(value, "${") && slices.ContainsFunc([]string{"auth", "token", "secret", "key", "pass"}, func(s string) bool { return strings.Contains(name, s) })
}

// relative is the name of a local description as the file at path should have it.
func (c *cli) relative(path, description string) string {
	if description == "" || strings.Contains(description, "://") || filepath.IsAbs(description) || strings.HasPrefix(description, "$") {
		return description
	}
	if rel, err := filepath.Rel(filepath.Dir(path), filepath.Join(c.env.Dir, description)); err == nil {
		return rel
	}
	return filepath.Join(c.env.Dir, description)
}

// remove is weir rm NAME.
func (c *cli) remove() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "remove an upstream from the configuration",
		Long:    "Remove an upstream and the comment right above it from the configuration; everything else stays as it is written.",
		Example: "  weir rm time", Args: between(1, 1, "the name of an upstream"), ValidArgsFunction: c.completeUpstream,
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := config.Find(c.config, c.env)
			if err != nil {
				return err
			}
			if err := c.edit(path, func(data []byte) ([]byte, error) { return config.Remove(path, data, args[0], c.env) }); err != nil {
				return err
			}
			c.Note("%s: %s removed", c.shown(path), args[0])
			return nil
		},
	}
}

// completeUpstream completes the name of an upstream.
func (c *cli) completeUpstream(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if file, err := c.read(nil); err == nil {
		for _, u := range file.MCPServers {
			names = append(names, u.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// fileFor is the file that is added to: the one that weir finds, or the one of the scope, which may not be there yet.
func (c *cli) fileFor(scope string) (string, error) {
	folder := c.env.Dir
	if scope == "user" {
		if folder = config.UserDir(c.env); folder == "" {
			return "", catalog.Errorf(catalog.Config, "config: there is no home directory")
		}
	}
	if scope == "" || c.config != "" {
		path, err := config.Find(c.config, c.env)
		if err == nil || !errors.Is(err, config.ErrNone) {
			return path, err
		}
	}
	for _, name := range []string{"weir.yaml", "weir.yml", "weir.json", "weir.jsonc"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
			return filepath.Join(folder, name), nil
		}
	}
	return filepath.Join(folder, "weir.yaml"), nil
}

// shown is a path as messages name it.
func (c *cli) shown(path string) string {
	if rel, err := filepath.Rel(c.env.Dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// edit changes a file in one step: it is whole at any time, keeps its mode, and a link to it stays one.
func (c *cli) edit(path string, change func([]byte) ([]byte, error)) error {
	if end, err := filepath.EvalSymlinks(path); err == nil {
		path = end
	}
	data, err := os.ReadFile(path)
	mode := fs.FileMode(0o600)
	switch info, statErr := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return catalog.Errorf(catalog.Config, "config: %v", err)
		}
	case err != nil:
		return catalog.Errorf(catalog.Config, "config: %v", err)
	case statErr == nil:
		mode = info.Mode().Perm()
	}
	after, err := change(data)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".weir-*")
	if err != nil {
		return catalog.Errorf(catalog.Config, "config: %v", err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // it is gone when all went well
	_, err = temporary.Write(after)
	err = errors.Join(err, temporary.Chmod(mode), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return catalog.Errorf(catalog.Config, "config: %v", err)
	}
	return nil
}
