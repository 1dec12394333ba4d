package grpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

const (
	reflectionTimeout = 30 * time.Second
	reflectV1         = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	// reflectAlpha is the name before the protocol was settled. Its messages are the same on the wire.
	reflectAlpha = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
)

// reflect asks a server for its services and all files that they need, under the name of the protocol that it knows.
func reflect(ctx context.Context, conn grpc.ClientConnInterface) (set *descriptorpb.FileDescriptorSet, services []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, reflectionTimeout)
	defer cancel()
	set, services, err = reflectAs(ctx, conn, reflectV1)
	if err == nil || ctx.Err() != nil || !unknownName(err) {
		return set, services, err
	}
	older, names, again := reflectAs(ctx, conn, reflectAlpha)
	if again != nil && !unknownName(again) {
		return nil, nil, again
	}
	if again != nil {
		return nil, nil, err
	}
	return older, names, nil
}

// unknownName reports whether a server may not know a method: servers say Unimplemented, proxies before them answer 404 or nothing useful.
func unknownName(err error) bool {
	switch status.Code(err) {
	case codes.Unimplemented, codes.Unavailable, codes.NotFound, codes.Unknown, codes.Internal:
		return true
	default:
		return false
	}
}

// asker is one reflection stream: questions and answers in turn.
type asker struct {
	stream grpc.ClientStream
	size   int
	byPath map[string]*descriptorpb.FileDescriptorProto
	order  []string
}

func reflectAs(ctx context.Context, conn grpc.ClientConnInterface, method string) (*descriptorpb.FileDescriptorSet, []string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return nil, nil, err
	}
	a := &asker{stream: stream, byPath: make(map[string]*descriptorpb.FileDescriptorProto)}
	services, err := a.services()
	if err != nil {
		return nil, nil, err
	}
	var missing []string
	for _, s := range services {
		if err := a.symbol(s); err != nil {
			if !errors.Is(err, errNoAnswer) {
				return nil, nil, err
			}
			missing = append(missing, s) // named, not described: offer warns about it
		}
	}
	if err := a.imports(); err != nil {
		return nil, nil, err
	}
	if len(missing) == len(services) && len(services) > 0 {
		return nil, nil, fmt.Errorf("the server describes none of its %d services", len(services))
	}
	_ = stream.CloseSend()
	set := &descriptorpb.FileDescriptorSet{}
	for _, path := range a.order {
		set.File = append(set.File, a.byPath[path])
	}
	return set, services, nil
}

// errNoAnswer is an answer that says that the server does not have what was asked for.
var errNoAnswer = errors.New("the server does not describe it")

func (a *asker) ask(q *reflection.ServerReflectionRequest) (*reflection.ServerReflectionResponse, error) {
	if err := a.stream.SendMsg(q); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	r := new(reflection.ServerReflectionResponse)
	if err := a.stream.RecvMsg(r); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, status.Error(codes.Unavailable, "the server ended the reflection stream early")
		}
		return nil, err
	}
	if a.size += proto.Size(r); a.size > maxDescriptionBytes {
		return nil, fmt.Errorf("the description is larger than %d MiB", maxDescriptionBytes>>20)
	}
	if e := r.GetErrorResponse(); e != nil {
		return nil, fmt.Errorf("%w: %s", errNoAnswer, e.GetErrorMessage())
	}
	return r, nil
}

// services lists the services in order of name.
func (a *asker) services() ([]string, error) {
	r, err := a.ask(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{ListServices: "*"}})
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, s := range r.GetListServicesResponse().GetService() {
		if name := s.GetName(); !strings.HasPrefix(name, "grpc.reflection.") && !strings.HasPrefix(name, "grpc.health.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// symbol fetches the file that declares a name, unless it is there.
func (a *asker) symbol(name string) error {
	for _, f := range a.byPath {
		for _, s := range f.GetService() {
			if strings.TrimPrefix(f.GetPackage()+"."+s.GetName(), ".") == name {
				return nil
			}
		}
	}
	r, err := a.ask(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}})
	if err != nil {
		return err
	}
	return a.take(r)
}

// take keeps the files of an answer.
func (a *asker) take(r *reflection.ServerReflectionResponse) error {
	for _, data := range r.GetFileDescriptorResponse().GetFileDescriptorProto() {
		f := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(data, f); err != nil {
			return errors.New("the server sent a descriptor that cannot be read")
		}
		if _, ok := a.byPath[f.GetName()]; !ok {
			a.byPath[f.GetName()] = f
			a.order = append(a.order, f.GetName())
		}
	}
	if len(a.order) > maxFiles {
		return fmt.Errorf("the description has more than %d files", maxFiles)
	}
	return nil
}

// imports fetches the files that others import until none is missing. One that the server does not have is left to linking.
func (a *asker) imports() error {
	asked := make(map[string]bool)
	for i := 0; i < len(a.order); i++ {
		f := a.byPath[a.order[i]]
		for _, path := range append(slices.Clone(f.GetDependency()), f.GetOptionDependency()...) {
			if _, ok := a.byPath[path]; ok || asked[path] {
				continue
			}
			asked[path] = true
			r, err := a.ask(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_FileByFilename{FileByFilename: path}})
			if err == nil {
				err = a.take(r)
			}
			if err != nil && !errors.Is(err, errNoAnswer) {
				return err
			}
		}
	}
	return nil
}
