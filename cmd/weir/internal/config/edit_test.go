package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const edited = `# my servers
listen: 127.0.0.1:7777

mcpServers: # all of them
  # the time
  time: { command: uvx, args: [mcp-server-time] } # in Paris

  # pets, sold or not
  pets:
    openapi: ./pets.yaml   # see there
    include: [ "get*" ]

  last:
    url: http://localhost/mcp

# what is said
log: { level: warn }
`

func TestAdd(t *testing.T) {
	t.Parallel()
	e := env(nil)
	block := `  new:
    openapi: https://example.com/openapi.json
    headers:
      Authorization: Bearer ${TOKEN:-x}
`
	entry := Entry{OpenAPI: "https://example.com/openapi.json", Headers: map[string]string{"Authorization": "Bearer ${TOKEN:-x}"}}
	for _, tt := range []struct{ name, path, before, want string }{
		{"in the middle", "weir.yaml", edited, strings.Replace(edited, "    url: http://localhost/mcp\n", "    url: http://localhost/mcp\n"+block, 1)},
		{"at the end", "weir.yaml", "mcpServers:\n  a: {command: x}", "mcpServers:\n  a: {command: x}\n" + block},
		{"without servers", "weir.yaml", "# mine\nlisten: localhost:1\n", "# mine\nlisten: localhost:1\nmcpServers:\n" + block},
		{"nothing", "weir.yaml", "", "mcpServers:\n" + block},
		{"empty braces", "weir.yaml", "mcpServers: {} # none\nlisten: localhost:1\n", "mcpServers: # none\n" + block + "listen: localhost:1\n"},
		{"other indentation", "weir.yaml", "mcpServers:\n    a: {command: x}\n", "mcpServers:\n    a: {command: x}\n" + strings.ReplaceAll("  "+strings.TrimSuffix(block, "\n"), "\n", "\n  ") + "\n"},
		{
			"JSON", "weir.json", "{\n  // mine\n  \"mcpServers\": {\n    \"a\": {\"command\": \"x\"}, // a\n  },\n}\n",
			"{\n  // mine\n  \"mcpServers\": {\n    \"a\": {\"command\": \"x\"}, // a\n    \"new\":{\"openapi\":\"https://example.com/openapi.json\",\"headers\":{\"Authorization\":\"Bearer ${TOKEN:-x}\"}}\n  },\n}\n",
		},
	} {
		got, err := Add("/work/"+tt.path, []byte(tt.before), "new", entry, false, e)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
		back, err := Remove("/work/"+tt.path, got, "new", e)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if tt.path == "weir.yaml" && strings.Contains(tt.before, "  a: {command") && string(back) != strings.TrimSuffix(tt.before, "\n")+"\n" {
			t.Errorf("%s: removed again it is\n%s", tt.name, back)
		}
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"time": strings.Replace(edited, "  # the time\n  time: { command: uvx, args: [mcp-server-time] } # in Paris\n\n", "", 1),
		"pets": strings.Replace(edited, "  # pets, sold or not\n  pets:\n    openapi: ./pets.yaml   # see there\n    include: [ \"get*\" ]\n\n", "", 1),
		"last": strings.Replace(edited, "  last:\n    url: http://localhost/mcp\n", "", 1),
	} {
		got, err := Remove("/work/weir.yaml", []byte(edited), name, env(nil))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	e := env(nil)
	entry := Entry{Command: "x"}
	for _, tt := range []struct{ path, text, name, want string }{
		{"weir.yaml", edited, "pets", `weir.yaml: there is a server "pets" already`},
		{"weir.yaml", edited, "a__b", `the name "a__b" contains "__", which separates an upstream from its tool`},
		{"weir.yaml", "mcpServers: {a: {command: x}}", "b", "weir.yaml: mcpServers is written in a form that only you can change; write one server per line"},
		{"weir.yaml", "mcpServers: [", "b", "weir.yaml:1:14"},
		{"mcp.json", `{"mcpServers": {}}`, "b", "mcp.json: is the file of an MCP client, which weir does not change"},
	} {
		if _, err := Add("/work/"+tt.path, []byte(tt.text), tt.name, entry, false, e); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	got, err := Add("/work/weir.yaml", []byte(edited), "pets", entry, true, e)
	if err != nil || strings.Contains(string(got), "openapi") || strings.Count(string(got), "pets:") != 1 {
		t.Errorf("replaced: %v\n%s", err, got)
	}
	if _, err := Remove("/work/weir.yaml", []byte(edited), "pet", e); err == nil || err.Error() != `weir.yaml: there is no server "pet"` {
		t.Error(err)
	}
}

// FuzzEdit: whatever a valid file looks like, adding a server and removing it again is either refused or gives valid files, with all other servers.
func FuzzEdit(f *testing.F) {
	for _, s := range []string{edited, "mcpServers: {}", "{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}", "mcpServers:\n- a\n", "a: &x {}\nmcpServers: *x", "mcpServers:\n  a:\n    command: |\n      # x\n", "\r\r\r\r", "#\u0085#\u2028#\u2029pServ", "#\u0085#\u2028#\u2029mcpServers:\r  a: {command: x}\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := env(nil)
		before, err := Parse("/work/weir.yaml", []byte(text), e)
		if err != nil {
			return
		}
		added, err := Add("/work/weir.yaml", []byte(text), "fuzz", Entry{Command: "x"}, false, e)
		if err != nil {
			return
		}
		after, err := Parse("/work/weir.yaml", added, e)
		if err != nil || len(after.MCPServers) != len(before.MCPServers)+1 {
			t.Fatalf("%v\n%s", err, added)
		}
		removed, err := Remove("/work/weir.yaml", added, "fuzz", e)
		if err != nil {
			return
		}
		last, err := Parse("/work/weir.yaml", removed, e)
		if err != nil {
			t.Fatalf("%v\n%s", err, removed)
		}
		if diff := cmp.Diff(before.MCPServers, last.MCPServers); diff != "" && len(before.MCPServers)+len(last.MCPServers) > 0 {
			t.Error(diff)
		}
	})
}
