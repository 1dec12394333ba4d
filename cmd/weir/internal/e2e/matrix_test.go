package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/upstream/upstreamtest"
)

var update = flag.Bool("update", false, "write the matrix into README.md")

// way is one way through weir: who is in front of it and who behind, and over what.
type way struct {
	client, server         era
	clientOver, serverOver string // http or stdio
}

func (w way) String() string {
	return fmt.Sprintf("%s %s client, %s %s upstream", w.client, w.clientOver, w.server, w.serverOver)
}

func ways() []way {
	var all []way
	for _, client := range []era{legacy, modern} {
		for _, server := range []era{legacy, modern} {
			for _, clientOver := range []string{"http", "stdio"} {
				for _, serverOver := range []string{"http", "stdio"} {
					all = append(all, way{client, server, clientOver, serverOver})
				}
			}
		}
	}
	return all
}

// Every feature, on every way: the client is sent what its own era and transport prescribe and nothing else, and so is the upstream,
// whatever is on the other side.
func TestMatrix(t *testing.T) {
	var mu sync.Mutex
	held := map[way]map[string]bool{}
	t.Run("ways", func(t *testing.T) {
		for _, w := range ways() {
			t.Run(w.String(), func(t *testing.T) {
				t.Parallel()
				s := newStage(t, w)
				for _, f := range features() {
					ok := t.Run(f.name, func(t *testing.T) { s.perform(t, f) })
					mu.Lock()
					if held[w] == nil {
						held[w] = map[string]bool{}
					}
					held[w][f.name] = ok
					mu.Unlock()
				}
			})
		}
	})
	table := matrix(held)
	t.Logf("\n%s", table)
	if len(held) == len(ways()) && !strings.Contains(flag.Lookup("test.run").Value.String(), "/") { // all of it was played
		compareReadme(t, table)
	}
}

// matrix writes what held as a table: a feature a row, a pair of eras a column.
func matrix(held map[way]map[string]bool) string {
	var b strings.Builder
	b.WriteString("| client → upstream | legacy → legacy | legacy → modern | modern → legacy | modern → modern |\n|---|---|---|---|---|\n")
	for _, f := range features() {
		b.WriteString("| " + f.name)
		for _, client := range []era{legacy, modern} {
			for _, server := range []era{legacy, modern} {
				var lost []string
				for _, w := range ways() {
					if w.client == client && w.server == server && !held[w][f.name] {
						lost = append(lost, w.clientOver+" → "+w.serverOver)
					}
				}
				mark := "✓"
				if len(lost) > 0 {
					mark = "✗ " + strings.Join(lost, ", ")
				}
				b.WriteString(" | " + mark)
			}
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// The lines around the table in README.md.
const (
	matrixBegin = "<!-- written by: go test -run TestMatrix ./cmd/weir/internal/e2e -update -->\n"
	matrixEnd   = "<!-- end of the matrix -->\n"
)

// compareReadme demands that README.md shows the table.
func compareReadme(t *testing.T, table string) {
	t.Helper()
	path := filepath.Join(root, "README.md")
	b, err := os.ReadFile(path)
	must(t, err)
	before, rest, ok := strings.Cut(string(b), matrixBegin)
	shown, after, ok2 := strings.Cut(rest, matrixEnd)
	if !ok || !ok2 {
		t.Fatalf("README.md has no place for the matrix, between\n%s%s", matrixBegin, matrixEnd)
	}
	if *update {
		must(t, os.WriteFile(path, []byte(before+matrixBegin+table+matrixEnd+after), 0o644))
		return
	}
	if diff := cmp.Diff(shown, table); diff != "" {
		t.Errorf("README.md (-) and seen (+); write it anew with -update:\n%s", diff)
	}
}

// matrixPageSize is how many items weir puts on a page; the upstream has smaller pages.
const matrixPageSize = 5

// matrixConfig is an upstream that does something of each feature.
func matrixConfig(e era) upstreamtest.Config {
	tool := func(name string) upstreamtest.Raw {
		return upstreamtest.Raw(fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}}`, name))
	}
	cfg := upstreamtest.Config{
		Era:       upstreamtest.Era(e),
		Prompts:   []upstreamtest.Raw{`{"name":"greet","arguments":[{"name":"who"}]}`},
		Resources: []upstreamtest.Raw{`{"uri":"note://one","name":"one"}`},
		PageSize:  3,
		Script: []upstreamtest.Act{
			{On: "steps", Progress: 3}, {On: "chatter", Logs: 2}, {On: "slow", Nth: 1, Fault: upstreamtest.Hang}, {On: "slow", Delay: slowCall},
		},
	}
	for _, name := range []string{"steps", "chatter", "slow", "plain"} {
		cfg.Tools = append(cfg.Tools, tool(name))
	}
	for name, q := range questions(e) {
		cfg.Tools = append(cfg.Tools, tool(name))
		cfg.Script = append(cfg.Script, upstreamtest.Act{On: name, Ask: []upstreamtest.Ask{{Method: q.method, Params: upstreamtest.Raw(q.params)}}})
	}
	for i := range cfg.Script {
		cfg.Script[i].Result = `{"content":[{"type":"text","text":"done"}]}`
	}
	return cfg
}
