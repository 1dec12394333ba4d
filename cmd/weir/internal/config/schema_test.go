package config

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"weir/policy"
	"weir/server"
	"weir/server/authn"
	"weir/server/record"
	"weir/translate"
	"weir/upstream"
)

// generate makes the schema of File from the same fields and rules that the walk uses; comments of the sources become descriptions.
func generate(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, Anonymous: true, DoNotReference: true}
	root := "../../../.."
	t.Chdir(root)
	for _, dir := range []string{"upstream", "upstream/cred", "upstream/process", "translate", "translate/openapi", "translate/grpc", "translate/graphql", "server", "server/authn", "policy", "cmd/weir/internal/config"} {
		if err := r.AddGoComments("weir", dir, jsonschema.WithFullComment()); err != nil {
			t.Fatal(err)
		}
	}
	r.Mapper = func(rt reflect.Type) *jsonschema.Schema {
		switch {
		case rt == reflect.TypeFor[Upstreams]():
			server := r.ReflectFromType(reflect.TypeFor[upstream.Spec]())
			server.Version = ""
			restrict(server, reflect.TypeFor[upstream.Spec]())
			for _, way := range append([]string{"command", "url", "endpoints"}, apiKinds()...) {
				server.OneOf = append(server.OneOf, &jsonschema.Schema{Required: []string{way}})
			}
			return &jsonschema.Schema{
				Type: "object", AdditionalProperties: server,
				PropertyNames: &jsonschema.Schema{Pattern: `^[A-Za-z0-9](?:_?[A-Za-z0-9.-])*_?$`, MaxLength: new(uint64(maxName))},
			}
		case rt == reflect.TypeFor[[]authn.Issuer]():
			one := r.ReflectFromType(reflect.TypeFor[authn.Issuer]())
			one.Version = ""
			restrict(one, reflect.TypeFor[authn.Issuer]())
			return &jsonschema.Schema{OneOf: []*jsonschema.Schema{one, {Type: "array", Items: one}}}
		case rt == reflect.TypeFor[translate.Literal]():
			return &jsonschema.Schema{}
		case rt == reflect.TypeFor[time.Duration]():
			return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`}
		case rt.Kind() == reflect.Float64:
			return &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "1"}
		case rt.Kind() == reflect.Int64:
			return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
				{Type: "integer", Minimum: "0"}, {Type: "string", Pattern: `^[0-9]+ *([kKMG]?B|[KMG]iB)?$`},
			}}
		}
		return nil
	}
	s := r.ReflectFromType(reflect.TypeFor[File]())
	s.Properties.Set("$schema", &jsonschema.Schema{Type: "string", Description: "For editors; weir does not read it."})
	s.Title, s.Description = "weir", "The configuration of weir, an MCP gateway."
	restrict(s, reflect.TypeFor[File]())
	if log, ok := s.Properties.Get("log"); ok {
		restrict(log, reflect.TypeFor[Log]())
	}
	if auth, ok := s.Properties.Get("auth"); ok {
		if p, ok := auth.Properties.Get("certificates"); ok {
			restrict(p, reflect.TypeFor[authn.Certificates]())
		}
	}
	if audit, ok := s.Properties.Get("audit"); ok {
		restrict(audit, reflect.TypeFor[record.Audit]())
	}
	if p, ok := s.Properties.Get("policy"); ok {
		restrictPolicy(p)
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// restrictPolicy is restrict for the parts of the policy.
func restrictPolicy(s *jsonschema.Schema) {
	for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
		switch pair.Key {
		case "deny":
			restrict(pair.Value.Items, reflect.TypeFor[policy.Deny]())
		case "tests":
			restrict(pair.Value.Items, reflect.TypeFor[policy.Test]())
		case "tenants":
			restrictPolicy(pair.Value.AdditionalProperties)
		}
	}
}

// restrict adds to a struct's schema what its Go types do not say.
func restrict(s *jsonschema.Schema, rt reflect.Type) {
	defaults := reflect.ValueOf(server.Default())
	for _, f := range fieldsOf(rt) {
		p, ok := s.Properties.Get(f.key)
		if !ok {
			continue
		}
		p.Description = strings.ReplaceAll(p.Description, "\n", " ")
		values := p
		if p.Items != nil {
			values = p.Items
		}
		for _, v := range enum(f) {
			values.Enum = append(values.Enum, v)
		}
		if orNever(f) {
			p.Pattern = "^" + never + "$|" + p.Pattern
		}
		if rt.FieldByIndex(f.index).Type.Kind() == reflect.Int {
			p.Minimum = "0"
		}
		if f.owner == defaults.Type() {
			switch v := defaults.FieldByIndex(f.index[1:]).Interface().(type) {
			case string:
				p.Default = v
			case time.Duration:
				p.Default = strings.Replace(strings.Replace(v.String(), "m0s", "m", 1), "h0m", "h", 1)
			case int64:
				p.Default = v
			}
		}
	}
}

func TestSchemaIsCurrent(t *testing.T) {
	path, err := filepath.Abs("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	got := generate(t)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(Schema()), string(got)); diff != "" {
		t.Errorf("schema.json is old; run: go generate ./cmd/weir/internal/config\n(-have +want)\n%s", diff)
	}
}

// compile compiles the embedded schema as the draft it says it is.
func compile(t *testing.T) *validator.Schema {
	t.Helper()
	doc, err := validator.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	root, ok := doc.(map[string]any)
	if !ok {
		t.Fatalf("the schema is a %T", doc)
	}
	if got := root["$schema"]; got != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema = %v", got)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("weir.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("weir.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaAgrees holds that the schema accepts what the reader accepts, and refuses mistakes of form that the reader refuses.
func TestSchemaAgrees(t *testing.T) {
	s := compile(t)
	files := map[string]string{"whole": whole}
	err := filepath.WalkDir("../../../../examples", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Base(path) == "weir.yaml" {
			b, err := os.ReadFile(path)
			files[path] = string(b)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := s.Validate(decoded(t, content)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, content := range []string{
		"nameing: bare", "naming: odd", "pageSize: x", "pageSize: -1", "listen: 7777", "sessionIdle: 30", "maxBody: 12 parsecs", "log: {level: loud}",
		"mcpServers: [a]", "mcpServers: {a: {comand: x}}", "mcpServers: {a: {}}", "mcpServers: {a: {command: x, url: 'http://x'}}",
		"mcpServers: {a__b: {command: x}}", "mcpServers: {-a: {command: x}}", "mcpServers: {a: {command: x, era: odd}}",
		"mcpServers: {a: {openapi: x, url: 'http://x'}}", "mcpServers: {a: {openapi: x, mode: odd}}", "mcpServers: {a: {openapi: x, arrays: odd}}",
		"mcpServers: {a: {openapi: x, tools: {b: {nam: c}}}}", "mcpServers: {a: {openapi: x, budget: -1}}",
		"mcpServers: {a: {openapi: x, tools: {b: {hints: {readOnly: 1}}}}}", "mcpServers: {a: {openapi: x, tools: {b: {args: {c: {hide: 1}}}}}}",
		"mcpServers: {a: {command: x, args: [1]}}", "mcpServers: {a: {command: x, env: {A: 1}}}", "mcpServers: {a: {command: x, required: 'yes'}}",
	} {
		if s.Validate(decoded(t, content)) == nil {
			t.Errorf("the schema accepts %q", content)
		}
		if _, err := Parse("/work/weir.yaml", []byte(content), env(nil)); err == nil {
			t.Errorf("the reader accepts %q", content)
		}
	}
}

// decoded is content as a validator wants it.
func decoded(t *testing.T, content string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(content), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v, err = validator.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEveryFieldIsDescribed(t *testing.T) {
	var doc struct {
		Properties map[string]struct {
			Description string
		}
	}
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, key := range keysOf(reflect.TypeFor[File]()) {
		if doc.Properties[key].Description == "" {
			t.Errorf("%s has no description", key)
		}
	}
}
