package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/upstream/upstreamtest"
)

// A policy that is broken when the file changes is never in force: the one before decides every call, the gateway stays ready, the operator reads file, line and
// column, and the series of reloads counts it.
func TestR16_BrokenPolicyOnReload(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a"), tool("b")}})
	address := unused(t)
	p := newPlace(t, object{})
	p.path = filepath.Join(filepath.Dir(p.path), "weir.yaml")
	before := fmt.Sprintf("listen: 127.0.0.1:0\ntelemetry: { metrics: { prometheus: %q } }\nmcpServers: { up: { url: %q } }\n", address, up.URL)
	const good = "policy:\n  grants: { user:local: [\"up/a\"] }\n"
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(p.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(before + good)
	a := p.start(t)
	settled(t, a)
	url := serve(t, a)
	ready(t, url, "") // the file is watched before anything is answered
	digest := a.Policy().Digest()
	refused := func() int { return strings.Count(p.log.String(), "last good one stays in force") }
	n := 0
	for name, broken := range map[string]string{
		"syntax error":   before + "policy:\n  grants: { user:local: [\"up/*\"\n",
		"truncated":      before + "policy:\n  grants: { user:loc",
		"half written":   before + "policy:\n  grants:\n    user:local:\n      - \"up/*\"\n  deny:\n    - match",
		"unknown effect": before + "policy:\n  grants: { user:local: [\"up/*\"] }\n  deny: [{ match: \"up/a\", effect: maybe }]\n",
		"empty policy":   before + "policy: {}\n",
		"unknown role":   before + "policy:\n  grants: { user:local: [admins] }\n",
	} {
		n++
		put(broken)
		until(t, name+" is refused", func() bool { return refused() == n })
		lines := strings.Split(p.log.String(), "\n")
		if !regexp.MustCompile(`problem="?\S*weir\.yaml:[4-9]:\d+: `).MatchString(strings.Join(lines[len(lines)-4:], "\n")) {
			t.Errorf("%s: no file, line and column: %q", name, lines[len(lines)-4:])
		}
		if r := ready(t, url, ""); r.Status != 200 || r.State != "ready" {
			t.Errorf("%s: %+v", name, r)
		}
		if a.Policy().Digest() != digest || !may(t, a, "up__a") || may(t, a, "up__b") {
			t.Errorf("%s: another policy decides", name)
		}
		put(before + good) // the same content as in force: a reload that is taken
		until(t, "the good one is taken", func() bool { return strings.Count(p.log.String(), "configuration reloaded") == n })
	}
	if calls := up.Ledger().Count("tools/call"); calls != n {
		t.Errorf("%d calls reached the upstream, want %d", calls, n)
	}
	for _, outcome := range []string{"refused", "taken"} {
		series := regexp.MustCompile(`weir_config_reloads_total\{[^}]*weir_outcome="` + outcome + `"[^}]*\} ` + fmt.Sprint(n) + `\n`)
		until(t, fmt.Sprintf("a series of %d %s", n, outcome), func() bool { // it is counted once it is over, a moment after the log says so
			_, text := get(t, "http://"+address+"/metrics", "")
			return series.MatchString(text)
		})
	}
}
