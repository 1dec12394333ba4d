package grpctest

import (
	"bytes"
	"context"
	"crypto/tls"
	"embed"
	"encoding/json"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	v1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

//go:embed proto/*.proto
var sources embed.FS

// Setup is how one server differs from another.
type Setup struct {
	// Address is host:port; empty takes a free port.
	Address string
	// Reflect is the protocol of reflection: v1, v1alpha or both; empty describes nothing.
	Reflect string
	// Health is what the health service answers; with UNKNOWN there is no such service.
	Health grpc_health_v1.HealthCheckResponse_ServingStatus
	TLS    *tls.Config // nil for none
	// Files are those of proto/ whose services are answered; empty means greeter, edition and old.
	Files []string
	// Texts are further files, by name.
	Texts map[string]string
	// Answer answers unary methods, named without their service, in JSON, and keeps the ledger: the server has none then. nil answers as the
	// files say.
	Answer func(ctx context.Context, method, request string) (reply string, err error)
	// Reflection is asked for each question about the description; its error refuses it. May be nil.
	Reflection func(ctx context.Context) error
	// Refuse is asked with the metadata of each call; its error is the answer. May be nil.
	Refuse func(metadata.MD) error
}

// Server answers the services of some files. Safe for concurrent use.
type Server struct {
	Address  string
	Canceled atomic.Int32 // calls whose context ended before they did
	Sent     atomic.Int64 // bytes of messages that were given to the transport
	Reflects atomic.Int32 // reflection streams

	files    atomic.Pointer[protoregistry.Files]
	services []string
	grpc     *grpc.Server
	stopped  chan struct{}
	ended    chan string // methods of calls that ended
	refuse   func(metadata.MD) error
	reply    func(ctx context.Context, method, request string) (reply string, err error)
	mu       sync.Mutex
	calls    []string
	metadata []metadata.MD
}

// Serve starts a server that ends with the test.
func Serve(t testing.TB, o Setup) *Server {
	t.Helper()
	if o.Files == nil {
		o.Files = []string{"greeter.proto", "edition.proto", "old.proto"}
	}
	s := &Server{ended: make(chan string, 10_000), stopped: make(chan struct{}), refuse: o.Refuse, reply: o.Answer}
	s.Replace(t, o.Files, o.Texts)
	for _, name := range o.Files {
		f, err := s.FindFileByPath(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.Services().Len() {
			s.services = append(s.services, string(f.Services().Get(i).FullName()))
		}
	}
	s.grpc = grpc.NewServer(s.options(&o)...)
	described := reflection.ServerOptions{Services: s, DescriptorResolver: s}
	if o.Reflect == "v1" || o.Reflect == "both" {
		v1.RegisterServerReflectionServer(s.grpc, reflection.NewServerV1(described))
	}
	if o.Reflect == "v1alpha" || o.Reflect == "both" {
		v1alpha.RegisterServerReflectionServer(s.grpc, reflection.NewServer(described))
	}
	if o.Health != grpc_health_v1.HealthCheckResponse_UNKNOWN {
		h := health.NewServer()
		h.SetServingStatus("", o.Health)
		grpc_health_v1.RegisterHealthServer(s.grpc, h)
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", o.Address)
	if err != nil {
		t.Fatal(err)
	}
	s.Address = listener.Addr().String()
	go func() {
		defer close(s.stopped)
		_ = s.grpc.Serve(listener) // Stop ends it
	}()
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) options(o *Setup) []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.UnknownServiceHandler(s.handle), grpc.MaxRecvMsgSize(64 << 20), grpc.MaxSendMsgSize(256 << 20),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, i *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if strings.HasPrefix(i.FullMethod, "/grpc.reflection.") {
				s.Reflects.Add(1)
				if o.Reflection != nil {
					if err := o.Reflection(stream.Context()); err != nil {
						return err
					}
				}
			}
			return next(srv, stream)
		}),
	}
	if o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	return options
}

