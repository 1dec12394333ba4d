package grpc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/translate/internal/alone"
	"weir/translate/schema"
)

// hostileSources are large or deep in each way that a description can be. The race detector, which takes ten times the time and memory, gets a tenth
// of them.
func hostileSources() map[string]string {
	size := 10
	if testing.Short() {
		size = 1
	}
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n * size {
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(format, "#", fmt.Sprint(i)), "@", fmt.Sprint(i+1)) + "\n")
		}
		return b.String()
	}
	file := func(methods, rest string) string {
		return "syntax = \"proto3\"; package p; service S { " + methods + " }\n" + rest
	}
	const one = "rpc M(A) returns (A);"
	return map[string]string{
		"enum":     file(one, "message A { Many e = 1; repeated Many all = 2; } enum Many { Z = 0; "+repeat(5000, "V# = @; ")+"}"),
		"fields":   file(one, "message A { "+repeat(1800, "string f# = @; ")+"}"),
		"one line": file(one, strings.ReplaceAll("message A { "+repeat(10_000, "string f# = @; ")+"}", "\n", " ")),
		"oneof":    file(one, "message A { oneof o { "+repeat(500, "string f# = @; ")+"} }"),
		"oneofs":   file(one, "message A { "+repeat(1000, "oneof o# { string f# = @; } ")+"}"),
		"methods":  file(repeat(2000, "rpc M#(A) returns (A); "), "message A { A a = 1; string b = 2; }"),
		"services": "syntax = \"proto3\"; " + repeat(500, "service S# { rpc M(A) returns (A); } ") + "message A {}",
		"doubling": file(one, "message A { D0 a = 1; } "+repeat(9, "message D# { D@ a = 1; D@ b = 2; repeated D@ c = 3; map<string, D@> d = 4; } ")+fmt.Sprintf("message D%d {}", 9*size)),
		"chain":    file(one, "message A { D0 a = 1; } "+repeat(500, "message D# { D@ a = 1; A b = 2; } ")+fmt.Sprintf("message D%d {}", 500*size)),
		"web":      file(repeat(20, "rpc M#(D#) returns (D@); "), repeat(200, "message D# { D0 a = 1; D1 b = 2; D2 c = 3; D@ d = 4; repeated D# e = 5; map<int64, D@> f = 6; } ")+fmt.Sprintf("message D%d {}", 200*size)),
		"nested":   file("rpc M(A) returns (A);", "message A {} "+strings.Repeat("message N { ", 30*size)+strings.Repeat("}", 30*size)),
		"comments": "// " + strings.Repeat("x", 1_000_000*size) + "\n" + file("// "+strings.Repeat("y\n// ", 100_000*size)+"\n"+one, "message A {}"),
		"imports":  file(one, repeat(1000, "import \"gone#.proto\"; ")+"message A {}"),
		"itself":   file(one, "import \"x.proto\"; message A {}"),
		"above":    file(one, "import \"../../../../../../etc/passwd\"; import \"/etc/passwd\"; message A {}"),
		"brackets": "syntax = \"proto3\"; option a = " + strings.Repeat("{ a:\n", 20_000*size),
	}
}

