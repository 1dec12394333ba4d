package guard

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/catalog/rawjson"
)

// benign reads the descriptions of real APIs, and what they say of keys and tokens.
func benign(t *testing.T, see func(name string, text []byte)) {
	t.Helper()
	root := filepath.Join("..", "..", "translate", "openapi", "testdata", "corpus")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && strings.HasSuffix(path, ".gz") {
			z, failed := gzip.NewReader(bytes.NewReader(data))
			if failed != nil {
				return failed
			}
			data, err = io.ReadAll(z)
		}
		if !testing.Short() || len(data) < 500_000 {
			see(filepath.Base(path), data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// T25: what is found in the descriptions of real APIs is what their authors wrote as examples, and all of it has the form of a secret.
func TestT25_Benign(t *testing.T) {
	g := compiled(t, nil)
	files, size, found := 0, 0, map[string]int{}
	benign(t, func(name string, text []byte) {
		files, size = files+1, size+len(text)
		value := text
		if rawjson.Valid(value) != nil {
			value = rawjson.AppendString(nil, text)
		}
		if _, f := g.Results(ref, value); f != nil {
			for _, s := range f.Secrets {
				found[name+" "+s.Rule]++
			}
			if f.More > 0 {
				t.Errorf("%s: %d more", name, f.More)
			}
		}
	})
	var lines []string
	for what, n := range found {
		lines = append(lines, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(lines)
	want := []string{
		"github-3.0.json.gz github-fine-grained-token 1", "github-3.0.json.gz github-token 7", "github-3.0.json.gz jwt 1", "github-3.0.json.gz private-key 1",
		"okta-management-3.0.yaml.gz basic-credentials 1", "okta-management-3.0.yaml.gz private-key 5", "slack-2.0.json.gz slack-token 1",
	}
	if testing.Short() { // under the race detector the large ones take too long
		want = nil
	}
	if !slices.Equal(lines, want) || !testing.Short() && (files < 100 || size < 30<<20) {
		t.Errorf("in %d files, %d MiB:\n%s", files, size>>20, strings.Join(lines, "\n"))
	}
}
