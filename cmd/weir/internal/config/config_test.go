package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/catalog"
	"weir/policy/guard"
	"weir/server"
	"weir/server/authn"
	"weir/server/once"
	"weir/server/record"
	"weir/server/record/requestlog"
	"weir/upstream"
	"weir/upstream/process"
)

var update = flag.Bool("update", os.Getenv("UPDATE") != "", "rewrite expected output")

// env answers from a map, with a home and working directory that do not exist.
func env(vars map[string]string) Env {
	return Env{
		Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		Home:   "/home/ana", Dir: "/work",
	}
}

// TestRead reads each archive in testdata/read: the first file is the configuration, "want" what is said about it.
func TestRead(t *testing.T) {
	paths, err := filepath.Glob("testdata/read/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse(filepath.Join("/work", a.Files[0].Name), a.Files[0].Data, env(map[string]string{"SET": "1", "EMPTY": ""}))
			got := describe(f, err)
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(a.Files[len(a.Files)-1].Data), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// describe is what a person sees of a reading: the problems, or the warnings and the names of the upstreams.
func describe(f *File, err error) string {
	var b strings.Builder
	if ps := Problems(nil); errors.As(err, &ps) {
		b.WriteString(ps.Error() + "\n" + ps.Count() + "\n")
		return b.String()
	}
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	for _, w := range f.Warnings {
		b.WriteString("warning: " + w.String() + "\n")
	}
	for _, u := range f.MCPServers {
		b.WriteString(u.Name + " " + strings.Join(append([]string{u.Spec.Type, u.Spec.Command}, u.Spec.Args...), " ") + u.Spec.URL)
		if u.Spec.Timeout != 0 {
			b.WriteString(" timeout=" + u.Spec.Timeout.String())
		}
		if u.Spec.Include != nil {
			b.WriteString(" include=" + strings.Join(u.Spec.Include, ","))
		}
		if u.Spec.Disabled {
			b.WriteString(" disabled")
		}
		b.WriteString("\n")
	}
	return b.String()
}

const whole = `
listen: 127.0.0.1:8080
naming: conflict
pageSize: 50
maxBody: 4MiB
sessionIdle: 90s
log: { level: debug, format: json }
mcpServers:
  time:
    command: uvx
    args: [mcp-server-time, "--tz=${TZ:-UTC}"]
    env: { A: "1" }
    timeout: 2m
    include: ["get_*"]
    alias: { get_time: now }
  github:
    url: https://example.com/mcp
    headers: { Authorization: "Bearer ${TOKEN}" }
    maxMessage: 1024
`

func TestParseFillsEverySection(t *testing.T) {
	t.Parallel()
	f, err := Parse("/work/weir.yaml", []byte(whole), env(map[string]string{"TOKEN": "t0k3n"}))
	if err != nil {
		t.Fatal(err)
	}
	spec := server.Default()
	spec.Listen, spec.MaxBody, spec.SessionIdle = "127.0.0.1:8080", 4<<20, 90*time.Second
	want := &File{
		Path: "/work/weir.yaml", Name: "weir.yaml", Naming: catalog.Conflict, PageSize: 50, Server: spec, Auth: authn.Default(), Log: Log{Level: "debug", Format: "json"},
		Telemetry: record.DefaultTelemetry(), Audit: record.DefaultAudit(), RequestLog: requestlog.Default(), Idempotency: once.Default(),
		Guards: guard.Default(),
		MCPServers: Upstreams{
			{"time", upstream.Spec{
				Command: "uvx", Args: []string{"mcp-server-time", "--tz=${TZ:-UTC}"}, Env: map[string]string{"A": "1"}, Timeout: 2 * time.Minute,
				Include: []string{"get_*"}, Alias: map[string]string{"get_time": "now"},
			}},
			{"github", upstream.Spec{
				URL: "https://example.com/mcp", Headers: map[string]string{"Authorization": "Bearer ${TOKEN}"}, MaxMessage: 1024,
			}},
		},
	}
	expander := f.Expander
	f.Expander, f.Section = nil, nil
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got, err := expander.Expand(f.MCPServers[1].Spec.Headers["Authorization"])
	if err != nil || got != "Bearer t0k3n" {
		t.Errorf("Expand = %q, %v", got, err)
	}
}

func TestJSONAndYAMLReadAlike(t *testing.T) {
	t.Parallel()
	yaml := "listen: 127.0.0.1:1\nmcpServers:\n  a: {command: x, args: [\"1\", 'two'], required: true}\n"
	json := `{ // a comment
		"listen": "127.0.0.1:1",
		"mcpServers": {"a": {"command": "x", "args": ["1", "tw\u006f",], "required": true}}, /* and a comma */ }`
	a, err := Parse("/work/weir.yaml", []byte(yaml), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse("/work/weir.json", []byte(json), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	a.Path, a.Name, a.Expander, a.Section, b.Path, b.Name, b.Expander, b.Section = "", "", nil, nil, "", "", nil, nil
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("yaml and json differ (-yaml +json)\n%s", diff)
	}
}

func TestSecretsAreNotQuoted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, file, content string }{
		{"misspelt headers", "weir.yaml", "mcpServers:\n  a: {url: 'http://x', headrs: {Authorization: 'Bearer s3cr3tvalue'}}\n"},
		{"beside a misspelt key", "weir.yaml", "mcpServers:\n  a: {command: x, env: {T: s3cr3tvalue}, agrs: [1]}\n"},
		{"wrong kind", "weir.json", `{"naming":"bare","mcpServers":{"a":{"url":"http://x","headers":"Bearer s3cr3tvalue"}}}`},
		{"in a url", "weir.yaml", "mcpServers: {a: {url: 'ftp://u:s3cr3tvalue@h/'}}\n"},
		{"userinfo", "weir.yaml", "mcpServers: {a: {url: 'http://u:s3cr3tvalue@h/'}}\n"},
		{"argument", "weir.yaml", "mcpServers: {a: {command: x, args: ['--key=s3cr3tvalue', 1]}}\n"},
		{"default", "weir.yaml", "mcpServers: {a: {command: x, env: {T: '${X:-s3cr3tvalue}'}, cwd: 1}}\n"},
		{"broken yaml", "weir.yaml", "mcpServers:\n  a:\n    env: {API_KEY: \"s3cr3tvalue}\n"},
		{"broken json", "weir.json", `{"mcpServers":{"a":{"env":{"TOKEN":"s3cr3tvalue" "B":1}}}}`},
		{"anchor", "weir.yaml", "mcpServers: {a: {command: x, env: {T: &t s3cr3tvalue}, cwd: 1}}\n"},
		{"header of two lines", "weir.json", `{"naming":"bare","mcpServers":{"a":{"url":"http://x","headers":{"A":"s3cr3tvalue\nx"}}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("/work/"+tc.file, []byte(tc.content), env(nil))
			if err == nil {
				t.Fatal("no problem found")
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("quotes the secret:\n%v", err)
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir, home := t.TempDir(), t.TempDir()
	write := func(path string) string {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	vars := map[string]string{}
	e := Env{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }, Home: home, Dir: dir}
	find := func(given, want string) {
		t.Helper()
		got, err := Find(given, e)
		if err != nil || got != want {
			t.Errorf("Find(%q) = %q, %v; want %q", given, got, err, want)
		}
	}
	if _, err := Find("", e); !errors.Is(err, ErrNone) {
		t.Errorf("Find in an empty place = %v, want ErrNone", err)
	}
	find("", write(filepath.Join(home, ".config", "weir", "weir.yaml")))
	find("", write(filepath.Join(dir, "weir.json")))
	find("", write(filepath.Join(dir, "weir.yaml")))
	vars["WEIR_CONFIG"] = write(filepath.Join(dir, "other.yaml"))
	find("", vars["WEIR_CONFIG"])
	find("given.yaml", write(filepath.Join(dir, "given.yaml")))
	if _, err := Find("absent.yaml", e); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("Find of an absent file = %v, want an error that names it", err)
	}
	if _, err := Find(".", e); err == nil {
		t.Error("Find of a directory: no error")
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"command", "args", "env", "url", "headers", "timeout"}
	for word, want := range map[string]string{
		"comand": "command", "Command": "command", "cmmoand": "command", "arg": "args", "evn": "env", "header": "headers", "time": "",
		"x": "", "": "", "somethingelse": "", "timeuot": "timeout",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "1kB": 1000, "64MiB": 64 << 20, "2 GiB": 2 << 30, "1GB": 1e9,
		"": -1, "-1": -1, "1.5MiB": -1, "MiB": -1, "9223372036854775807GiB": -1, "1TB": -1, "1 2": -1,
	} {
		got, ok := parseSize(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("parseSize(%q) = %d, want %d", text, got, want)
		}
	}
}

// What this machine cannot bound is a problem of the file, and a warning where that is allowed.
func TestSandboxOnAMachineThatCannot(t *testing.T) {
	e := env(nil)
	e.Lacks = func(b process.Sandbox) string {
		if b.Read == nil {
			return ""
		}
		return "this kernel has no Landlock"
	}
	for box, want := range map[string]string{
		"{ openFiles: 10 }":              "a  server\n",
		"{ read: [], optional: true }":   "warning: weir.yaml:1:37: mcpServers.a.sandbox: this kernel has no Landlock; the server is started without what is missing\na  server\n",
		"{ read: [~/a], openFiles: 10 }": "mcpServers.a.sandbox: this kernel has no Landlock; with optional: true the server is started without\n",
	} {
		f, err := Parse("/work/weir.yaml", []byte("mcpServers: { a: { command: server, sandbox: "+box+" } }"), e)
		if got := describe(f, err); !strings.Contains(got, want) {
			t.Errorf("%s: %s", box, got)
		}
	}
}
