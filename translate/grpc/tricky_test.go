package grpc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/translate"
	"weir/translate/schema"
)

// sourceTools compiles one source and builds its tools.
func sourceTools(t testing.TB, text string) (map[string]*method, *description) {
	t.Helper()
	folder := t.TempDir()
	for name, data := range map[string]string{"x.proto": text, "google/api/field_behavior.proto": fieldBehavior, "google/api/http.proto": httpRule, "buf/validate/validate.proto": validateRules} {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := openSources([]string{"x.proto"}, []string{folder})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	set, services, warnings, err := s.compile(t.Context())
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	d, err := link(set, services)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{description: d, spec: &Spec{}, upstream: "api"}
	tools := make(map[string]*method)
	for _, m := range b.build() {
		tools[m.Name] = m
	}
	return tools, d
}

// What the options of tests need of the published files.
const (
	fieldBehavior = `syntax = "proto3"; package google.api; import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { repeated FieldBehavior field_behavior = 1052 [packed = false]; }
enum FieldBehavior { FIELD_BEHAVIOR_UNSPECIFIED = 0; OPTIONAL = 1; REQUIRED = 2; OUTPUT_ONLY = 3; INPUT_ONLY = 4; IMMUTABLE = 5; }`
	httpRule = `syntax = "proto3"; package google.api; import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { HttpRule http = 72295728; }
message HttpRule { string selector = 1; oneof pattern { string get = 2; string put = 3; string post = 4; string delete = 5; string patch = 6; } string body = 7; }`
	validateRules = `syntax = "proto2"; package buf.validate; import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { optional FieldRules field = 1159; }
extend google.protobuf.OneofOptions { optional OneofRules oneof = 1159; }
message OneofRules { optional bool required = 1; }
message FieldRules { optional bool required = 25; optional int32 ignore = 27;
 oneof type { FloatRules float = 1; DoubleRules double = 2; Int32Rules int32 = 3; SInt32Rules sint32 = 7; StringRules string = 14; EnumRules enum = 16; RepeatedRules repeated = 18; MapRules map = 19; } }
message FloatRules { optional float lt = 2; optional float gte = 5; }
message DoubleRules { optional double lte = 3; optional double gt = 4; }
message Int32Rules { optional int32 lte = 3; optional int32 gte = 5; }
message SInt32Rules { optional sint32 gte = 5; }
message StringRules { optional string const = 1; optional uint64 min_len = 2; optional uint64 max_len = 3; optional string pattern = 6; optional string prefix = 7; repeated string in = 10;
 optional uint64 len = 19; oneof well_known { bool email = 12; bool uuid = 22; } }
message EnumRules { repeated int32 in = 3; repeated int32 not_in = 4; }
message RepeatedRules { optional uint64 min_items = 1; optional uint64 max_items = 2; optional bool unique = 3; optional FieldRules items = 4; }
message MapRules { optional uint64 min_pairs = 1; optional uint64 max_pairs = 2; }`
)

// property of the full schema of a tool's arguments.
func argumentOf(m *method, name string) string {
	return m.Input.Full.Root.Get("properties").Get(name).JSON()
}

// TestTricky is what real services and their descriptions do that other translators fail on, a row of the table for each thing that is promised of a
// case.
func TestTricky(t *testing.T) {
	for _, row := range []struct {
		name  string // case/promise
		check func(t *testing.T)
	}{
		{"reflection/v1, v1alpha, or none and files in its place", reflectionVersions},
		{"reflection/the older name when a server or a proxy does not know the newer one", olderReflection},
		{"int64 and uint64/text with a pattern, numbers taken without a float", longNumbers},
		{"Any/in requests and replies, of every file, and of types that nobody describes", repliesFit},
		{"Any/in the details of errors", errorDetails},
		{"oneof/plain fields that say so, both refused before anything is sent", oneofs},
		{"recursion/small in both directions", recursion},
		{"custom options/read of descriptors that are made at run time", customOptions},
		{"wrapper and Timestamp as requests/argument value", wrapperRequests},
		{"names/Service_Method, package where two want one, whole words where cut", namesOfMethods},
		{"unknown enum numbers, NaN, Infinity in replies/told, and fit the output schema", unknownValues},
		{"editions/2023 in sources, 2024 as a descriptor set, and the error says so", editions},
		{"streaming/collected to each limit, progress for each message", streamLimits},
		{"streaming/requests in messages, both directions only where configured", streamedRequests},
	} {
		t.Run(row.name, row.check)
	}
}

// customOptions: field_behavior, google.api.http and buf.validate of descriptors that were made at run time.
func customOptions(t *testing.T) {
	tools, _ := sourceTools(t, `syntax = "proto3"; package p;
import "google/api/field_behavior.proto"; import "google/api/http.proto"; import "buf/validate/validate.proto";
service S {
  rpc Get(In) returns (In) { option (google.api.http) = { get: "/v1/x" }; }
  rpc Put(In) returns (In) { option (google.api.http) = { put: "/v1/x" body: "*" }; }
  rpc Del(In) returns (In) { option (google.api.http) = { delete: "/v1/x" }; }
  rpc Post(In) returns (In) { option (google.api.http) = { post: "/v1/x" body: "*" }; }
  rpc None(In) returns (In) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Again(In) returns (In) { option idempotency_level = IDEMPOTENT; }
}
enum E { E0 = 0; E1 = 1; E2 = 2; }
message In {
  string must = 1 [(google.api.field_behavior) = REQUIRED];
  string told = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
  string kept = 3 [(google.api.field_behavior) = INPUT_ONLY];
  string needed = 4 [(buf.validate.field).required = true];
  string sized = 5 [(buf.validate.field).string = { min_len: 2, max_len: 5 }];
  string like = 6 [(buf.validate.field).string.pattern = "^a+$"];
  string begins = 7 [(buf.validate.field).string.prefix = "x."];
  string among = 8 [(buf.validate.field).string.in = "a", (buf.validate.field).string.in = "b"];
  string mail = 9 [(buf.validate.field).string.email = true];
  int32 range = 10 [(buf.validate.field).int32 = { gte: -5, lte: 7 }];
  sint32 zig = 11 [(buf.validate.field).sint32.gte = -3];
  float part = 12 [(buf.validate.field).float = { gte: 0.5, lt: 1 }];
  double open = 13 [(buf.validate.field).double = { gt: 2, lte: 1 }];
  E some = 14 [(buf.validate.field).enum = { not_in: 0 }];
  repeated string list = 15 [(buf.validate.field).repeated = { min_items: 1, max_items: 3, unique: true, items: { string: { min_len: 1 } } }];
  map<string, string> pairs = 16 [(buf.validate.field).map = { min_pairs: 1 }];
  string skipped = 17 [(buf.validate.field) = { ignore: 3, string: { min_len: 9 } }];
  oneof one { option (buf.validate.oneof).required = true; string a = 18; string b = 19 [(buf.validate.field).required = true]; }
}`)
	in := tools["S_Get"]
	if got, want := in.Input.Full.Root.Get("required").JSON(), `["must","needed"]`; got != want {
		t.Errorf("required is %s", got)
	}
	for name, want := range map[string]string{
		"told": `null`, "kept": `{"type":"string"}`,
		"sized":   `{"type":"string","minLength":2,"maxLength":5}`,
		"like":    `{"type":"string","pattern":"^a+$"}`,
		"begins":  `{"type":"string","pattern":"^x\\."}`,
		"among":   `{"type":"string","enum":["a","b"]}`,
		"mail":    `{"type":"string","format":"email"}`,
		"range":   `{"type":"integer","minimum":-5,"maximum":7}`,
		"zig":     `{"type":"integer","minimum":-3}`,
		"part":    `{"type":["number","string"],"pattern":"^(NaN|-?Infinity)$","minimum":0.5,"exclusiveMaximum":1}`,
		"open":    `{"type":["number","string"],"pattern":"^(NaN|-?Infinity)$"}`,
		"some":    `{"type":"string","enum":["E1","E2"]}`,
		"list":    `{"type":"array","items":{"type":"string","minLength":1},"minItems":1,"maxItems":3,"uniqueItems":true}`,
		"pairs":   `{"type":"object","additionalProperties":{"type":"string"},"minProperties":1}`,
		"skipped": `{"type":"string"}`,
		"a":       `{"description":"Set exactly one of a, b.","type":"string"}`,
	} {
		if got := argumentOf(in, name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	out := newConverter(reply).object(in.descriptor.Output()).Get("properties")
	if out.Get("kept") != nil || out.Get("told") == nil {
		t.Errorf("the output schema is %s", out.JSON())
	}
	for name, want := range map[string]string{"S_Get": "ri", "S_Put": "di", "S_Del": "di", "S_Post": "d", "S_None": "ri", "S_Again": "di"} {
		if got := tools[name].Annotations.Letters(); got != want {
			t.Errorf("%s has the hints %s", name, got)
		}
	}
	if _, refused := in.Input.Accept([]byte(`{"must":"x","needed":"y"}`)); refused == nil {
		t.Error("a call without one of a, b was taken")
	}
}

// oneofs: plain fields at the root, no combinator, and a message that names both.
func oneofs(t *testing.T) {
	tools, _ := sourceTools(t, `syntax = "proto3"; package p; service S { rpc M(In) returns (In); } message In { oneof pick { string a = 1; int32 b = 2; } optional string c = 3; }`)
	m := tools["S_M"]
	for _, word := range []string{"oneOf", "anyOf", "allOf", "$ref", "$defs"} {
		if strings.Contains(string(m.Raw), word) {
			t.Errorf("%s is published: %s", word, m.Raw)
		}
	}
	if got := argumentOf(m, "a"); got != `{"description":"Set at most one of a, b.","type":"string"}` {
		t.Errorf("got %s", got)
	}
	if got := argumentOf(m, "c"); got != `{"type":"string"}` {
		t.Errorf("an optional field is %s", got)
	}
	for arguments, want := range map[string]string{
		`{"a":"x","b":1}`: "`b` and `a` exclude each other: give one of them", `{"a":"","b":0}`: "exclude each other", `{"a":"x","c":"y"}`: "", `{"a":"x","b":null}`: "",
	} {
		_, refused := m.Input.Accept([]byte(arguments))
		said := ""
		if refused != nil {
			answer, err := refused.Answer()
			if err != nil {
				t.Fatal(err)
			}
			said = string(answer.Message.Data)
		}
		if (said == "") != (want == "") || !strings.Contains(said, want) {
			t.Errorf("%s: %s", arguments, said)
		}
	}
}

// recursion: a message that holds itself is as small as any, in both directions.
func recursion(t *testing.T) {
	tools, _ := sourceTools(t, `syntax = "proto3"; package p; service S { rpc M(A) returns (A); } message A { B b = 1; repeated A all = 2; map<string, A> named = 3; A a = 4; } message B { A a = 1; B b = 2; }`)
	m := tools["S_M"]
	if len(m.Raw) > 4096 {
		t.Errorf("%d bytes", len(m.Raw))
	}
	deep := strings.Repeat(`{"b":{"a":`, 40) + `{}` + strings.Repeat(`}}`, 40)
	if _, refused := m.Input.Accept([]byte(deep)); refused != nil {
		t.Error("a deep message was refused")
	}
	if _, refused := m.Input.Accept([]byte(strings.Replace(deep, `{}`, `{"c":1}`, 1))); refused == nil {
		t.Error("an unknown field deep inside was taken")
	}
}

// namesOfMethods: long names keep whole words at both ends, and packages come in only where two services want one name.
func namesOfMethods(t *testing.T) {
	method := "List" + strings.Repeat("Very", 15) + "LongThings"
	tools, _ := sourceTools(t, `syntax = "proto3"; package some.api.v1; service S { rpc M(In) returns (In); rpc `+method+`(In) returns (In); } message In {}`)
	if tools["S_M"] == nil || len(tools) != 2 {
		t.Errorf("got %v", tools)
	}
	for name := range tools {
		if len(name) > translate.NameLimit("api") {
			t.Errorf("%s has %d characters", name, len(name))
		}
	}
	file := func(pkg string) *descriptorpb.FileDescriptorProto {
		return &descriptorpb.FileDescriptorProto{
			Name: new(pkg + ".proto"), Package: new(pkg), Syntax: new("proto3"),
			MessageType: []*descriptorpb.DescriptorProto{{Name: new("In")}},
			Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("S"), Method: []*descriptorpb.MethodDescriptorProto{
				{Name: new("M"), InputType: new("." + pkg + ".In"), OutputType: new("." + pkg + ".In")},
			}}},
		}
	}
	d, err := link(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file("a.v1"), file("b.v1")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{description: d, spec: &Spec{}, upstream: "api"}
	var names []string
	for _, m := range b.build() {
		names = append(names, m.Name)
	}
	if got := strings.Join(names, " "); got != "a_v1_S_M b_v1_S_M" {
		t.Errorf("got %s", got)
	}
}

// editions: sources up to edition 2023; of 2024 a descriptor set, and the error says so.
func editions(t *testing.T) {
	folder := t.TempDir()
	source := filepath.Join(folder, "new.proto")
	if err := os.WriteFile(source, []byte("edition = \"2024\";\npackage p;\nservice S { rpc M(In) returns (In); }\nmessage In { string s = 1; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(t.Context(), Spec{GRPC: "http://127.0.0.1:1", Protos: []string{source}}, translate.Options{Upstream: "api"})
	if err == nil || !strings.Contains(err.Error(), "new.proto:1") || !strings.Contains(err.Error(), "--include_imports --include_source_info") {
		t.Errorf("got %v", err)
	}
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: new("new.proto"), Package: new("p"), Syntax: new("editions"), Edition: descriptorpb.Edition_EDITION_2024.Enum(),
		OptionDependency: []string{"absent.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("In"), Field: []*descriptorpb.FieldDescriptorProto{
			{Name: new("some_text"), Number: new(int32(1)), Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()},
		}}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("S"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: new("M"), InputType: new(".p.In"), OutputType: new(".p.In")},
		}}},
	}}}
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "new.binpb")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), Spec{GRPC: "http://127.0.0.1:1", Descriptors: []string{file}}, translate.Options{Upstream: "api"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close(t.Context()) }()
	if got := item(t, a, "S_M").Get("inputSchema").JSON(); !strings.Contains(got, `"someText"`) {
		t.Errorf("got %s", got)
	}
	s := serve(t, setup{Reflect: "v1"})
	b := dial(t, s, Spec{}, translate.Options{})
	for arguments, want := range map[string]string{
		`{"implicit":"","explicit":"","required":"r","delimited":{"n":"1"},"expanded":[1],"closed":"TWO"}`: `{"explicit":"","required":"r","delimited":{"n":"1"},"expanded":[1],"closed":"TWO"}`,
		`{"implicit":"i"}`: "The call was not sent; its arguments do not fit Editions_Mirror.\n- `required` is missing (string; for example \"text\")",
	} {
		if got := textOf(run(t, b, "Editions_Mirror", arguments)); got != want {
			t.Errorf("%s: got %s", arguments, got)
		}
	}
	if got := textOf(run(t, b, "Olds_Mirror", `{"id":"1","part":[{"size":2}]}`)); got != `{"id":"1","part":[{"size":2}]}` {
		t.Errorf("proto2: got %s", got)
	}
}

