package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// federation is a gateway's configuration with the three reference servers behind it over stdio, and what they list without it.
type federation struct {
	config    object
	file      string // a text file that files may read
	tools     []string
	prompts   []string
	resources []string
	templates []string
}

// federate asks each server what it offers to a client that can do everything, and puts them behind one configuration.
func federate(t *testing.T, n node) *federation {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	f := &federation{file: filepath.Join(dir, "note.txt")}
	must(t, os.WriteFile(f.file, []byte("a note\nof two lines\n"), 0o600))
	memory := n.server("server-memory")
	memory["env"] = object{"MEMORY_FILE_PATH": filepath.Join(t.TempDir(), "memory.jsonl")}
	servers := object{
		"everything": n.server("server-everything"),
		"files":      n.server("server-filesystem", dir),
		"memory":     memory,
	}
	f.config = object{"mcpServers": servers}
	for name, spec := range servers {
		spec, ok := spec.(object)
		if !ok {
			t.Fatalf("%s: %v", name, spec)
		}
		// A client that asks once at start gets the whole list only when weir waits for its upstreams.
		spec["required"] = true
		f.ask(t, n, name, spec)
	}
	for _, list := range [][]string{f.tools, f.prompts, f.resources, f.templates} {
		slices.Sort(list)
	}
	return f
}

// ask lists what one server offers, in weir's names.
func (f *federation) ask(t *testing.T, n node, name string, spec object) {
	t.Helper()
	args, ok := spec["args"].([]string)
	if !ok {
		t.Fatalf("%s: %v", name, spec)
	}
	// weir can pass every kind of question on, so that is what it says of itself while it learns what a server has.
	can := object{"elicitation": object{"form": object{}, "url": object{}}, "sampling": object{}, "roots": object{}}
	p := newStdioPeer(t, n.command(t, args[0], args[1:]...), legacy, person{can: can})
	for _, kind := range []struct {
		method, key, name string
		into              *[]string
		prefix            string
	}{
		{"tools/list", "tools", "name", &f.tools, name + "__"},
		{"prompts/list", "prompts", "name", &f.prompts, name + "__"},
		{"resources/list", "resources", "uri", &f.resources, ""},
		{"resources/templates/list", "resourceTemplates", "uriTemplate", &f.templates, ""},
	} {
		events, err := p.call(kind.method, nil)
		must(t, err)
		answer := events[len(events)-1]
		if answer.Error != nil { // the server has nothing of the kind
			continue
		}
		var page map[string]json.RawMessage
		must(t, json.Unmarshal(answer.Result, &page))
		var items []map[string]any
		must(t, json.Unmarshal(page[kind.key], &items))
		for _, item := range items {
			s, ok := item[kind.name].(string)
			if !ok {
				t.Fatalf("%s: %s without %s", name, kind.key, kind.name)
			}
			*kind.into = append(*kind.into, kind.prefix+s)
		}
	}
}

// sight is what a client of another SDK reports: see .ci/node/drive.mjs.
type sight struct {
	Client, Era, Error                   string
	Tools, Prompts, Resources, Templates []string
	Echo, File, Operation                string
	Structured                           map[string]any
	Memory                               []map[string]any
	Image                                []string
	Progress                             [][2]int
	Resource                             [][3]any
	Dynamic                              []string
	Prompt                               []string
	Completion                           []string
}

// expects is what a client must have seen of f.
func (f *federation) expects(client string, e era) sight {
	steps := [][2]int{{1, 5}, {2, 5}, {3, 5}, {4, 5}, {5, 5}}
	return sight{
		Client: client, Era: string(e),
		Tools: f.tools, Prompts: f.prompts, Resources: f.resources, Templates: f.templates,
		Echo: "Echo: hällo", File: "a note\nof two lines\n", Image: []string{"text", "image", "text"},
		Structured: map[string]any{"temperature": 36.0, "conditions": "Light rain / drizzle", "humidity": 82.0},
		Memory:     []map[string]any{{"name": client, "entityType": "client", "observations": []any{"went through the gateway"}}},
		Progress:   steps, Operation: "Long running operation completed. Duration: 0.25 seconds, Steps: 5.",
		Resource:   [][3]any{{"demo://resource/static/document/features.md", "text/markdown", true}},
		Dynamic:    []string{"demo://resource/dynamic/text/7"},
		Prompt:     []string{"What's weather in Basel, BS?"},
		Completion: []string{"Alice"},
	}
}

