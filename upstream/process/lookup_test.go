//go:build unix

package process

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
)

// program writes an executable file, or one that is not.
func program(t *testing.T, file string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), mode); err != nil {
		t.Fatal(err)
	}
}

func TestLookup(t *testing.T) {
	home, bin, empty := t.TempDir(), t.TempDir(), t.TempDir()
	t.Chdir(empty)
	program(t, filepath.Join(bin, "server"), 0o755)
	program(t, filepath.Join(bin, "text"), 0o644)
	program(t, filepath.Join(empty, "here"), 0o755)
	program(t, filepath.Join(home, "tools", "mine"), 0o755)
	program(t, filepath.Join(home, ".nvm/versions/node/v9.1.0/bin/weir-npx"), 0o755)
	program(t, filepath.Join(home, ".nvm/versions/node/v22.3.0/bin/weir-npx"), 0o755)
	env := []string{"HOME=" + home, "PATH=/nonexistent", "PATH=.::" + empty + "/x:" + bin}
	looked := Fact{"looked in", ".::" + empty + "/x:" + bin + "   (the PATH this program was given, not your shell's)"}

	tests := []struct {
		name, command, dir string
		want               string
		msg, hint          string
		facts              Facts
	}{
		{name: "in PATH", command: "server", want: filepath.Join(bin, "server")},
		{name: "absolute", command: filepath.Join(bin, "server"), want: filepath.Join(bin, "server")},
		{name: "below home", command: "~/tools/mine", want: filepath.Join(home, "tools/mine")},
		{name: "relative to dir", command: "./server", dir: bin, want: filepath.Join(bin, "server")},
		{name: "relative", command: "./here", want: filepath.Join(empty, "here")},
		{
			name: "never in the current directory", command: "here", msg: `files: cannot start: "here" not found`,
			hint: `install "here", or set its full path as command under mcpServers.files`, facts: Facts{looked},
		},
		{
			name: "where it is instead, newest version", command: "weir-npx", msg: `files: cannot start: "weir-npx" not found`,
			hint:  "set   command: ~/.nvm/versions/node/v22.3.0/bin/weir-npx   under mcpServers.files",
			facts: Facts{looked, {"exists at", "~/.nvm/versions/node/v22.3.0/bin/weir-npx"}},
		},
		{
			name: "not executable", command: "text", msg: `files: cannot start: "text" is not a program that may be run`,
			hint: "chmod +x " + filepath.Join(bin, "text"), facts: Facts{{"file", filepath.Join(bin, "text")}},
		},
		{
			name: "wrong path", command: "/nonexistent/server", msg: `files: cannot start: "/nonexistent/server" not found`,
			hint: `install "server", or set its full path as command under mcpServers.files`,
		},
		{name: "none", command: "", msg: "files: no command is configured"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Lookup("files", tt.command, tt.dir, env)
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			if tt.msg == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var ce *catalog.Error
			if !errors.As(err, &ce) {
				t.Fatalf("error is %v", err)
			}
			var facts Facts
			errors.As(err, &facts)
			if d := cmp.Diff(catalog.Error{Code: catalog.Unavailable, Msg: tt.msg, Hint: tt.hint, Execution: catalog.NotExecuted},
				catalog.Error{Code: ce.Code, Msg: ce.Msg, Hint: ce.Hint, Execution: ce.Execution}); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.facts, facts); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCompareVersions(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"v9", "v22", -1},
		{"v22.10", "v22.9", 1},
		{"v22", "v22", 0},
		{"a", "b", -1},
		{"v1", "v1.0", -1},
		{"v99999999999999999999", "v1", 1},
		{"", "x", -1},
	}
	for _, tt := range tests {
		if got := compareVersions(tt.a, tt.b); got != tt.want {
			t.Errorf("compareVersions(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := compareVersions(tt.b, tt.a); got != -tt.want {
			t.Errorf("compareVersions(%q, %q) = %d, want %d", tt.b, tt.a, got, -tt.want)
		}
	}
}
