package graphql

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"weir/translate/schema"
)

// judge has graphql-js look at operations and returns the faults that it finds.
func judge(t *testing.T, text []byte, operations map[string]string) map[string][]string {
	t.Helper()
	binary, dir, ok := node(t)
	if !ok {
		t.SkipNow()
	}
	var in bytes.Buffer
	put := func(v map[string]string) {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(data, '\n'))
	}
	put(map[string]string{"schema": string(text)})
	for key, text := range operations {
		put(map[string]string{"key": key, "text": text})
	}
	cmd := exec.Command(binary, filepath.Join(dir, "graphql-validate.mjs"))
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	faults := make(map[string][]string)
	checked := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var v struct {
			Key     string
			Faults  []string
			Checked int
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if v.Key != "" {
			faults[v.Key] = v.Faults
		}
		checked += v.Checked
	}
	if checked != len(operations) {
		t.Fatalf("graphql-js looked at %d of %d operations", checked, len(operations))
	}
	return faults
}

// graphql-js, which shares nothing with the parser here, finds no fault in the operation of any root field of any schema, with the usual selection
// at depths 1 to 5 and with every composite field that the fields argument can ask for.
func TestIndependentJudge(t *testing.T) {
	total := 0
	for name, text := range corpus(t) {
		operations := make(map[string]string)
		for _, depth := range depths() {
			b, tools := built(t, name, text, &Spec{Mutations: true, Subscriptions: overSSE, Depth: depth})
			for _, x := range tools {
				operations[string(rune('0'+depth))+" "+x.op.key] = x.op.text
				if depth != defaultDepth || testing.Short() {
					continue
				}
				for _, path := range reachable(b, x) {
					picked, err := b.pick(x, []string{"*", path})
					if err != nil {
						t.Errorf("%s: %s: %s: %v", name, x.op.key, path, err)
						continue
					}
					operations[x.op.key+" "+path] = picked.op.text
				}
			}
		}
		for key, faults := range judge(t, text, operations) {
			t.Errorf("%s: %s: %s\n%s", name, key, strings.Join(faults, "; "), operations[key])
		}
		total += len(operations)
	}
	t.Logf("graphql-js found no fault in %d operations", total)
	if total < 800 || total < 14_000 && !testing.Short() {
		t.Errorf("it was asked about %d operations only", total)
	}
}

// reachable are paths of the fields argument that lead two levels down, one for each composite field.
func reachable(b *builder, x *tool) []string {
	if !x.selects {
		return nil
	}
	var paths []string
	types := b.description.schema
	for _, f := range types.Types[x.op.field.Type.Name()].Fields {
		to := types.Types[f.Type.Name()]
		if !to.IsCompositeType() || needsArguments(f) != "" {
			continue
		}
		paths = append(paths, f.Name)
		for _, inner := range to.Fields {
			if types.Types[inner.Type.Name()].IsCompositeType() && needsArguments(inner) == "" && len(paths) < 40 {
				paths = append(paths, f.Name+"."+inner.Name)
			}
		}
	}
	return paths
}

// Sample arguments of every operation of the corpus, all of them and the required ones, fit what is published too, and become variables of the types
// that the schema says.
func TestCorpusVariables(t *testing.T) {
	checked, samples := 0, 4
	if testing.Short() {
		samples = 1
	}
	for name, text := range corpus(t) {
		b, tools := built(t, name, text, &Spec{Mutations: true, Subscriptions: overSSE})
		for _, x := range tools {
			item, err := schema.Parse(x.Raw)
			if err != nil {
				t.Fatal(err)
			}
			published, err := schema.Compile(schema.Full{Root: item.Get("inputSchema")}, schema.Described())
			if err != nil {
				t.Errorf("%s: %s: published: %v", name, x.op.key, err)
				continue
			}
			for seed := range uint64(samples) {
				v := (&schema.Sampler{Defs: x.Input.Full.Defs, Optional: seed > 0, Rand: rand.New(rand.NewPCG(seed, 7))}).Value(x.Input.Full.Root)
				args, refused := x.Input.Accept(v.Append(nil))
				if refused != nil {
					answer, _ := refused.Answer()
					if strings.Contains(string(answer.Message.Data), "at most 1 members") {
						continue // the sampler does not know the rule of @oneOf
					}
					t.Errorf("%s: %s: a sample is refused: %s", name, x.op.key, answer.Message.Data)
					continue
				}
				if faults := published.Check(v.Plain()); len(faults) > 0 {
					t.Errorf("%s: %s: what is published refuses %s: %+v", name, x.op.key, v.JSON(), faults)
				}
				if x.uploads {
					continue
				}
				variables := x.op.variables(args)
				for _, def := range x.op.def.VariableDefinitions {
					value := variables.Get(def.Variable)
					if value == nil && def.Type.NonNull && def.DefaultValue == nil {
						t.Errorf("%s: %s: $%s is missing in %s", name, x.op.key, def.Variable, variables.JSON())
					}
					if value != nil {
						if fault := mismatch(b, value, def.Type, 0); fault != "" {
							t.Errorf("%s: %s: $%s: %s in %s", name, x.op.key, def.Variable, fault, value.JSON())
						}
					}
				}
				checked++
			}
		}
	}
	t.Logf("%d calls", checked)
}

// mismatch says why a value is none of a type, by the rules for input coercion (specification, section 3.10 and the types of section 3).
func mismatch(b *builder, v *schema.Value, t *ast.Type, depth int) string {
	switch {
	case v.Is(schema.Null):
		if t.NonNull {
			return "null for " + t.String()
		}
		return ""
	case t.Elem != nil:
		if !v.Is(schema.Array) {
			return mismatch(b, v, t.Elem, depth)
		}
		for _, m := range v.Members {
			if fault := mismatch(b, m.Value, t.Elem, depth+1); fault != "" {
				return fault
			}
		}
		return ""
	}
	def := b.description.schema.Types[t.NamedType]
	switch def.Kind {
	case ast.Enum:
		if !v.Is(schema.String) || def.EnumValues.ForName(v.Text) == nil {
			return v.JSON() + " for " + def.Name
		}
	case ast.InputObject:
		if !v.Is(schema.Object) {
			return v.JSON() + " for " + def.Name
		}
		for _, m := range v.Members {
			f := def.Fields.ForName(m.Key)
			if f == nil {
				return def.Name + " has no " + m.Key
			}
			if fault := mismatch(b, m.Value, f.Type, depth+1); fault != "" {
				return fault
			}
		}
		for _, f := range def.Fields {
			if f.Type.NonNull && f.DefaultValue == nil && v.Get(f.Name) == nil {
				return def.Name + " lacks " + f.Name
			}
		}
		if def.Directives.ForName("oneOf") != nil && len(v.Members) != 1 {
			return def.Name + " takes exactly one field"
		}
	case ast.Scalar:
		kinds := map[string]schema.Kind{"Int": schema.Number, "Float": schema.Number, "String": schema.String, "ID": schema.String, "Boolean": schema.Bool}
		if kind, ok := kinds[def.Name]; ok && !v.Is(kind) {
			return v.JSON() + " for " + def.Name
		}
	default:
		return def.Name + " is no input"
	}
	return ""
}