// compile reads the files and all that they import.
func (s *Server) compile(t testing.TB, names []string, texts map[string]string) *protoregistry.Files {
	t.Helper()
	c := protocompile.Compiler{
		SourceInfoMode: protocompile.SourceInfoStandard,
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: func(name string) (io.ReadCloser, error) {
				if text, ok := texts[name]; ok {
					return io.NopCloser(strings.NewReader(text)), nil
				}
				return sources.Open("proto/" + name)
			},
		}),
	}
	files, err := c.Compile(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	all := new(protoregistry.Files)
	var add func(f protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if _, err := all.FindFileByPath(f.Path()); err == nil {
			return
		}
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		if err := all.RegisterFile(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		add(f)
	}
	return all
}

// Replace makes the server describe and answer other files from now on, of the same services.
func (s *Server) Replace(t testing.TB, names []string, texts map[string]string) {
	t.Helper()
	s.files.Store(s.compile(t, names, texts))
}

// FindFileByPath finds a file for reflection.
func (s *Server) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	return s.files.Load().FindFileByPath(path)
}

// FindDescriptorByName finds what a file describes for reflection.
func (s *Server) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	return s.files.Load().FindDescriptorByName(name)
}

// GetServiceInfo names the services for reflection.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo {
	all := make(map[string]grpc.ServiceInfo, len(s.services))
	for _, name := range s.services {
		all[name] = grpc.ServiceInfo{}
	}
	return all
}

// Stop ends the server and its connections.
func (s *Server) Stop() {
	s.grpc.Stop()
	<-s.stopped
}

// Calls are the calls that reached the server: the full method and the request as JSON, which is left out of streams of requests.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Metadata is that of the calls.
func (s *Server) Metadata() []metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.metadata)
}

// Wait waits until a call of a method, named without its service, ended.
func (s *Server) Wait(t testing.TB, method string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case m := <-s.ended:
			if strings.HasSuffix(m, "/"+method) {
				return
			}
		case <-deadline:
			t.Fatalf("no call of %s ended", method)
		}
	}
}

// handle answers every method of the files.
func (s *Server) handle(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	defer func() {
		select {
		case s.ended <- full:
		default: // nobody waits
		}
	}()
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(full, "/"), "/", "."))
	d, err := s.FindDescriptorByName(name)
	m, ok := d.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		s.note(stream, full)
		return status.Error(codes.Unimplemented, "there is no such method")
	}
	in := dynamicpb.NewMessage(m.Input())
	if m.IsStreamingClient() {
		s.note(stream, full)
	} else {
		if err := stream.RecvMsg(in); err != nil {
			return err
		}
		s.note(stream, full+" "+s.json(in))
	}
	if s.refuse != nil {
		md, _ := metadata.FromIncomingContext(stream.Context())
		if err := s.refuse(md); err != nil {
			return err
		}
	}
	if s.reply != nil {
		err = s.replyTo(m, in, stream)
	} else {
		err = s.answer(m, in, stream)
	}
	if stream.Context().Err() != nil {
		s.Canceled.Add(1)
	}
	return err
}

// replyTo sends what the set-up answers.
func (s *Server) replyTo(m protoreflect.MethodDescriptor, in *dynamicpb.Message, stream grpc.ServerStream) error {
	text, err := s.reply(stream.Context(), string(m.Name()), s.json(in))
	if err != nil {
		return err
	}
	out := dynamicpb.NewMessage(m.Output())
	if err := protojson.Unmarshal([]byte(text), out); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return stream.SendMsg(out)
}

func (s *Server) note(stream grpc.ServerStream, call string) {
	if s.reply != nil {
		return
	}
	md, _ := metadata.FromIncomingContext(stream.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	s.metadata = append(s.metadata, md)
}

// json writes a message without the spaces that protojson varies.
func (s *Server) json(m *dynamicpb.Message) string {
	data, err := protojson.MarshalOptions{Resolver: dynamicpb.NewTypes(s.files.Load())}.Marshal(m)
	if err != nil {
		return err.Error()
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return err.Error()
	}
	return b.String()
}
