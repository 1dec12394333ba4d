package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture compiles files of testdata/proto.
func fixture(t testing.TB, names ...string) (*descriptorpb.FileDescriptorSet, *description) {
	t.Helper()
	var protos []string
	for _, n := range names {
		protos = append(protos, filepath.Join("testdata", "proto", n))
	}
	s, err := openSources(protos, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	set, _, warnings, err := s.compile(context.Background())
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	d, err := link(set, nil)
	if err != nil || len(d.warnings) > 0 {
		t.Fatal(err, d.warnings)
	}
	return set, d
}

// ledger is what a server saw and did.
type ledger struct {
	mu       sync.Mutex
	calls    []string // full method and request as JSON
	metadata []metadata.MD
	canceled atomic.Int32 // calls whose context ended before they did
	sent     atomic.Int64 // bytes of messages that were given to the transport
	reflects atomic.Int32 // reflection streams
	ended    chan string  // methods of calls that ended
}

func (l *ledger) add(md metadata.MD, call string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, call)
	l.metadata = append(l.metadata, md)
}

func (l *ledger) seen() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// wait waits until a call of a method ended.
func (l *ledger) wait(t *testing.T, method string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case m := <-l.ended:
			if strings.HasSuffix(m, "/"+method) {
				return
			}
		case <-deadline:
			t.Fatalf("no call of %s ended", method)
		}
	}
}

// setup is a server and how it is told apart.
type setup struct {
	address    string // host:port
	reflect    string // v1, v1alpha, both or none
	health     grpc_health_v1.HealthCheckResponse_ServingStatus
	tls        *tls.Config
	files      []string                        // of testdata/proto
	reflection func(ctx context.Context) error // may refuse a reflection stream
}

// server is a real grpc-go server that answers the services of testdata/proto.
type server struct {
	*ledger
	address     string
	description *description
	set         *descriptorpb.FileDescriptorSet
	grpc        *grpc.Server
	stopped     chan struct{}
}

func (s *server) stop() {
	s.grpc.Stop()
	<-s.stopped
}

// serve starts a server.
func serve(t testing.TB, o setup) *server {
	t.Helper()
	if o.files == nil {
		o.files = []string{"greeter.proto", "edition.proto", "old.proto"}
	}
	s := &server{ledger: &ledger{ended: make(chan string, 10_000)}, stopped: make(chan struct{})}
	s.set, s.description = fixture(t, o.files...)
	options := []grpc.ServerOption{
		grpc.UnknownServiceHandler(s.handle), grpc.MaxRecvMsgSize(64 << 20), grpc.MaxSendMsgSize(256 << 20),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, i *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if strings.HasPrefix(i.FullMethod, "/grpc.reflection.") {
				s.reflects.Add(1)
				if o.reflection != nil {
					if err := o.reflection(stream.Context()); err != nil {
						return err
					}
				}
			}
			return next(srv, stream)
		}),
	}
	if o.tls != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(o.tls)))
	}
	s.grpc = grpc.NewServer(options...)
	described := reflection.ServerOptions{Services: offered{s.description}, DescriptorResolver: s.description.files}
	if o.reflect == "v1" || o.reflect == "both" {
		registerV1(s.grpc, described)
	}
	if o.reflect == "v1alpha" || o.reflect == "both" {
		registerAlpha(s.grpc, described)
	}
	if o.health != grpc_health_v1.HealthCheckResponse_UNKNOWN {
		h := health.NewServer()
		h.SetServingStatus("", o.health)
		grpc_health_v1.RegisterHealthServer(s.grpc, h)
	}
	if o.address == "" {
		o.address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.address)
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	go func() {
		defer close(s.stopped)
		_ = s.grpc.Serve(listener)
	}()
	t.Cleanup(s.stop)
	return s
}

// offered names the services of a description.
type offered struct{ d *description }

func (o offered) GetServiceInfo() map[string]grpc.ServiceInfo {
	all := make(map[string]grpc.ServiceInfo)
	for _, s := range o.d.services {
		all[string(s.FullName())] = grpc.ServiceInfo{}
	}
	return all
}

// handle answers every method of the description.
func (s *server) handle(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	defer func() { s.ended <- full }()
	service, name, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	d, err := s.description.files.FindDescriptorByName(protoreflect.FullName(service + "." + name))
	if err != nil {
		return status.Error(codes.Unimplemented, "there is no such method")
	}
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return status.Error(codes.Unimplemented, "that is no method")
	}
	md, _ := metadata.FromIncomingContext(stream.Context())
	in := dynamicpb.NewMessage(m.Input())
	if !m.IsStreamingClient() {
		if err := stream.RecvMsg(in); err != nil {
			return err
		}
		data, _ := newTypes(s.description).json(in)
		s.add(md, full+" "+string(data))
	}
	err = s.answer(m, in, stream)
	if stream.Context().Err() != nil {
		s.canceled.Add(1)
	}
	return err
}

