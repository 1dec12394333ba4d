package grpc

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"weir/translate"
)

// TestReload: a description that can no longer be read, or has lost most of its services, leaves the tools in place with the reason, whichever way it
// comes; once it is mended it counts again.
func TestReload(t *testing.T) {
	set, _ := fixture(t, "greeter.proto")
	whole, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join("grpctest", "proto", "things.proto"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(t *testing.T, file string, data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(t *testing.T, a *API, before int, want string) {
		t.Helper()
		if a.Reload(t.Context()) || len(a.Source().Tools) != before || !strings.Contains(a.Report().Outdated, want) || (want == "") != (a.Report().Outdated == "") {
			t.Errorf("%d tools of %d, outdated since %q, want %q", len(a.Source().Tools), before, a.Report().Outdated, want)
		}
	}
	folder := t.TempDir()
	for name, c := range map[string]struct {
		spec   Spec
		file   string
		good   []byte
		broken map[string]string // what the file then has, and what is told
	}{
		"descriptor set": {Spec{Descriptors: []string{filepath.Join(folder, "a.binpb")}}, "a.binpb", whole, map[string]string{"x": "is no descriptor set", "": "is no descriptor set"}},
		"sources": {Spec{Protos: []string{filepath.Join(folder, "a.proto")}}, "a.proto", source, map[string]string{
			"syntax = ": "cannot be compiled", `syntax = "proto3"; import "gone.proto";`: "gone.proto", `syntax = "proto3"; message A {}`: "more than half of its tools: there were 4, now there are 0",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(folder, c.file)
			write(t, file, c.good)
			c.spec.GRPC = "http://127.0.0.1:1"
			a := dial(t, &server{}, c.spec, translate.Options{})
			before := len(a.Source().Tools)
			for broken, want := range c.broken {
				write(t, file, []byte(broken))
				check(t, a, before, want)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			check(t, a, before, c.file)
			write(t, file, c.good)
			check(t, a, before, "")
		})
	}
	t.Run("reflection", func(t *testing.T) {
		var fault atomic.Pointer[error]
		s := serve(t, setup{Reflect: "v1", Reflection: func(context.Context) error {
			if err := fault.Load(); err != nil {
				return *err
			}
			return nil
		}})
		a := dial(t, s, Spec{}, translate.Options{})
		before := len(a.Source().Tools)
		for _, code := range []codes.Code{codes.PermissionDenied, codes.Unimplemented, codes.Internal} {
			err := status.Error(code, "not today")
			fault.Store(&err)
			check(t, a, before, "not today")
		}
		fault.Store(nil)
		check(t, a, before, "")
		s.Stop()
		check(t, a, before, "cannot be asked for its description")
	})
}
