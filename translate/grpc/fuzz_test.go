package grpc

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/translate/schema"
)

// mirror is a tool that takes every kind of field.
func mirror(t testing.TB) (*method, *types) {
	t.Helper()
	_, d := fixture(t, "greeter.proto")
	b := &builder{description: d, spec: &Spec{Bidi: true}, upstream: "api"}
	for _, m := range b.build() {
		if m.descriptor.Name() == "Mirror" {
			return m, newTypes(d)
		}
	}
	t.Fatal("there is no Mirror")
	return nil, nil
}

// FuzzArguments: whatever a model sends is refused or becomes a message that survives the way to the wire and back.
func FuzzArguments(f *testing.F) {
	m, types := mirror(f)
	for _, seed := range []string{
		`{}`, `{"fInt64":9007199254740993}`, `{"fInt64":1e400}`, `{"wAny":{"@type":"x/y","value":"AA=="}}`, `{"wAny":{"@type":"type.googleapis.com/weir.test.Kinds","wAny":{"@type":"a/b","value":""}}}`,
		`{"fMessage":{"f_message":{"fDouble":"NaN"}}}`, `{"mBool":{"true":"RED"}}`, `{"cInt64":1,"cString":null}`, `{"wTimestamp":"2026-01-02T03:04:05Z"}`, `{"wDuration":"-1.5s"}`, `[]`, `{"fFloat":"1e39"}`, `{"fUint64":-1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		args, refused := m.Input.Accept(data)
		if refused != nil {
			return
		}
		in := dynamicpb.NewMessage(m.descriptor.Input())
		if types.read(m.encode(args)[0], in) != nil {
			return
		}
		text, err := types.json(in)
		if err != nil {
			if strings.Contains(err.Error(), "google.protobuf") { // values inside Any that have no form in JSON
				return
			}
			t.Fatalf("%s: %v", data, err)
		}
		if _, err := schema.Parse(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}

// FuzzDescriptors: whatever a server or a file describes costs warnings at most, and what becomes of it can be listed, checked and called.
func FuzzDescriptors(f *testing.F) {
	set, _ := fixture(f, "greeter.proto", "edition.proto", "old.proto")
	for _, file := range set.File {
		one, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(one)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set := new(descriptorpb.FileDescriptorSet)
		if proto.Unmarshal(data, set) != nil {
			return
		}
		d, err := link(set, nil)
		if err != nil {
			return
		}
		b := &builder{description: d, spec: &Spec{Bidi: true}, upstream: "api"}
		types := newTypes(d)
		for _, m := range b.build() {
			if _, err := schema.Parse(m.Raw); err != nil {
				t.Fatalf("%s: %v", m.Raw, err)
			}
			if _, err := m.Input.Check(); err != nil {
				t.Fatalf("%s: %v", m.Key, err)
			}
			s := schema.Sampler{Defs: m.Input.Full.Defs, Optional: true, Rand: rand.New(rand.NewPCG(1, 1))}
			args, refused := m.Input.Accept([]byte(s.Value(m.Input.Full.Root).JSON()))
			if refused != nil {
				continue
			}
			for _, text := range m.encode(args) {
				_ = types.read(text, dynamicpb.NewMessage(m.descriptor.Input()))
			}
		}
	})
}

// FuzzReplies: whatever bytes a server answers become a result or a failure.
func FuzzReplies(f *testing.F) {
	m, types := mirror(f)
	x := exchange{method: m, types: types, args: schema.Map()}
	f.Add([]byte{0x0a, 0x01, 0x61})
	f.Add([]byte{0x80, 0x01, 0x63})
	f.Fuzz(func(t *testing.T, data []byte) {
		reply := dynamicpb.NewMessage(m.descriptor.Output())
		if proto.Unmarshal(data, reply) != nil {
			return
		}
		r, err := x.single(t.Context(), reply)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Answer(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzSources: no source stops the compiler from telling what is wrong.
func FuzzSources(f *testing.F) {
	f.Add(`syntax = "proto3"; package p; service S { rpc M(In) returns (In); } message In { string a = 1; }`)
	f.Add(`edition = "2023"; option features.field_presence = IMPLICIT; message M { extensions 1 to 5; }`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "x.proto"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openSources([]string{"x.proto"}, []string{folder})
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		set, services, _, err := s.compile(t.Context())
		if err != nil {
			return
		}
		if d, err := link(set, services); err == nil {
			(&builder{description: d, spec: &Spec{Bidi: true}, upstream: "api"}).build()
		}
	})
}

// FuzzOptions: no option stops the reading of others.
func FuzzOptions(f *testing.F) {
	f.Add([]byte{0xba, 0x48, 0x02, 0x72, 0x00})
	m, _ := mirror(f)
	f.Fuzz(func(_ *testing.T, data []byte) {
		fields := m.descriptor.Input().Fields()
		rules := readWire(data)
		behavior(rules)
		for i := range fields.Len() {
			v := typed("string")
			constrain(v, fields.Get(i), rules)
			constrain(v, fields.Get(i), rules.message(optionValidate))
			if _, err := schema.Compile(schema.Full{Root: schema.Map(member("properties", schema.Map(member("a", v)))), Defs: schema.NewDefs()}, schema.Described()); err != nil {
				panic(err)
			}
		}
	})
}