func field(m protoreflect.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

func set(m protoreflect.Message, name string, v any) {
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(v))
}

func (s *server) answer(m protoreflect.MethodDescriptor, in *dynamicpb.Message, stream grpc.ServerStream) error {
	out := dynamicpb.NewMessage(m.Output())
	switch m.Name() {
	case "Hello", "Old":
		if field(in, "first_name").String() == "wait" {
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		stream.SetTrailer(metadata.Pairs("x-request-id", "r-17"))
		set(out, "message", "Hello "+field(in, "first_name").String())
		set(out, "number", field(in, "number").Int())
	case "Fail":
		return fail(in)
	case "Count":
		return s.count(in, m, stream)
	case "Sum":
		total := int64(0)
		for {
			n := dynamicpb.NewMessage(m.Input())
			if err := stream.RecvMsg(n); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
			total += field(n, "n").Int()
		}
		set(out, "n", total)
	case "Echo":
		for {
			n := dynamicpb.NewMessage(m.Input())
			if err := stream.RecvMsg(n); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(n); err != nil {
				return err
			}
		}
	case "Touch":
		set(out, "seconds", int64(1767323045))
	default:
		out = in
	}
	return stream.SendMsg(out)
}

func (s *server) count(in *dynamicpb.Message, m protoreflect.MethodDescriptor, stream grpc.ServerStream) error {
	for i := range field(in, "to").Int() {
		if after := field(in, "fail_after").Int(); after > 0 && i == after {
			return status.Error(codes.DataLoss, "no more numbers")
		}
		out := dynamicpb.NewMessage(m.Output())
		set(out, "n", int32(i+1))
		set(out, "padding", make([]byte, field(in, "padding").Int()))
		s.sent.Add(int64(proto.Size(out)))
		if err := stream.SendMsg(out); err != nil {
			return err
		}
	}
	if field(in, "wait").Bool() {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	return nil
}

// fail answers with the status that it was asked for, with all details that are told when asked for too.
func fail(in *dynamicpb.Message) error {
	st := status.New(codes.Code(field(in, "code").Int()), field(in, "message").String())
	if !field(in, "details").Bool() {
		return st.Err()
	}
	st, err := st.WithDetails(
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "fail_after", Description: "is too large"}, {Field: "code", Description: "is odd."}}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Second)},
		&errdetails.ErrorInfo{Reason: "TOO_ODD", Domain: "weir.test", Metadata: map[string]string{"limit": "7"}},
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "project:7", Description: "10 a day"}}},
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "TOS", Subject: "weir.test", Description: "not accepted"}}},
		&errdetails.ResourceInfo{ResourceType: "book", ResourceName: "b/7", Description: "is gone"},
		&errdetails.Help{Links: []*errdetails.Help_Link{{Description: "see", Url: "https://weir.test/help"}}},
		&errdetails.LocalizedMessage{Locale: "en", Message: "That is odd."},
		&errdetails.DebugInfo{StackEntries: []string{"secret stack"}},
	)
	if err != nil {
		return err
	}
	return st.Err()
}

// dial makes the API of a server.
func dial(t testing.TB, s *server, spec Spec, o translate.Options) *API {
	t.Helper()
	a, err := tryDial(t, s, spec, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func tryDial(t testing.TB, s *server, spec Spec, o translate.Options) (*API, error) {
	t.Helper()
	if spec.GRPC == "" {
		spec.GRPC = "http://" + s.address
	}
	if o.Upstream == "" {
		o.Upstream = "api"
	}
	a, err := New(t.Context(), spec, o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return a, nil
}

// request makes a call as the gateway does.
func call(t testing.TB, name, arguments string) *catalog.Call {
	t.Helper()
	text := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s,"_meta":{"progressToken":"p"}}}`, name, arguments)
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &catalog.Call{Method: "tools/call", Target: name, Message: m, Client: &catalog.Client{}, Owner: "me"}
}

func run(t testing.TB, a *API, name, arguments string) *schema.Value {
	t.Helper()
	v, err := runWith(t, t.Context(), a, call(t, name, arguments))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func runWith(t testing.TB, ctx context.Context, a *API, c *catalog.Call) (*schema.Value, error) { //nolint:revive // t stands first in every function here
	t.Helper()
	answer, err := a.Call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer answer.Release()
	v, err := schema.Parse(answer.Message.Result.Of(answer.Message.Data))
	if err != nil {
		t.Fatal(err)
	}
	return v, nil
}

// textOf joins the text blocks of a result.
func textOf(v *schema.Value) string {
	var parts []string
	for _, m := range v.Array("content") {
		if s := m.Value.GetText("text"); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "\n")
}

// item is a listed tool, nil for none of that name.
func item(t testing.TB, a *API, name string) *schema.Value {
	t.Helper()
	for _, raw := range a.Source().Tools {
		v, err := schema.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if v.GetText("name") == name {
			return v
		}
	}
	return nil
}