// The TypeScript SDK's clients, over HTTP and stdio, in each era they speak.
func TestTypeScriptClients(t *testing.T) {
	n := needNode(t)
	f := federate(t, n)
	g := serve(t, f.config)
	g.offers(t, len(f.tools))
	targets := map[string]object{
		"http":  {"url": g.url},
		"stdio": {"command": weirBinary, "args": []string{"stdio", configFile(t, f.config)}},
	}
	tests := []struct {
		script, mode string
		client       string
		era          era
	}{
		{"client-v1.mjs", "legacy", "typescript-v1", legacy},
		{"client-v2.mjs", "legacy", "typescript-v2-legacy", legacy},
		{"client-v2.mjs", "modern", "typescript-v2-modern", modern},
		{"client-v2.mjs", "auto", "typescript-v2-auto", modern},
	}
	for over, target := range targets {
		for _, tt := range tests {
			t.Run(tt.client+" over "+over, func(t *testing.T) {
				where, err := json.Marshal(target)
				must(t, err)
				cmd := n.command(t, filepath.Join(n.dir, tt.script), string(where), tt.mode, f.file)
				stderr := &output{}
				cmd.Stderr = stderr
				out, err := cmd.Output()
				var got sight
				if err == nil {
					err = json.Unmarshal(out, &got)
				}
				if err != nil {
					t.Fatalf("%v\n%s\n%s", err, out, stderr)
				}
				if diff := cmp.Diff(f.expects(tt.client, tt.era), got); diff != "" {
					t.Errorf("want (-) and seen (+):\n%s\n%s", diff, tail(stderr.String(), 4<<10))
				}
			})
		}
	}
}

// The inspector's command line, as a person would use it to look at the gateway.
func TestInspector(t *testing.T) {
	n := needNode(t)
	f := federate(t, n)
	g := serve(t, f.config)
	g.offers(t, len(f.tools))
	targets := map[string][]string{
		"http":  {g.url},
		"stdio": {weirBinary, "stdio", configFile(t, f.config)},
	}
	for over, target := range targets {
		for _, e := range []era{legacy, modern} {
			t.Run(string(e)+" over "+over, func(t *testing.T) {
				inspect := func(args ...string) map[string]any {
					t.Helper()
					args = append([]string{"--cli", "--format", "json", "--protocol-era", string(e)}, args...)
					args = append(append(args, "--"), target...)
					cmd := n.command(t, n.module("inspector", "clients", "launcher", "build", "index.js"), args...)
					stderr := &output{}
					cmd.Stderr = stderr
					out, err := cmd.Output()
					var got struct{ Result map[string]any }
					if err == nil {
						err = json.Unmarshal(out, &got)
					}
					if err != nil {
						t.Fatalf("inspector %s: %v\n%s\n%s", strings.Join(args, " "), err, out, stderr)
					}
					return got.Result
				}
				if tools, ok := inspect("--method", "tools/list")["tools"].([]any); !ok || len(tools) < len(f.tools) {
					t.Errorf("lists %d tools, want %d", len(tools), len(f.tools))
				}
				got := inspect("--method", "tools/call", "--tool-name", "everything__get-sum", "--tool-arg", "a=19", "b=23")
				want := []any{map[string]any{"type": "text", "text": "The sum of 19 and 23 is 42."}}
				if diff := cmp.Diff(want, got["content"]); diff != "" {
					t.Errorf("the sum: want (-) and seen (+):\n%s", diff)
				}
			})
		}
	}
}
