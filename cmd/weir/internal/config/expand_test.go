package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"secret": "from file\n", "crlf": "x\r\n", "big": strings.Repeat("x", maxSecret+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vars := map[string]string{"A": "a", "EMPTY": "", "NESTED": "${A}", "GITHUB_TOKEN": "tok", "INPUT_1": "one"}
	e := Env{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }, Home: "/home/ana", Dir: dir}
	ours := &Expander{env: e, dir: dir, vars: map[string]string{"A": "shadowed", "FILE": "file"}}
	client := &Expander{env: e, dir: filepath.Join(dir, ".vscode"), client: true}
	for _, tc := range []struct {
		x             *Expander
		in, want, err string
	}{
		{ours, "plain $ text $A {}", "plain $ text $A {}", ""},
		{ours, "${A}", "a", ""},
		{ours, "x${A}y${A}", "xaya", ""},
		{ours, "${env:A}", "a", ""},
		{ours, "${FILE}", "file", ""},
		{ours, "${EMPTY}", "", ""},
		{ours, "${EMPTY:-d}", "d", ""},
		{ours, "${NO:-}", "", ""},
		{ours, "${NO:-a:-b}", "a:-b", ""},
		{ours, "${env:NO:-d}", "d", ""},
		{ours, "${NESTED}", "${A}", ""},
		{ours, "$${A}", "${A}", ""},
		{ours, "a$${A}b${A}", "a${A}ba", ""},
		{ours, "${file:secret}", "from file", ""},
		{ours, "${file:crlf}", "x", ""},
		{ours, "${file:" + dir + "/secret}", "from file", ""},
		{ours, "${file:none}", "", "${file:none}: no such file or directory"},
		{ours, "${file:.}", "", "${file:.}: not a file"},
		{ours, "${file:big}", "", "${file:big}: larger than 65536 bytes"},
		{ours, "${command:printf '%s' \"two words\"}", "two words", ""},
		{ours, "x-${command:cat secret}", "x-from file", ""},
		{ours, "${command:sh -c 'echo s3cret; echo s3cret >&2; exit 3'}", "", "${command:sh …}: the program failed: exit status 3"},
		{ours, "${command:}", "", "${command:…} names no program"},
		{ours, "${command:echo 'x}", "", "a quote that does not end"},
		{ours, "${command:/does/not/exist}", "", "the program cannot be started"},
		{ours, "${command:head -c 70000 /dev/zero}", "", "the program says too much"},
		{client, "${command:echo x}", "", "can only be answered by an editor"},
		{ours, "${NO}", "", "${NO} is not set; set it in the environment or in env, or write ${NO:-default}"},
		{ours, "${A", "", "a ${ without }; write $${ for a plain ${"},
		{ours, "${}", "", "${ } is no reference"},
		{ours, "${a b}", "", "${a b} is no reference"},
		{ours, "${X:-${A}}", "", "${X…}: references do not nest"},
		{ours, "${input:github-token}", "", "${input:github-token} is VS Code's way to ask; use ${GITHUB_TOKEN}"},
		{ours, "${config:x}", "", "${config:x} can only be answered by an editor"},
		{client, "${input:github-token}", "tok", ""},
		{client, "${input:1}", "one", ""},
		{client, "${input:other}", "", "${input:other}: VS Code asks for this, weir cannot; set OTHER in the environment or in"},
		{client, "${userHome}/x", "/home/ana/x", ""},
		{client, "${workspaceFolder}", dir, ""},
		{client, "${workspaceFolderBasename}${/}x", filepath.Base(dir) + string(filepath.Separator) + "x", ""},
		{client, "${a b} ${", "${a b} ${", ""},
		{client, "${NO}", "", "${NO} is not set"},
	} {
		got, err := tc.x.Expand(tc.in)
		switch {
		case tc.err == "" && (err != nil || got != tc.want):
			t.Errorf("Expand(%q) = %q, %v; want %q", tc.in, got, err, tc.want)
		case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
			t.Errorf("Expand(%q) = %q, %v; want error %q", tc.in, got, err, tc.err)
		}
	}
}

func TestEnvFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "env")
	content := "# comment\n\nA=1\nexport B = two words \nC=\"quoted # not a comment\"\nD='x'\r\nE=a=b\nF=\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readEnvFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "1", "B": "two words", "C": "quoted # not a comment", "D": "x", "E": "a=b", "F": ""} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	if _, err := parseEnv("env", "A=1\ns3cr3t\n"); err == nil || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "env:2") {
		t.Errorf("a line without =: %v; want an error that names the line and not its text", err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := readEnvFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a file that others can read: %v; want a refusal with the fix", err)
		}
	}
	if got, err := readEnvFile(filepath.Join(dir, "none")); err != nil || len(got) != 0 {
		t.Errorf("no file: %v, %v", got, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := readEnvFile(filepath.Join(dir, "sub")); err != nil || len(got) != 0 {
		t.Errorf("a directory: %v, %v", got, err)
	}
}
