package config

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCommandsRunOnce: many who need the answer at once make the program run once, and so does whoever needs it soon after; a failure is not kept.
func TestCommandsRunOnce(t *testing.T) {
	dir := t.TempDir()
	x := &Expander{dir: dir}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if got, err := x.Expand("${command:sh -c 'echo >>runs; echo s3cret'}"); got != "s3cret" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	all.Wait()
	if runs, err := os.ReadFile(filepath.Join(dir, "runs")); err != nil || len(runs) != 1 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	const flaky = "${command:sh -c 'test -e there && echo yes'}"
	if _, err := x.Expand(flaky); err == nil {
		t.Error("a program that failed gave an answer")
	}
	if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := x.Expand(flaky); got != "yes" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestCommandIsKeptForAWhile: later the program is asked again.
func TestCommandIsKeptForAWhile(t *testing.T) {
	x := &Expander{dir: t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		x.commands.had = map[string]*reply{"cat new": {text: "old", at: time.Now()}}
		time.Sleep(commandKept - time.Second)
		if got, err := x.command("cat new"); got != "old" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	x.commands.had["cat new"].at = time.Now().Add(-commandKept)
	if err := os.WriteFile(filepath.Join(x.dir, "new"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := x.command("cat new"); got != "new" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestCommandsDoNotRunForACheck: reading a configuration starts nothing.
func TestCommandsDoNotRunForACheck(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.yaml")
	text := `mcpServers: { a: { url: "https://h.test/", credentials: { mcp: { value: "${command:touch ran}" } } } }`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, Env{Lookup: os.LookupEnv, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("the program ran")
	}
}

func FuzzCommandWords(f *testing.F) {
	for _, s := range []string{"a b", `"a b" c`, "a '", "", "''", "a ''", "é\t\"x\"y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := commandWords(s)
		if (err == nil) != (len(words) > 0 && words[0] != "") {
			t.Errorf("%q: %q, %v", s, words, err)
		}
		if n := strings.Count(s, " "); len(words) > n+strings.Count(s, "\t")+1 {
			t.Errorf("%q: %q", s, words)
		}
	})
}
