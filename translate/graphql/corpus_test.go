package graphql

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"weir/translate/schema"
)

// corpus are the published schemas of testdata, by the names of their files.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/corpus/*.gz")
	if err != nil || len(names) < 5 {
		t.Fatalf("corpus: %v, %v", names, err)
	}
	all := make(map[string][]byte, len(names))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".gz")] = text
	}
	return all
}

// depths are those that are looked at: one of them with the race detector, which takes the time.
func depths() []int {
	if testing.Short() {
		return []int{defaultDepth}
	}
	return []int{1, 2, 3, 4, maxDepth}
}

// built reads a schema and makes all its tools.
func built(t testing.TB, name string, text []byte, spec *Spec) (*builder, []*tool) {
	t.Helper()
	d, err := open(name, text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	b := &builder{description: d, spec: spec, upstream: "api", inputs: newInputs(d, spec.Scalars)}
	return b, b.build(nil)
}

// rootFields is how many operations a schema offers.
func rootFields(d *description) int {
	n := 0
	for _, kind := range [...]ast.Operation{ast.Query, ast.Mutation, ast.Subscription} {
		if root := d.root(kind); root != nil {
			n += len(root.Fields)
		}
	}
	return n
}

// Every root field of every schema yields an operation that fits the schema, at every depth, and an input schema that compiles.
func TestCorpusGenerates(t *testing.T) {
	want := map[string]int{
		"github.graphql": 278, "saleor.graphql": 447, "swapi.graphql": 13, "shopify-function-discount.graphql": 12, "shopify-customer-account.introspection.json": 51,
	}
	operations, inputs := 0, 0
	for name, text := range corpus(t) {
		for _, depth := range depths() {
			spec := &Spec{Mutations: true, Subscriptions: overSSE, Depth: depth}
			b, tools := built(t, name, text, spec)
			fields := rootFields(b.description)
			if len(tools) != fields || want[name] != 0 && fields != want[name] {
				t.Errorf("%s: %d tools of %d root fields, want %d", name, len(tools), fields, want[name])
			}
			operations += len(tools)
			bytesSent, published := 0, 0
			for _, tl := range tools {
				doc, err := parser.ParseQuery(&ast.Source{Input: tl.op.text})
				if err != nil {
					t.Fatalf("%s: %s: %v", name, tl.op.key, err)
				}
				if faults := validator.ValidateWithRules(b.description.schema, doc, rules.NewDefaultRules()); len(faults) > 0 {
					t.Errorf("%s: depth %d: %s: %v\n%s", name, depth, tl.op.key, faults, tl.op.text)
				}
				if s, err := measure(doc, nil); err != nil || s.depth > 3*depth+2 || s.fields > mostFields+60 {
					t.Errorf("%s: %s at depth %d has size %+v, %v", name, tl.op.key, depth, s, err)
				}
				bytesSent += len(tl.op.text)
				published += len(tl.Raw)
				if depth != defaultDepth {
					continue
				}
				if _, err := tl.Input.Check(); err != nil {
					t.Errorf("%s: %s: input schema: %v", name, tl.op.key, err)
				}
				inputs++
				if published, err := schema.Parse(tl.Raw); err != nil || len(tl.Raw) > 8<<10 {
					t.Errorf("%s: %s: %d bytes, %v, %v", name, tl.op.key, len(tl.Raw), published, err)
				}
			}
			t.Logf("%s: depth %d: %d operations, %d bytes on average, %d bytes published, %d warnings", name, depth, len(tools), bytesSent/max(len(tools), 1), published, len(b.description.warnings))
			if depth == 2 {
				for i, w := range b.description.warnings {
					if i > 4 {
						break
					}
					t.Logf("   %+v", w)
				}
			}
		}
	}
	t.Logf("%d operations at %d depths fit their schemas, %d input schemas compile", operations, len(depths()), inputs)
	if inputs != 801 {
		t.Errorf("%d input schemas", inputs)
	}
}