// repliesFit: numbers that an enum does not know, NaN and contents of unknown types are told, and fit what is published.
func repliesFit(t *testing.T) {
	_, d := fixture(t, "greeter.proto")
	types := newTypes(d)
	b := &builder{description: d, spec: &Spec{}, upstream: "api"}
	for _, m := range b.build() {
		if m.descriptor.Name() != "Mirror" && m.descriptor.Name() != "Carry" {
			continue
		}
		reply := dynamicpb.NewMessage(m.descriptor.Output())
		var data []byte
		want := `{"fDouble":"NaN","fEnum":99}`
		if m.descriptor.Name() == "Mirror" {
			data = protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), 0x7ff8000000000001)
			data = protowire.AppendVarint(protowire.AppendTag(data, 16, protowire.VarintType), 99)
		} else {
			inner := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "type.googleapis.com/nobody.Knows")
			inner = protowire.AppendBytes(protowire.AppendTag(inner, 2, protowire.BytesType), []byte{8, 1})
			box := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
			outer := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "type.googleapis.com/weir.test.Box")
			outer = protowire.AppendBytes(protowire.AppendTag(outer, 2, protowire.BytesType), box)
			data = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), outer)
			data = protowire.AppendBytes(protowire.AppendTag(data, 1, protowire.BytesType), inner)
			unknown := `{"@type":"type.googleapis.com/nobody.Knows","value":"CAE="}`
			want = `{"content":` + unknown + `,"more":[{"@type":"type.googleapis.com/weir.test.Box","content":` + unknown + `}]}`
		}
		if err := proto.Unmarshal(data, reply); err != nil {
			t.Fatal(err)
		}
		text, err := types.json(reply)
		if err != nil || string(text) != want {
			t.Errorf("got %s, %v", text, err)
		}
		v, err := schema.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, whole := schema.Fit(v, m.Output.Schema); !whole {
			t.Errorf("%s does not fit %s", text, m.Output.Schema.JSON())
		}
		if m.descriptor.Name() == "Carry" { // and back
			back := dynamicpb.NewMessage(m.descriptor.Output())
			if err := types.read(text, back); err != nil {
				t.Fatal(err)
			}
			again, err := proto.MarshalOptions{Deterministic: true}.Marshal(back)
			first := dynamicpb.NewMessage(m.descriptor.Output())
			if proto.Unmarshal(data, first) != nil {
				t.Fatal("unreadable")
			}
			before, errBefore := proto.MarshalOptions{Deterministic: true}.Marshal(first)
			if err != nil || errBefore != nil || string(again) != string(before) {
				t.Errorf("the way back: %x, want %x", again, before)
			}
		}
	}
}

