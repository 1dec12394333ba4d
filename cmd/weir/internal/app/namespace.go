package app

import (
	"path/filepath"
	"slices"
	"strings"

	"weir/cmd/weir/internal/config"
	"weir/upstream"
)

// namespaceOf is the part of a file that upstreams are about. Relative names of files start at the configuration's folder, because clients start
// weir in folders of their own choice.
func namespaceOf(file *config.File) upstream.Namespace {
	n := upstream.Namespace{Specs: map[string]upstream.Spec{}, Naming: file.Naming, PageSize: file.PageSize}
	folder := filepath.Dir(file.Path)
	for _, u := range file.MCPServers {
		s := u.Spec
		s.OpenAPI.Overlays = slices.Clone(s.OpenAPI.Overlays)
		names := []*string{&s.EnvFile, &s.OpenAPI.OpenAPI, &s.OpenAPI.References, &s.TLS.CA, &s.TLS.Cert, &s.TLS.Key}
		s.GRPC.Descriptors, s.GRPC.Protos, s.GRPC.ImportPaths = slices.Clone(s.GRPC.Descriptors), slices.Clone(s.GRPC.Protos), slices.Clone(s.GRPC.ImportPaths)
		s.GraphQL.Operations = slices.Clone(s.GraphQL.Operations)
		names = append(names, &s.GraphQL.Schema)
		for _, list := range [...][]string{s.OpenAPI.Overlays, s.GRPC.Descriptors, s.GRPC.ImportPaths, s.GraphQL.Operations} {
			for i := range list {
				names = append(names, &list[i])
			}
		}
		if len(s.GRPC.ImportPaths) == 0 { // with import paths, sources lie below those
			for i := range s.GRPC.Protos {
				names = append(names, &s.GRPC.Protos[i])
			}
		}
		s.Sandbox.Read, s.Sandbox.Write = slices.Clone(s.Sandbox.Read), slices.Clone(s.Sandbox.Write)
		for _, list := range [...][]string{s.Sandbox.Read, s.Sandbox.Write} {
			for i := range list {
				if !strings.HasPrefix(list[i], "~") {
					names = append(names, &list[i])
				}
			}
		}
		for _, name := range names {
			*name = beside(folder, *name)
		}
		n.Specs[u.Name] = s
		n.Order = append(n.Order, u.Name)
	}
	return n
}

// beside is a relative name as one in folder. A URL stays, and so does what begins with a reference.
func beside(folder, name string) string {
	if name == "" || filepath.IsAbs(name) || strings.HasPrefix(name, "$") || strings.Contains(name, "://") {
		return name
	}
	return filepath.Join(folder, name)
}
