package upstream

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/upstream/upstreamtest"
)

// diary keeps what is logged of entries that are withheld.
type diary struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer, a line at a time.
func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, line, ok := strings.Cut(string(b), "msg="); ok && strings.Contains(line, "withheld") {
		d.lines = append(d.lines, strings.TrimSpace(line))
	}
	return len(b), nil
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// What one server lists twice is told once, however often the lists are read, and so is what it begins to list twice.
func TestR7_DuplicatesAreLogged(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a"), tool("b"), tool("a")}})
	var d diary
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL}}), Log: slog.New(slog.NewTextHandler(&d, nil))})
	settle(t, s)
	const first = `"an entry is withheld" upstream=up kind=tool name=a reason="up: tool \"a\" withheld: position 3 lists again what position 1 does, which counts"`
	if diff := cmp.Diff([]string{first}, d.read()); diff != "" {
		t.Error(diff)
	}
	up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{tool("a"), tool("b"), tool("a"), tool("b"), tool("c")}})
	upstreamtest.Eventually(t, func() bool { return len(names(s.o.Catalog)) == 3 }, "the list has changed")
	want := []string{first, strings.NewReplacer("name=a", "name=b", `\"a\"`, `\"b\"`, "position 3", "position 4", "position 1", "position 2").Replace(first)}
	if diff := cmp.Diff(want, d.read()); diff != "" {
		t.Error(diff)
	}
	var many []upstreamtest.Raw
	for range 3 * mostSaid {
		many = append(many, tool("c"))
	}
	up.Change(upstreamtest.Content{Tools: many})
	upstreamtest.Eventually(t, func() bool { return len(names(s.o.Catalog)) == 1 }, "the list has changed again")
	if n := len(d.read()); n != 2+mostSaid+1 || !strings.HasSuffix(d.read()[n-1], fmt.Sprintf("entries=%d", 2*mostSaid-1)) {
		t.Errorf("%d lines, the last is %s", n, d.read()[n-1])
	}
}
