package help

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that the topic reliability names exists, and every row names one.
func TestPromisesHaveTests(t *testing.T) {
	text, ok := Topic("reliability")
	if !ok {
		t.Fatal("no topic")
	}
	tests := testsOf(t, filepath.Join("..", "..", "..", ".."))
	id := regexp.MustCompile(`^R[0-9]+$`)
	rows := 0
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if row := strings.TrimSpace(cells[0]); !id.MatchString(row) {
			continue
		}
		rows++
		names := strings.Fields(cells[len(cells)-1])
		if len(cells) != 4 || len(names) == 0 {
			t.Errorf("not a row: %s", line)
		}
		for _, name := range names {
			if !tests[name] {
				t.Errorf("there is no test %s", name)
			}
		}
	}
	if rows < 20 {
		t.Errorf("only %d rows", rows)
	}
}

// testsOf are the names of all test functions under root.
func testsOf(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil //nolint:nilerr // somebody is writing it; the compiler judges that
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
