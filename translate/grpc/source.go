package grpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	compiled "github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/translate"
)

// maxDescriptionBytes bounds what is read of one file, and what a server may answer by reflection in all.
const maxDescriptionBytes = 64 << 20

// readSets reads files with descriptor sets.
func readSets(names []string) (*descriptorpb.FileDescriptorSet, error) {
	all := &descriptorpb.FileDescriptorSet{}
	for _, name := range names {
		data, err := translate.ReadDescription(name)
		if err != nil {
			return nil, err
		}
		set := &descriptorpb.FileDescriptorSet{}
		if err := proto.Unmarshal(data, set); err != nil || len(set.GetFile()) == 0 {
			return nil, fmt.Errorf("%s is no descriptor set: make one with protoc --descriptor_set_out --include_imports --include_source_info", name)
		}
		all.File = append(all.File, set.GetFile()...)
	}
	return all, nil
}

// sources are .proto files and where they and their imports lie.
type sources struct {
	roots []*os.Root
	paths []string // below a root
}

// openSources finds the files below the import paths, or in their own folders.
func openSources(protos, importPaths []string) (*sources, error) {
	s := &sources{}
	folders := slices.Clone(importPaths)
	if len(folders) == 0 {
		for _, p := range protos {
			folders = append(folders, filepath.Dir(p))
		}
		slices.Sort(folders)
		folders = slices.Compact(folders)
	}
	for _, folder := range folders {
		root, err := os.OpenRoot(folder)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("importPaths: %w", err)
		}
		s.roots = append(s.roots, root)
	}
	for _, p := range protos {
		s.paths = append(s.paths, below(p, folders))
	}
	return s, nil
}

// below is the name of a file as others import it.
func below(name string, folders []string) string {
	for _, folder := range folders {
		if inner, err := filepath.Rel(folder, name); err == nil && filepath.IsLocal(inner) {
			return filepath.ToSlash(inner)
		}
	}
	return filepath.ToSlash(name)
}

func (s *sources) close() {
	for _, r := range s.roots {
		_ = r.Close()
	}
}

// open finds a file below the roots; nothing above them can be read.
func (s *sources) open(path string) (io.ReadCloser, error) {
	for _, r := range s.roots {
		f, err := r.Open(filepath.FromSlash(path))
		if err != nil {
			continue
		}
		data, err := translate.ReadLimited(f, -1)
		_ = f.Close()
		if err == nil {
			err = plausible(data)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return nil, fmt.Errorf("%s: %w in the import paths", path, os.ErrNotExist)
}

const (
	maxLine    = 64 << 10 // bytes
	maxNesting = 5000
)

// plausible refuses sources that nobody writes and that the compiler takes the square of their size for.
func plausible(data []byte) error {
	nesting := 0
	for line := range bytes.Lines(data) {
		if len(line) > maxLine {
			return fmt.Errorf("a line is longer than %d KiB", maxLine>>10)
		}
		nesting += bytes.Count(line, []byte("{")) + bytes.Count(line, []byte("[")) - bytes.Count(line, []byte("}")) - bytes.Count(line, []byte("]"))
		if nesting > maxNesting {
			return fmt.Errorf("more than %d brackets are open at a time", maxNesting)
		}
	}
	return nil
}

// compile makes descriptors of the files. One that has faults is left out with a warning; an error comes when none is left.
func (s *sources) compile(ctx context.Context) (*descriptorpb.FileDescriptorSet, []string, []translate.Warning, error) {
	var warnings []translate.Warning
	set := &descriptorpb.FileDescriptorSet{}
	seen := make(map[string]bool)
	services := []string{}
	resolver := protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: s.open})
	for _, path := range s.paths {
		c := protocompile.Compiler{Resolver: resolver, SourceInfoMode: protocompile.SourceInfoStandard, MaxParallelism: 1}
		files, err := compileOne(ctx, &c, path)
		if err != nil {
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				return nil, nil, nil, err
			}
			warnings = append(warnings, translate.Warning{Pointer: path, Message: "the file cannot be compiled: " + advise(err), Lost: true})
			continue
		}
		for _, f := range files {
			collect(f, set, seen)
			for i := range f.Services().Len() {
				services = append(services, string(f.Services().Get(i).FullName()))
			}
		}
	}
	if len(set.GetFile()) == 0 {
		return nil, nil, nil, fmt.Errorf("no file could be compiled; %s: %s", warnings[0].Pointer, warnings[0].Message)
	}
	return set, services, warnings, nil
}

// compileOne compiles one file with what it imports. What the compiler cannot bear becomes an error.
func compileOne(ctx context.Context, c *protocompile.Compiler, path string) (files compiled.Files, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%s: %v", path, fault)
		}
	}()
	return c.Compile(ctx, path)
}

// advise adds what helps with syntax that is newer than the compiler.
func advise(err error) string {
	text := err.Error()
	if strings.Contains(text, "edition") || strings.Contains(text, "import option") || strings.Contains(text, `"option"`) {
		text += "; give a descriptor set made with --include_imports --include_source_info"
	}
	return text
}

// collect adds a file after those that it imports.
func collect(f protoreflect.FileDescriptor, set *descriptorpb.FileDescriptorSet, seen map[string]bool) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		if inner := f.Imports().Get(i); !inner.IsPlaceholder() {
			collect(inner.FileDescriptor, set, seen)
		}
	}
	set.File = append(set.File, protoutil.ProtoFromFileDescriptor(f))
}
