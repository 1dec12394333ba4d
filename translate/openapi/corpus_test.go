package openapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusFile is one description of the corpus.
type corpusFile struct {
	name string
	text []byte
	file string
}

// corpus reads every main description below testdata/corpus whose name starts with prefix.
func corpus(t testing.TB, prefix string) []corpusFile {
	t.Helper()
	var files []corpusFile
	root := filepath.Join("testdata", "corpus")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, ".md") {
			return err
		}
		if strings.Contains(path, "petstore-separate") && !strings.Contains(path, "swagger.") {
			return nil // parts of another
		}
		name, err := filepath.Rel(root, strings.TrimSuffix(path, ".gz"))
		if name = filepath.ToSlash(name); err != nil || !strings.HasPrefix(name, prefix) {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && strings.HasSuffix(path, ".gz") {
			data, err = unzip(data)
		}
		files = append(files, corpusFile{name, data, path})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("the corpus has no %s", prefix)
	}
	return files
}

func unzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// translation is what a description came to.
type translation struct {
	builder *builder
	tools   []*tool
	state   *state
}

// translate builds the tools of one description, with nothing around it.
func translateText(t testing.TB, f corpusFile, spec Spec) translation {
	t.Helper()
	var read func(string) ([]byte, error)
	name := filepath.Base(f.file)
	if strings.Contains(f.name, "petstore-separate") {
		folder := filepath.Dir(filepath.Dir(f.file))
		root, err := os.OpenRoot(folder)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		read = reader(root)
		name = filepath.ToSlash(filepath.Join("spec", name))
	}
	if spec.Server == "" {
		spec.Server = "https://api.test/base"
	}
	d, err := open(name, f.text, nil, read)
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	b := &builder{spec: &spec, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
	a := &API{spec: spec, options: Options{Upstream: "api"}}
	tools := b.build()
	return translation{b, tools, a.state(tools, d)}
}

func TestCorpusStats(t *testing.T) {
	for _, f := range corpus(t, "") {
		tr := translateText(t, f, Spec{})
		r := tr.state.report
		t.Logf("%-60s ops %4d tools %4d lost %d warn %4d bytes %7d median %5d largest %5d", f.name, r.Operations, r.Tools, r.Lost, len(r.Warnings), r.Bytes, r.Median, r.Largest)
	}
}
