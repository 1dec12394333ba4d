package grpc

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	v1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/translate"
)

// TestIdenticalTools reads one API by reflection in both versions, as a descriptor set and as sources.
func TestIdenticalTools(t *testing.T) {
	want := ""
	folder := t.TempDir()
	for _, version := range []string{"v1", "v1alpha", "both"} {
		s := serve(t, setup{Reflect: version})
		a := dial(t, s, Spec{Bidi: true}, translate.Options{})
		got := string(bytes.Join(a.Source().Tools, []byte("\n")))
		if want == "" {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
	}
	compiled, _ := fixture(t, "greeter.proto", "edition.proto", "old.proto")
	data, err := proto.Marshal(compiled)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "api.binpb"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]Spec{
		"descriptor set": {Descriptors: []string{filepath.Join(folder, "api.binpb")}},
		"sources":        {Protos: []string{"grpctest/proto/greeter.proto", "grpctest/proto/old.proto", "grpctest/proto/edition.proto"}},
		"import paths":   {Protos: []string{"greeter.proto", "edition.proto", "old.proto"}, ImportPaths: []string{"grpctest/proto"}},
	} {
		spec.GRPC, spec.Bidi = "http://127.0.0.1:1", true
		a, err := New(t.Context(), spec, translate.Options{Upstream: "api"})
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(want, string(bytes.Join(a.Source().Tools, []byte("\n")))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(want, "Says hello to somebody.") || strings.Contains(want, "linters") {
		t.Errorf("comments are not as they should be: %s", want)
	}
}

// TestIdenticalCorpus compares the tools of every source with those of the same files as a descriptor set, in another order, and as a server describes
// them by reflection, in both versions of it.
func TestIdenticalCorpus(t *testing.T) {
	tools, ways := 0, []string{"descriptor set", "reflection v1", "reflection v1alpha"}
	for _, p := range corpus(t) {
		spec := Spec{Bidi: true, Spec: translate.Spec{Mode: translate.ModeTools}}
		_, one := p.tools(t, spec)
		offered := slices.DeleteFunc(slices.Clone(p.services), func(name string) bool { return infrastructure(protoreflect.FullName(name)) })
		for _, way := range ways {
			spec := spec
			if way == "descriptor set" {
				spec.GRPC, spec.Descriptors = "http://127.0.0.1:1", []string{reversed(t, p.set)}
				spec.Include = globs(offered)
			} else {
				spec.GRPC = "http://" + describing(t, p.set, offered, way)
			}
			a, err := New(t.Context(), spec, translate.Options{Upstream: "api"})
			if err != nil {
				t.Fatal(p.name, way, err)
			}
			if got := a.Source().Tools; len(got) == 0 || !slices.EqualFunc(one.Source.Tools, got, bytes.Equal) {
				t.Errorf("%s: %s gives %d tools, the sources %d; they differ", p.name, way, len(got), len(one.Source.Tools))
			}
			if err := a.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		tools += len(one.Source.Tools)
	}
	t.Logf("%d tools of the sources are byte for byte those of %s", tools, strings.Join(ways, ", "))
	if tools < 500 {
		t.Errorf("%d tools only", tools)
	}
}

func globs(services []string) []string {
	all := make([]string, len(services))
	for i, name := range services {
		all[i] = name + "/*"
	}
	return all
}

// reversed writes a descriptor set whose files stand in the other order.
func reversed(t *testing.T, set *descriptorpb.FileDescriptorSet) string {
	t.Helper()
	other := &descriptorpb.FileDescriptorSet{File: slices.Clone(set.GetFile())}
	slices.Reverse(other.File)
	data, err := proto.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "set.binpb")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// describedServices are the services that a server names.
type describedServices []string

// GetServiceInfo implements reflection.ServiceInfoProvider.
func (d describedServices) GetServiceInfo() map[string]rpc.ServiceInfo {
	all := make(map[string]rpc.ServiceInfo, len(d))
	for _, name := range d {
		all[name] = rpc.ServiceInfo{}
	}
	return all
}

// describing starts a server that does nothing but describe services, and returns its address.
func describing(t *testing.T, set *descriptorpb.FileDescriptorSet, services []string, way string) string {
	t.Helper()
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer()
	o := reflection.ServerOptions{Services: describedServices(services), DescriptorResolver: files}
	if way == "reflection v1" {
		v1.RegisterServerReflectionServer(s, reflection.NewServerV1(o))
	} else {
		v1alpha.RegisterServerReflectionServer(s, reflection.NewServer(o))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l) // Stop ends it
	}()
	t.Cleanup(func() { s.Stop(); <-ended })
	return l.Addr().String()
}
