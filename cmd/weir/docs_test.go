package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/help"
)

// fence is a fenced block of a Markdown page.
type fence struct {
	page, language, body string
	line                 int
}

// fencesOf finds the fenced blocks of a page.
func fencesOf(page, text string) []fence {
	var all []fence
	var open *fence
	for i, line := range strings.Split(text, "\n") {
		language, mark := strings.CutPrefix(line, "```")
		switch {
		case mark && open == nil:
			open = &fence{page: page, language: language, line: i + 2}
		case mark:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.body += line + "\n"
		}
	}
	return all
}

// pages are README.md, those of the examples, and the help topics, by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(repo, "examples", "*", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, filepath.Join(repo, "README.md")) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(repo, path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.ToSlash(rel)] = string(b)
	}
	for _, topic := range help.Topics() {
		text, _ := help.Topic(topic)
		all["help "+topic] = text
	}
	return all
}

// TestDocumentedConfigurations reads every configuration that a page shows, as weir would.
func TestDocumentedConfigurations(t *testing.T) {
	t.Parallel()
	env := config.Env{Lookup: func(string) (string, bool) { return "x", true }, Dir: t.TempDir(), Home: t.TempDir()}
	for page, text := range pages(t) {
		for _, f := range fencesOf(page, text) {
			var name string
			switch f.language {
			case "yaml":
				name = "weir.yaml"
			case "json":
				name = "mcp.json"
			case "text", "sh", "console":
				continue
			default:
				t.Errorf("%s:%d: fence %q: want yaml, json, sh, console or text", page, f.line, f.language)
				continue
			}
			if _, err := config.Parse(filepath.Join(env.Dir, name), []byte(f.body), env); err != nil {
				t.Errorf("%s:%d:\n%v", page, f.line, err)
			}
		}
	}
}

// TestEveryKeyIsDocumented holds that the topic config names every key of the schema, with the default where it has one.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	topic, _ := help.Topic("config")
	schema := gjson.ParseBytes(config.Schema())
	for _, object := range []string{"properties", "properties.mcpServers.additionalProperties.properties", "properties.policy.properties"} {
		keys := schema.Get(object)
		if len(keys.Map()) < 10 {
			t.Fatalf("%s: only %d keys", object, len(keys.Map()))
		}
		keys.ForEach(func(key, value gjson.Result) bool {
			if !strings.Contains(topic, "`"+key.String()+"`") {
				t.Errorf("weir help config does not name %s", key)
			}
			if d := value.Get("default"); d.Type == gjson.String && !strings.Contains(topic, "`"+d.String()+"`") {
				t.Errorf("weir help config does not give %s's default, %s", key, d)
			}
			return true
		})
	}
}

// need skips a test whose tools are missing here; where everything must run, it fails.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}