// wrapperRequests: a request that is no object in JSON is the argument value.
func wrapperRequests(t *testing.T) {
	var text strings.Builder
	text.WriteString(`syntax = "proto3"; package p; `)
	kinds := []string{
		"timestamp.Timestamp", "duration.Duration", "field_mask.FieldMask", "struct.Struct", "struct.Value", "struct.ListValue", "any.Any", "empty.Empty",
		"wrappers.StringValue", "wrappers.Int64Value", "wrappers.BytesValue",
	}
	seen := make(map[string]bool)
	for _, k := range kinds {
		if file, _, _ := strings.Cut(k, "."); !seen[file] {
			seen[file] = true
			fmt.Fprintf(&text, "import \"google/protobuf/%s.proto\"; ", file)
		}
	}
	text.WriteString("service S {")
	for _, k := range kinds {
		_, name, _ := strings.Cut(k, ".")
		fmt.Fprintf(&text, " rpc %s(google.protobuf.%s) returns (google.protobuf.%s);", name, name, name)
	}
	text.WriteString("}")
	tools, d := sourceTools(t, text.String())
	types := newTypes(d)
	for name, value := range map[string]string{
		"Timestamp": `"2026-01-02T03:04:05Z"`, "Duration": `"1s"`, "FieldMask": `"a"`, "Struct": `{"a":1}`, "Value": `[null]`, "ListValue": `[1]`,
		"Any": `{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}`, "StringValue": `"x"`, "Int64Value": `"7"`, "BytesValue": `"AA=="`,
	} {
		m := tools["S_"+name]
		args, refused := m.Input.Accept([]byte(`{"value":` + value + `}`))
		if refused != nil {
			t.Errorf("%s: refused", name)
			continue
		}
		in := dynamicpb.NewMessage(m.descriptor.Input())
		if err := types.read(m.encode(args)[0], in); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := types.json(in); err != nil || string(got) != value {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
		if m.Input.Full.Root.GetText("type") != "object" {
			t.Errorf("%s: the root is %s", name, m.Input.Full.Root.JSON())
		}
	}
	if got := tools["S_Empty"].Input.Full.Root.JSON(); got != `{"type":"object","properties":{},"additionalProperties":false}` {
		t.Errorf("got %s", got)
	}
}
