package grpc

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"

	"weir/translate"
	"weir/translate/schema"
)

// TestBrokenDescriptions: one fault costs itself, with a warning that says where; the rest is there.
func TestBrokenDescriptions(t *testing.T) {
	set, _ := fixture(t, "greeter.proto")
	good := len(set.File)
	set.File = append(set.File,
		&descriptorpb.FileDescriptorProto{
			Name: new("bad.proto"), Syntax: new("proto3"), Package: new("bad"),
			MessageType: []*descriptorpb.DescriptorProto{{Name: new("1 bad")}},
			Service:     []*descriptorpb.ServiceDescriptorProto{{Name: new("S"), Method: []*descriptorpb.MethodDescriptorProto{{Name: new("M")}}}},
		},
		&descriptorpb.FileDescriptorProto{
			Name: new("open.proto"), Syntax: new("proto3"), Package: new("open"), Dependency: []string{"absent.proto"},
			MessageType: []*descriptorpb.DescriptorProto{{Name: new("In")}},
			Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("S"), Method: []*descriptorpb.MethodDescriptorProto{
				{Name: new("Lost"), InputType: new(".absent.In"), OutputType: new(".open.In")},
				{Name: new("Kept"), InputType: new(".open.In"), OutputType: new(".open.In")},
			}}},
		},
		&descriptorpb.FileDescriptorProto{Name: new("open.proto"), Package: new("other")},
		&descriptorpb.FileDescriptorProto{Name: new("loop.proto"), Syntax: new("proto3"), Dependency: []string{"loop.proto"}},
	)
	d, err := link(set, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{description: d, spec: &Spec{Bidi: true}, upstream: "api"}
	names := ""
	for _, m := range b.build() {
		names += m.Name + " "
	}
	if !strings.Contains(names, "Greeter_Hello") || !strings.Contains(names, "S_Kept") || strings.Contains(names, "Lost") {
		t.Errorf("%d good files; tools %s", good, names)
	}
	lost := ""
	for _, w := range d.warnings {
		if w.Lost {
			lost += w.Pointer + " " + w.Operation + "; "
		}
	}
	if lost != "bad.proto bad.S/M; open.S.Lost open.S/Lost; " {
		t.Errorf("lost: %s, all: %+v", lost, d.warnings)
	}
}

// TestCuration: configuration names, hides, fixes and renames as for every kind of API.
func TestCuration(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	fixed, err := schema.Parse([]byte(`"42"`))
	if err != nil {
		t.Fatal(err)
	}
	a := dial(t, s, Spec{Spec: translate.Spec{Mode: translate.ModeExplicit, Tools: map[string]translate.Tool{
		"weir.test.Greeter/Hello": {Name: "greet", Description: "Greets.", Args: map[string]translate.Arg{"number": {Fixed: translate.Literal{Value: fixed}}, "firstName": {Rename: "who"}}},
		"weir.test.Greeter/Nope":  {},
	}}}, translate.Options{})
	if len(a.Source().Tools) != 1 || !strings.Contains(string(a.Source().Tools[0]), `"name":"greet","description":"Greets."`) {
		t.Errorf("got %s", a.Source().Tools)
	}
	if got := run(t, a, "greet", `{"who":"Ann"}`); got.True("isError") || s.Calls()[0] != `/weir.test.Greeter/Hello {"firstName":"Ann","number":"42"}` {
		t.Errorf("got %s; the server saw %v", got.JSON(), s.Calls())
	}
	if got := run(t, a, "greet", `{"number":"1"}`); !got.True("isError") {
		t.Error("a fixed argument was taken")
	}
	warned := false
	for _, w := range a.Report().Warnings {
		warned = warned || strings.Contains(w.Message, `"weir.test.Greeter/Nope" names no operation`)
	}
	if !warned {
		t.Errorf("warnings %v", a.Report().Warnings)
	}
}

// TestCuratedOneof: what is said of fields that exclude each other has their names of the configuration, and nothing of one that is hidden.
func TestCuratedOneof(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	for want, args := range map[string]map[string]translate.Arg{
		`"email":{"type":"string","description":"Set at most one of email, phone."}`: {"mail": {Rename: "email"}},
		`"mail":{"type":"string"}`:                                 {"phone": {Hide: true}},
		`"mail":{"type":"string","description":"Where to write."}`: {"mail": {Description: "Where to write."}, "phone": {Rename: "number_of_phone"}},
	} {
		a := dial(t, s, Spec{Spec: translate.Spec{Tools: map[string]translate.Tool{"weir.test.Greeter/Hello": {Args: args}}}}, translate.Options{})
		if got := item(t, a, "Greeter_Hello").Get("inputSchema").JSON(); !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}
