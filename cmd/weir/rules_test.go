package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/cmd/weir/internal/help"
)

// repo is the repository, seen from this folder.
const repo = "../.."

// source is one Go file of the repository.
type source struct {
	path  string // slash-separated, from the repository
	file  *ast.File
	set   *token.FileSet
	lines int
}

// sources parses every Go file. Reading them all here makes the test cache notice each change.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	walk(t, func(path string) {
		if filepath.Ext(path) != ".go" {
			return
		}
		b, err := os.ReadFile(filepath.Join(repo, path))
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, b, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{path: path, file: f, set: set, lines: strings.Count(string(b), "\n")})
	})
	return all
}

// walk visits the files of the repository, hidden folders and testdata of the go tool left out.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(repo, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repo, path)
		if err != nil {
			return err
		}
		if d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !d.IsDir() {
			visit(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mayImport lists, for each top folder, which others its packages may import.
func mayImport() map[string][]string {
	return map[string][]string{
		"catalog":   {"catalog"},
		"policy":    {"policy", "catalog"},
		"translate": {"translate", "catalog"},
		"upstream":  {"upstream", "catalog", "translate"},
		"server":    {"server", "catalog", "policy"},
		"cmd":       {"cmd", "catalog", "policy", "translate", "upstream", "server"},
		"examples":  {"examples"},
	}
}

// only lists libraries that belong to certain folders, with the reason.
func only() []struct{ library, where, reason string } {
	return []struct{ library, where, reason string }{
		{"github.com/mark3labs/mcp-go", `^(upstream/mcpconn|upstream/upstreamtest|server/mcp[a-z]+|server/admin|examples/.+)/`, "its types lose fields"},
		{"github.com/casbin/", `^policy/`, "policy is its only user"},
		{"github.com/graph-gophers/", `^(translate/graphql/graphqltest|examples/.+)/`, "it is a server, for tests and examples"},
		{"weir/translate/graphql/graphqltest", `^$`, "fakes stand beside the line, never in it"},
		{"weir/translate/internal/alone", `^$`, "it runs tests"},
		{"weir/translate/grpc/grpctest", `^$`, "fakes stand beside the line, never in it"},
		{"github.com/spf13/cobra", `^cmd/`, "the command line lives in cmd"},
		{"github.com/modelcontextprotocol/go-sdk", `^$`, "it is our peer in tests"},
		{"github.com/google/go-cmp", `^$`, "it is for tests"},
		{"github.com/rogpeppe/go-internal", `^$`, "it is for tests"},
		{"github.com/prometheus/prometheus", `^$`, "it is for tests"},
		{"github.com/Shopify/toxiproxy", `^$`, "it is for tests"},
		{"weir/upstream/upstreamtest", `^upstream/upstreamtest/fakemcp/`, "fakes stand beside the line, never in it"},
		{"weir/cmd/weir/internal/app", `^cmd/weir/[a-z_]+\.go$`, "only the program imports its wiring"},
	}
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		top, _, _ := strings.Cut(s.path, "/")
		test := strings.HasSuffix(s.path, "_test.go")
		for _, i := range s.file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if rest, ours := strings.CutPrefix(path, "weir/"); ours {
				to, _, _ := strings.Cut(rest, "/")
				// Tests may put a fake from upstreamtest behind anything.
				if !slices.Contains(mayImport()[top], to) && (!test || path != "weir/upstream/upstreamtest") {
					t.Errorf("%s imports %s: %s may import only %v", s.path, path, top, mayImport()[top])
				}
				if top == "catalog" && rest != "catalog/rawjson" && !test {
					t.Errorf("%s imports %s: catalog stands below everything but rawjson", s.path, path)
				}
			}
			for _, o := range only() {
				if strings.HasPrefix(path, o.library) && !test && !regexp.MustCompile(o.where).MatchString(s.path) &&
					!strings.HasPrefix(s.path, "upstream/upstreamtest/") {
					t.Errorf("%s imports %s: %s", s.path, path, o.reason)
				}
			}
		}
	}
}

