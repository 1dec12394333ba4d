package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"weir/translate"
	"weir/translate/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

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
		if prefix == "" && large(data) {
			return err
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

// large reports whether a description is left out of a short run: under the race detector it takes minutes, and one goroutine has no races.
func large(text []byte) bool { return testing.Short() && len(text) > 500_000 }

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
	state   *translate.Reading
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
		defer func() { _ = root.Close() }()
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
	a := &API{spec: spec, options: translate.Options{Upstream: "api"}}
	tools := b.build()
	return translation{b, tools, translate.NewReading("api", &spec.Spec, a.translation(b, tools))}
}

// summary is what the golden file of a description holds.
func (tr translation) summary() string {
	var b strings.Builder
	r := tr.state.Report
	_, _ = fmt.Fprintf(&b, "tools %d, lost %d, warnings %d, tokens %d, median %d, largest %d\n", r.Tools, r.Lost, len(r.Warnings), r.Tokens, r.Median/translate.BytesPerToken, r.Largest/translate.BytesPerToken)
	messages := make(map[string]int)
	for _, w := range r.Warnings {
		message, _, _ := strings.Cut(w.Message, "\"")
		messages[message]++
	}
	for _, m := range slices.Sorted(maps.Keys(messages)) {
		_, _ = fmt.Fprintf(&b, "warning x%d: %s\n", messages[m], m)
	}
	for _, t := range tr.tools {
		_, _ = fmt.Fprintf(&b, "%s [%s] %s", t.Name, t.Annotations.Letters(), t.Document.Path)
		for _, a := range t.plan.arguments {
			mark := ""
			if a.Required {
				mark = "!"
			}
			_, _ = fmt.Fprintf(&b, " %s%s%s", a.Name, mark, strings.TrimPrefix(a.place.suffix(), "_"))
		}
		sum := sha256.Sum256(t.Raw)
		_, _ = fmt.Fprintf(&b, " %s %x\n", t.plan.media, sum[:3])
	}
	return b.String()
}

// TestGolden holds a summary of every description against the one that was reviewed. go test -run Golden -update writes them anew.
func TestGolden(t *testing.T) {
	for _, f := range corpus(t, "") {
		t.Run(f.name, func(t *testing.T) {
			got := translateText(t, f, Spec{}).summary()
			file := filepath.Join("testdata", "golden", strings.ReplaceAll(f.name, "/", "_")+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// profile checks the portable profile of a published schema.
func profile(v *schema.Value, root bool) error {
	if root {
		if v.GetText("type") != "object" || v.Get("properties") == nil {
			return errors.New("the root is no object with properties")
		}
		for _, m := range v.Object("properties") {
			if !regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`).MatchString(m.Key) {
				return fmt.Errorf("argument name %q", m.Key)
			}
		}
	}
	if v.Get("type") == nil && v.Get("anyOf") == nil {
		return errors.New("a schema without type")
	}
	for _, m := range v.Members {
		switch m.Key {
		case "type", "description", "enum", "default", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
			"minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "required":
		case "anyOf":
			if root {
				return errors.New("a combinator at the root")
			}
			for _, e := range m.Value.Members {
				if err := profile(e.Value, false); err != nil {
					return err
				}
			}
		case "properties":
			for _, e := range m.Value.Members {
				if err := profile(e.Value, false); err != nil {
					return fmt.Errorf("%s: %w", e.Key, err)
				}
			}
		case "items", "additionalProperties":
			if m.Value.Is(schema.Object) && len(m.Value.Members) > 0 {
				if err := profile(m.Value, false); err != nil {
					return fmt.Errorf("%s: %w", m.Key, err)
				}
			}
		default:
			return fmt.Errorf("keyword %s", m.Key)
		}
	}
	return nil
}

// TestCheck1_3_4_5_Corpus checks what holds for every tool of every description: nothing is lost, full schemas compile, published ones keep the profile
// and the budget and take whatever the full ones take, names are portable and unique.
func TestCheck1_3_4_5_Corpus(t *testing.T) {
	samples := 20
	if testing.Short() {
		samples = 3
	}
	var operations, tools, made, valid, descriptions, lost int
	for _, f := range corpus(t, "") {
		descriptions++
		tr := translateText(t, f, Spec{})
		operations, tools = operations+tr.state.Report.Operations, tools+tr.state.Report.Tools
		for _, w := range tr.state.Report.Warnings {
			if w.Lost {
				lost++
				t.Errorf("%s: lost: %s: %s", f.name, w.Pointer, w.Message)
			}
		}
		names := make(map[string]bool)
		for _, x := range tr.tools {
			if names[x.Name] || !regexp.MustCompile(`^[a-zA-Z0-9_-]{1,45}$`).MatchString(x.Name) {
				t.Errorf("%s: name %q", f.name, x.Name)
			}
			names[x.Name] = true
			m, v := checkTool(t, f.name, x, samples)
			made, valid = made+m, valid+v
		}
	}
	t.Logf("%d of %d descriptions, %d of %d operations became tools, %d lost", descriptions, descriptions, tools, operations, lost)
	t.Logf("%d full schemas compile in two libraries, %d published ones keep the profile and 4096 bytes, %d names are portable and unique", tools, tools, tools)
	t.Logf("%d samples, %d valid, of which what is published refuses none", made, valid)
	if tools*1000 < operations*999 {
		t.Error("fewer than 99.9 % of the operations became tools")
	}
	if valid*100 < made*99 {
		t.Errorf("only %d of %d samples are valid", valid, made)
	}
}

func checkTool(t *testing.T, file string, x *tool, samples int) (made, valid int) {
	t.Helper()
	full, err := x.Input.Check()
	if err != nil {
		t.Errorf("%s: %s: %v", file, x.Name, err)
		return 0, 0
	}
	if err := secondOpinion(x); err != nil {
		t.Errorf("%s: %s: another library: %v", file, x.Name, err)
	}
	item, err := schema.Parse(x.Raw)
	if err != nil {
		t.Errorf("%s: %s: %v", file, x.Name, err)
		return 0, 0
	}
	input := item.Get("inputSchema")
	if size := len(input.JSON()); size > 4096 {
		t.Errorf("%s: %s: %d bytes are published", file, x.Name, size)
	}
	if err := profile(input, true); err != nil {
		t.Errorf("%s: %s: %v", file, x.Name, err)
	}
	published, err := schema.Compile(schema.Full{Root: input, Defs: schema.NewDefs()}, schema.Untrusted())
	if err != nil {
		t.Errorf("%s: %s: %v", file, x.Name, err)
		return 0, 0
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range samples {
		s := schema.Sampler{Defs: x.Input.Full.Defs, Optional: i > 0}
		if i > 1 {
			s.Rand = random
		}
		made++
		v := s.Value(x.Input.Full.Root)
		if faults := full.Check(v.Plain()); len(faults) > 0 {
			if i == 0 && testing.Verbose() {
				t.Logf("%s: %s: the sample is not valid: %+v", file, x.Name, faults[0])
			}
			continue
		}
		valid++
		if faults := published.Check(v.Plain()); len(faults) > 0 {
			t.Errorf("%s: %s: published refuses what full takes: %+v\n%s\n%s", file, x.Name, faults, v.JSON(), input.JSON())
		}
	}
	return made, valid
}

// secondOpinion compiles the full schema with another library.
func secondOpinion(x *tool) error {
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(x.Input.Full.Value().JSON()), &s); err != nil {
		return err
	}
	_, err := s.Resolve(nil)
	return err
}
