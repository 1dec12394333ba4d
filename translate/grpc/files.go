package grpc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/translate"
	"weir/translate/schema"
)

// description is the files of an API, linked, and what is wrong with them.
type description struct {
	set      *descriptorpb.FileDescriptorSet
	files    *protoregistry.Files
	services []protoreflect.ServiceDescriptor // in order of name
	warnings []translate.Warning
}

// warn records something that cannot be used as it is written; at is a file or the full name of what is in one.
func (d *description) warn(at, operation string, lost bool, format string, args ...any) {
	d.warnings = append(d.warnings, translate.Warning{Pointer: at, Operation: operation, Message: fmt.Sprintf(format, args...), Lost: lost})
}

// maxFiles bounds a description; the largest public ones have some thousands.
const maxFiles = 20_000

// link puts files together. One that cannot be linked is left out with a warning, and what needs it with it. offered names the services that
// are offered, nil for those of all files.
func link(set *descriptorpb.FileDescriptorSet, offered []string) (*description, error) {
	d := &description{set: set, files: new(protoregistry.Files)}
	if len(set.GetFile()) > maxFiles {
		return nil, fmt.Errorf("the description has more than %d files", maxFiles)
	}
	l := linker{description: d, byPath: make(map[string]*descriptorpb.FileDescriptorProto, len(set.GetFile())), state: make(map[string]int)}
	for _, f := range set.GetFile() {
		if old, twice := l.byPath[f.GetName()]; twice {
			if !proto.Equal(old, f) {
				d.warn(f.GetName(), "", false, "the file is there twice and differs; the first one is used")
			}
			continue
		}
		l.byPath[f.GetName()] = f
	}
	for _, f := range set.GetFile() {
		l.visit(f.GetName(), 0)
	}
	d.offer(offered)
	return d, nil
}

// linker builds files after those that they import.
type linker struct {
	*description
	byPath map[string]*descriptorpb.FileDescriptorProto
	state  map[string]int // 1 under way, 2 done
}

// maxImports bounds chains of imports.
const maxImports = 1000

func (l *linker) visit(path string, depth int) {
	f := l.byPath[path]
	if f == nil || l.state[path] != 0 || depth > maxImports {
		return
	}
	l.state[path] = 1
	for _, dependency := range append(slices.Clone(f.GetDependency()), f.GetOptionDependency()...) {
		l.visit(dependency, depth+1)
	}
	l.state[path] = 2
	linked, err := build(f, l)
	if err == nil {
		err = l.files.RegisterFile(linked)
	}
	if err != nil {
		l.warn(path, "", false, "the file cannot be used: %v", strings.TrimPrefix(err.Error(), "proto: "))
		for _, s := range f.GetService() {
			for _, m := range s.GetMethod() {
				l.warn(path, strings.TrimPrefix(f.GetPackage()+"."+s.GetName()+"/"+m.GetName(), "."), true, "its file cannot be used")
			}
		}
	}
}

// build links one file. What the library cannot bear becomes an error.
func build(f *descriptorpb.FileDescriptorProto, r protodesc.Resolver) (linked protoreflect.FileDescriptor, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%v", fault)
		}
	}()
	return protodesc.FileOptions{AllowUnresolvable: true}.New(f, r)
}

// FindFileByPath implements protodesc.Resolver: files of the description, else those that come with the library.
func (l *linker) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if f, err := l.files.FindFileByPath(path); err == nil {
		return f, nil
	}
	if !builtIn(path) {
		return nil, protoregistry.NotFound
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

// FindDescriptorByName implements protodesc.Resolver.
func (l *linker) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := l.files.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil || !builtIn(d.ParentFile().Path()) {
		return nil, protoregistry.NotFound
	}
	return d, nil
}

// builtIn reports whether a file comes with protobuf itself, so that descriptions may leave it out.
func builtIn(path string) bool { return strings.HasPrefix(path, "google/protobuf/") }

// offer gathers the services.
func (d *description) offer(offered []string) {
	var all []protoreflect.ServiceDescriptor
	for f := range d.files.RangeFiles {
		for i := range f.Services().Len() {
			all = append(all, f.Services().Get(i))
		}
	}
	slices.SortFunc(all, func(a, b protoreflect.ServiceDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	for _, s := range all {
		if !infrastructure(s.FullName()) && (offered == nil || slices.Contains(offered, string(s.FullName()))) {
			d.services = append(d.services, s)
		}
	}
	for _, name := range offered {
		full := protoreflect.FullName(name)
		if !infrastructure(full) && !slices.ContainsFunc(d.services, func(s protoreflect.ServiceDescriptor) bool { return s.FullName() == full }) {
			d.warn(name, "", false, "the server names this service, but there is no description of it")
		}
	}
}

// infrastructure reports whether a service is about the server itself.
func infrastructure(name protoreflect.FullName) bool {
	return strings.HasPrefix(string(name), "grpc.reflection.") || strings.HasPrefix(string(name), "grpc.health.")
}

// comment is what stands before a declaration, cleaned. Parts for linters, in (-- --), go.
func comment(d protoreflect.Descriptor) string {
	all := d.ParentFile().SourceLocations()
	if all.Len() == 0 {
		return ""
	}
	at := all.ByDescriptor(d)
	text := cmp.Or(at.LeadingComments, at.TrailingComments)
	for {
		before, rest, found := strings.Cut(text, "(--")
		if !found {
			break
		}
		_, after, _ := strings.Cut(rest, "--)")
		text = before + after
	}
	return schema.Clean(text)
}