func TestPackagesAreDocumentedOnce(t *testing.T) {
	t.Parallel()
	docs := map[string][]string{} // by folder: files with a package comment
	for _, s := range sources(t) {
		dir := filepath.Dir(s.path)
		if !strings.HasSuffix(s.path, "_test.go") && docs[dir] == nil {
			docs[dir] = []string{}
		}
		if s.file.Doc != nil && !strings.HasSuffix(s.path, "_test.go") {
			docs[dir] = append(docs[dir], filepath.Base(s.path))
		}
	}
	for dir, files := range docs {
		if strings.HasPrefix(dir, "examples/") { // one short program each
			if len(files) != 1 {
				t.Errorf("%s: %d package comments %v, want one", dir, len(files), files)
			}
			continue
		}
		if len(files) != 1 || files[0] != "doc.go" {
			t.Errorf("%s: package comments in %v, want one, in doc.go", dir, files)
		}
	}
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	t.Parallel()
	over := 0
	for _, s := range sources(t) {
		if s.lines > 500 {
			t.Errorf("%s has %d lines; the bound is 500", s.path, s.lines)
		}
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1
			if n > 80 {
				t.Errorf("%s: %s has %d lines; the bound is 80", s.path, f.Name.Name, n)
			}
			if n > 60 {
				over++
				t.Logf("%s: %s has %d lines; 60 is the habit", s.path, f.Name.Name, n)
			}
		}
	}
	t.Logf("%d functions have more than 60 lines", over)
}

func TestNamesSayWhatThingsAre(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`(Manager|Service|Impl|Util|Utils|Helper|Helpers|Data|Info)$`)
	folder := regexp.MustCompile(`(^|/)(util|utils|common|types|helpers|pkg|misc|shared)/`)
	for _, s := range sources(t) {
		if folder.MatchString(s.path) {
			t.Errorf("%s: the folder's name does not say what it owns", s.path)
		}
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok && word.MatchString(ts.Name.Name) {
					t.Errorf("%s: type %s: %s is not a name", s.path, ts.Name.Name, word.FindString(ts.Name.Name))
				}
			}
		}
	}
}

func TestNothingIsLeftToDo(t *testing.T) {
	t.Parallel()
	mark := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, s := range sources(t) {
		if s.path == "cmd/weir/rules_test.go" {
			continue
		}
		for _, g := range s.file.Comments {
			if m := mark.FindString(g.Text()); m != "" {
				t.Errorf("%s: %s in a comment", s.set.Position(g.Pos()), m)
			}
		}
	}
}

func TestModuleReplacesNothing(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(repo, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^\s*replace\b`).Match(b) {
		t.Error("go.mod: replace breaks go install")
	}
}

func TestTopLevelIsFixed(t *testing.T) {
	t.Parallel()
	want := []string{"README.md", "catalog", "cmd", "examples", "go.mod", "go.sum", "policy", "server", "testdata", "translate", "upstream"}
	entries, err := os.ReadDir(repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(want, e.Name()) && !strings.HasPrefix(e.Name(), ".") && e.Name() != "weir" { // weir is what go build leaves
			t.Errorf("%s does not belong at the top", e.Name())
		}
	}
}

// TestEveryCodeHasATopic reads the codes from their source, so that a new one is not forgotten.
func TestEveryCodeHasATopic(t *testing.T) {
	t.Parallel()
	var codes []string
	for _, s := range sources(t) {
		if s.path != "catalog/error.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Code" {
				literal, _ := spec.Values[0].(*ast.BasicLit)
				code, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, code)
			}
			return true
		})
	}
	if len(codes) < 10 {
		t.Fatalf("found only %d codes in catalog/error.go", len(codes))
	}
	index, _ := help.Topic("errors")
	for _, code := range codes {
		if _, ok := help.Topic(code); !ok {
			t.Errorf("weir help %s: no such topic", code)
		}
		if !strings.Contains(index, "`"+code+"`") {
			t.Errorf("weir help errors does not list %s", code)
		}
	}
}
