// Command 03-grpc runs the example with one command: it is the gRPC server, and it builds weir and runs weir serve (or what its arguments say)
// with the example's configuration. Run it in the root of the repository.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/examples/internal/launch"
)

//go:embed tides.proto
var source string

// harbour answers the methods of tides.proto. It works on messages that are made at run time, so that the example needs no generated code.
type harbour struct {
	service protoreflect.ServiceDescriptor
}

// GetServiceInfo names the service for reflection.
func (h *harbour) GetServiceInfo() map[string]grpc.ServiceInfo {
	return map[string]grpc.ServiceInfo{string(h.service.FullName()): {}}
}

// send sends a message that is written as JSON.
func send(stream grpc.ServerStream, d protoreflect.MessageDescriptor, json string) error {
	m := dynamicpb.NewMessage(d)
	if err := protojson.Unmarshal([]byte(json), m); err != nil {
		return err
	}
	return stream.SendMsg(m)
}

// handle answers one call.
func (h *harbour) handle(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	m := h.service.Methods().ByName(protoreflect.Name(full[strings.LastIndexByte(full, '/')+1:]))
	if m == nil {
		return status.Error(codes.Unimplemented, "there is no such method")
	}
	in := dynamicpb.NewMessage(m.Input())
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	if port := in.Get(m.Input().Fields().ByName("port")).String(); port != "Brest" {
		return status.Errorf(codes.NotFound, "there is no port %q", port)
	}
	switch m.Name() {
	case "Next":
		tides := `{"kind":"HIGH","in":"5400s","metres":6.9},{"kind":"LOW","in":"27900s","metres":1.4}`
		if in.Get(m.Input().Fields().ByName("kind")).Enum() == 1 {
			tides, _, _ = strings.Cut(tides, ",{")
		}
		return send(stream, m.Output(), `{"tides":[`+tides+`]}`)
	case "Watch":
		for level := 3000; stream.Context().Err() == nil; level += 20 {
			if err := send(stream, m.Output(), fmt.Sprintf(`{"millimetres":"%d"}`, level)); err != nil {
				return err
			}
			time.Sleep(50 * time.Millisecond)
		}
		return stream.Context().Err()
	default:
		return stream.SendMsg(in)
	}
}

// start serves the API on the address that weir.yaml reads too.
func start(ctx context.Context, _ string) (stop func(), err error) {
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{"tides.proto": source})}),
		SourceInfoMode: protocompile.SourceInfoStandard, // reflection tells the comments
	}
	files, err := c.Compile(ctx, "tides.proto")
	if err != nil {
		return nil, err
	}
	var described protodesc.Resolver = files.AsResolver()
	h := &harbour{service: files[0].Services().Get(0)}
	s := grpc.NewServer(grpc.UnknownServiceHandler(h.handle))
	reflectionpb.RegisterServerReflectionServer(s, reflection.NewServerV1(reflection.ServerOptions{Services: h, DescriptorResolver: described}))
	return nil, launch.Serve(ctx, launch.Address("TIDES_URL", "127.0.0.1:7803"), s.Serve)
}

func main() {
	launch.Main(launch.Example{Name: "03-grpc", Start: start})
}
