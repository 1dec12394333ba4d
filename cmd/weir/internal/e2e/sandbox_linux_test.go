package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A real server that was given more than its sandbox allows: it reads and writes what the sandbox has, fails at the rest, and is stopped and started again
// in the same bounds without its client noticing.
func TestSandboxedNodeServer(t *testing.T) {
	n := needNode(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	for _, name := range []string{"in/note", "out/note", "away/note"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("a note"), 0o600))
	}
	files := n.server("server-filesystem", filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "away"))
	files["cwd"] = dir
	files["sandbox"] = object{"read": []string{n.dir, filepath.Join(dir, "in")}, "write": []string{filepath.Join(dir, "out")}, "connect": []int{}, "listen": []int{}, "openFiles": 500}
	files["idleStop"] = "500ms"
	g := serve(t, object{"mcpServers": object{"files": files}})
	g.offers(t, 10)
	p := dialHTTP(t, g.url, modern)
	call := func(tool string, args object) string {
		events, err := p.call("tools/call", object{"name": "files__" + tool, "arguments": args})
		must(t, err)
		answer := events[len(events)-1]
		return string(answer.Result) + string(answer.Error)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for round := range 2 {
		began := time.Now()
		first := call("read_text_file", object{"path": at("in/note")})
		t.Logf("round %d: the first call took %s", round, time.Since(began).Round(time.Millisecond))
		if !strings.Contains(first, "a note") {
			t.Errorf("in/note: %s", first)
		}
		for _, c := range []struct {
			tool string
			args object
			want string
		}{
			{"read_text_file", object{"path": at("away/note")}, "EACCES"},
			{"list_directory", object{"path": at("away")}, "EACCES"},
			{"write_file", object{"path": at("in/note"), "content": "changed"}, "EACCES"},
			{"write_file", object{"path": at("out/new"), "content": fmt.Sprint("changed ", round)}, "Successfully wrote"},
			{"read_text_file", object{"path": at("out/new")}, fmt.Sprint("changed ", round)},
			{"move_file", object{"source": at("out/new"), "destination": at("away/new")}, "EACCES"},
			{"move_file", object{"source": at("out/new"), "destination": at(fmt.Sprint("out/moved", round))}, "Successfully moved"},
		} {
			if got := call(c.tool, c.args); !strings.Contains(got, c.want) {
				t.Errorf("%s %v: %s, want %q", c.tool, c.args, got, c.want)
			}
		}
		stopped := false
		for deadline := time.Now().Add(30 * time.Second); !stopped && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			stopped = !runs("server-filesystem/dist/index.js\x00" + dir)
		}
		if !stopped {
			t.Fatal("the server was not stopped")
		}
	}
}

// runs reports whether some process has such a command line.
func runs(part string) bool {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		if line, err := os.ReadFile(name); err == nil && strings.Contains(string(line), part) {
			return true
		}
	}
	return false
}
