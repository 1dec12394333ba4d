package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse holds that reading never panics, that an invalid file names at least one problem, and that every problem lies in the file.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/read/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Name, a.Files[0].Data)
	}
	f.Add("weir.yaml", []byte(whole))
	f.Add("weir.json", []byte(strings.Repeat("[", 5000)))
	f.Add("weir.yaml", []byte(strings.Repeat("{a: ", 500)))
	f.Add("weir.yaml", []byte("a: &a [1,1,1]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nmcpServers: *c\n"))
	f.Add("weir.yaml", []byte("#\u0085#\u2028#\u2029pServ"))
	f.Add("weir.yaml", []byte("\ufeffmcpServers:\r\n  a: {comand: \"\u2028\"}\r\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		name = "f" + filepath.Ext(name)
		if strings.ContainsAny(name, "/\x00") || strings.Contains(string(data), "file:") {
			return
		}
		file, err := Parse(filepath.Join("/work", name), data, env(nil))
		var ps Problems
		switch {
		case err == nil:
			ps = file.Warnings
		case !errors.As(err, &ps) || len(ps) == 0:
			t.Fatalf("error without problems: %v", err)
		}
		lines := linesOf(bytes.TrimPrefix(data, []byte("\ufeff")))
		for _, p := range ps {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > utf8.RuneCount(lines[p.Line-1])+1 {
				t.Errorf("%s lies outside of the file", p)
			}
			if p.Message == "" || p.File != name || strings.Count(p.Excerpt(), "\n") < 3 {
				t.Errorf("not a full report: %q", p.Excerpt())
			}
		}
	})
}

func TestFileIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(path, []byte("# "+strings.Repeat("x", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, env(nil)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("Read of a file of %d bytes: %v", maxFile+2, err)
	}
}

// FuzzParseEnv holds that reading an env file never panics and never quotes what it could not read.
func FuzzParseEnv(f *testing.F) {
	f.Add("A=1\n#x\nexport B='2'\n")
	f.Add("s3cr3t-without-name")
	f.Fuzz(func(t *testing.T, content string) {
		vars, err := parseEnv("env", content)
		if err != nil {
			for line := range strings.Lines(content) {
				if line = strings.TrimSpace(line); len(line) > 8 && strings.Contains(err.Error(), line) {
					t.Errorf("%q quotes the line", err)
				}
			}
			return
		}
		for name := range vars {
			if !isName(name) {
				t.Errorf("%q is no name", name)
			}
		}
	})
}

// FuzzExpand holds that text without a reference stays as it is, and that nothing panics.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "$", "${", "${}", "$${x}", "${A:-${B}}", "${file:x}", "${A}}", "$$${A}"} {
		f.Add(s)
	}
	e := &Expander{env: env(map[string]string{"A": "a"}), dir: "/nowhere"}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := e.Expand(s)
		if !strings.Contains(s, "${") && (err != nil || got != s) {
			t.Errorf("Expand(%q) = %q, %v", s, got, err)
		}
	})
}
