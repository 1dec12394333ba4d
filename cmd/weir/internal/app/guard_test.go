package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/upstream/upstreamtest"
)

// TestGuardsOfAFile: the rules of a file are in force and followed like the configuration itself, a virtual server has the same guards, and what is found is
// counted by guard, rule and action.
func TestGuardsOfAFile(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a")}})
	address := unused(t)
	p := newPlace(t, object{})
	rules := filepath.Join(filepath.Dir(p.path), "rules.toml")
	put := func(rule string) {
		t.Helper()
		if err := os.WriteFile(rules, fmt.Appendf(nil, "[[rules]]\nid = 'project'\nregex = %q\nkeywords = ['weir-']\n", rule), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("weir-[0-9]{4}")
	p.write(t, object{
		"listen": "127.0.0.1:0", "telemetry": object{"metrics": object{"prometheus": address}}, "mcpServers": object{"up": object{"url": up.URL}},
		"guards":  object{"secrets": object{"arguments": "block", "rules": "rules.toml"}},
		"servers": object{"part": object{"include": []string{"up/*"}}},
	})
	a := p.start(t)
	settled(t, a)
	url := serve(t, a)
	ready(t, url, "") // the files are watched before anything is answered
	ask := func(path, text string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, strings.NewReader(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__a","arguments":{"text":%q}}}`, text)))
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		r.Header.Set("Content-Type", "application/json")
		_, text = reply(t, r)
		return text
	}
	for _, path := range []string{"/mcp", "/mcp/part"} {
		if got := ask(path, "it is weir-1234"); !strings.Contains(got, "there is a secret in arguments.text (project)") {
			t.Errorf("%s: %s", path, got)
		}
		if got := ask(path, "it is weir-ab12"); strings.Contains(got, "isError") {
			t.Errorf("%s: %s", path, got)
		}
	}
	put("weir-[a-f0-9]{4}")
	until(t, "the changed rules are in force", func() bool { return strings.Contains(ask("/mcp", "it is weir-ab12"), "(project)") })
	put("weir-(")
	until(t, "broken rules are refused", func() bool { return strings.Contains(p.log.String(), "guards: secrets.rules: ") })
	if got := ask("/mcp", "it is weir-ab12"); !strings.Contains(got, "(project)") {
		t.Errorf("after a broken file: %s", got)
	}
	series := `weir_guard_findings_total{otel_scope_name="weir",otel_scope_schema_url="",otel_scope_version="",weir_guard="secrets",weir_guard_action="block",weir_guard_rule="project"} `
	until(t, "a series of what was found", func() bool {
		_, text := get(t, "http://"+address+"/metrics", "")
		return strings.Contains(text, series)
	})
}
