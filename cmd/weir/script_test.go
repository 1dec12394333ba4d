package main

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"weir/upstream/process"
	"weir/upstream/upstreamtest"
)

var update = flag.Bool("update", os.Getenv("UPDATE") != "", "rewrite the expected output in scripts")

func TestMain(m *testing.M) {
	process.MaybeGuard()
	testscript.Main(m, map[string]func(){
		"weir":    main,
		"fakemcp": upstreamtest.Main,
		"rpc":     rpc,
	})
}

// TestScripts runs every script in testdata/script against the real program. One subtest per folder keeps names short.
func TestScripts(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "script")
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".txtar" && !slices.Contains(dirs, filepath.Dir(path)) {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir: dir, UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true, Setup: setup, Cmds: commands(t),
			})
		})
	}
}

// TestExamples runs the script of each example.
func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the examples")
	}
	need(t, "go")
	scripts, err := filepath.Glob(filepath.Join(repo, "examples", "*", "run.txtar"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	root, err := filepath.Abs(repo)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files: scripts, UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true, Cmds: commands(t),
		Condition: func(name string) (bool, error) { // peers: the programs of .ci/install are there, as they must be in CI
			_, err := os.Stat(filepath.Join(root, ".ci", "node", "node_modules", "oidc-provider"))
			return name == "peers" && (err == nil || os.Getenv("CI") == "true"), nil
		},
		Setup: func(e *testscript.Env) error {
			home, err := os.UserHomeDir() // go finds its caches there
			e.Setenv("HOME", home)
			e.Setenv("NO_COLOR", "1")
			e.Setenv("REPO", root)
			return err
		},
	})
}

// setup gives a script a home of its own and nothing of the developer's configuration.
func setup(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	e.Setenv("HOME", home)
	e.Setenv("USERPROFILE", home)
	e.Setenv("NO_COLOR", "1")
	e.Setenv("XDG_CONFIG_HOME", "")
	e.Setenv("WEIR_CONFIG", "")
	e.Setenv("GOOS", runtime.GOOS)
	return os.MkdirAll(home, 0o700)
}