// hostileSets are descriptors that no compiler makes.
func hostileSets() map[string]*descriptorpb.FileDescriptorSet {
	size := 10
	if testing.Short() {
		size = 1
	}
	one := func(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorSet {
		f.Syntax = new("proto3")
		return &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{f}}
	}
	service := func(input string) []*descriptorpb.ServiceDescriptorProto {
		return []*descriptorpb.ServiceDescriptorProto{{Name: new("S"), Method: []*descriptorpb.MethodDescriptorProto{{Name: new("M"), InputType: new(input), OutputType: new(input)}}}}
	}
	chain := &descriptorpb.FileDescriptorSet{}
	for i := range 2000 * size {
		chain.File = append(chain.File, &descriptorpb.FileDescriptorProto{Name: new(fmt.Sprintf("f%d.proto", i)), Syntax: new("proto3"), Dependency: []string{fmt.Sprintf("f%d.proto", i+1)}})
	}
	many := &descriptorpb.EnumDescriptorProto{Name: new("Many")}
	for i := range 10_000 * size {
		many.Value = append(many.Value, &descriptorpb.EnumValueDescriptorProto{Name: new(fmt.Sprintf("V%d", i)), Number: new(int32(i))})
	}
	options := &descriptorpb.MessageOptions{}
	options.ProtoReflect().SetUnknown([]byte(strings.Repeat("\xba\x48\x7f"+strings.Repeat("\x0a\x7d"+strings.Repeat("x", 125), 1), 10_000*size)))
	return map[string]*descriptorpb.FileDescriptorSet{
		"chain of files": chain,
		"enum of 10^5": one(&descriptorpb.FileDescriptorProto{Name: new("e.proto"), EnumType: []*descriptorpb.EnumDescriptorProto{many}, MessageType: []*descriptorpb.DescriptorProto{{Name: new("A"), Field: []*descriptorpb.FieldDescriptorProto{
			{Name: new("e"), Number: new(int32(1)), Type: descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum(), TypeName: new(".Many"), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()},
		}}}, Service: service(".A")}),
		"options":   one(&descriptorpb.FileDescriptorProto{Name: new("o.proto"), MessageType: []*descriptorpb.DescriptorProto{{Name: new("A"), Options: options}}, Service: service(".A")}),
		"bad names": one(&descriptorpb.FileDescriptorProto{Name: new("../../n.proto"), Package: new("p\r\nx"), MessageType: []*descriptorpb.DescriptorProto{{Name: new("A\x00")}}, Service: service(".p\r\nx.A\x00")}),
		"no types":  one(&descriptorpb.FileDescriptorProto{Name: new("t.proto"), Service: service("")}),
		"nothing":   one(&descriptorpb.FileDescriptorProto{}),
	}
}

const (
	mostMemory = 256 << 10 // KiB
	mostTime   = 5 * time.Second
)

// TestT21_HostileDescriptions reads each hostile description and makes its tools, in a process of its own, within 256 MB and five seconds of processor
// time. What is listed stays within its budget, and can be called.
func TestT21_HostileDescriptions(t *testing.T) {
	if name := alone.Case(); name != "" {
		readHostile(t, name)
		return
	}
	names := make([]string, 0, 20)
	for name := range hostileSources() {
		names = append(names, name)
	}
	for name := range hostileSets() {
		names = append(names, name)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			c := alone.Run(t, name)
			t.Logf("%v of processor time, %s", c.Time, schema.Shorten(c.Output, 300))
			if c.Err != nil || c.Time > mostTime || c.Peak > mostMemory {
				t.Errorf("%v, %v, %d KiB: %s", c.Err, c.Time, c.Peak, schema.Shorten(c.Output, 3000))
			}
		})
	}
}

// readHostile is the child.
func readHostile(t *testing.T, name string) {
	set, services, err := hostileSets()[name], []string(nil), error(nil)
	if text, ok := hostileSources()[name]; ok {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "x.proto"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openSources([]string{"x.proto"}, []string{folder})
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if set, services, _, err = s.compile(t.Context()); err != nil {
			t.Log(schema.Shorten(err.Error(), 200))
			if strings.Contains(err.Error(), "root:") {
				t.Error("a file above the import paths was read")
			}
		}
	} else if data, err := proto.Marshal(set); err != nil || proto.Unmarshal(data, set) != nil {
		t.Fatal(err)
	}
	tools := 0
	if d, err := link(set, services); err == nil {
		for i, m := range (&builder{description: d, spec: &Spec{Bidi: true}, upstream: "api"}).build() {
			tools++
			if len(m.Raw) > 8<<10 {
				t.Errorf("%s: %d bytes are listed", m.Name, len(m.Raw))
			}
			if i == 0 { // schemas are compiled when a tool is called first
				if _, refused := m.Input.Accept([]byte(`{}`)); refused != nil && strings.Contains(fmt.Sprint(refused), "cannot be checked") {
					t.Errorf("%s is listed and cannot be called", m.Name)
				}
			}
		}
	}
	alone.Tell(t, "%d tools, %v", tools, err)
}
