package grpc

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/translate"
)

// cpu is the time that this process has used.
func cpu(b testing.TB) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serving answers a small message.
type serving struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (serving) UnaryCall(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Username: "somebody", OauthScope: "some scope"}, nil
}

// BenchmarkCall is a call of a small unary method, by hand with generated code and as a tool. Both go through the same kind of connection to the
// same server, in this process; the difference of cpu-µs is the cost of the translation.
func BenchmarkCall(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(s, serving{})
	reflection.Register(s)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(listener)
	}()
	defer func() { s.Stop(); <-ended }()
	measure := func(b *testing.B, f func()) {
		b.Helper()
		f()
		b.ReportAllocs()
		start := cpu(b)
		for b.Loop() {
			f()
		}
		b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/float64(b.N)/1000, "cpu-µs/op")
	}
	b.Run("by hand", func(b *testing.B) {
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		client := grpc_testing.NewTestServiceClient(conn)
		measure(b, func() {
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			if _, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{ResponseSize: 7, FillUsername: true}); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("tool", func(b *testing.B) {
		a, err := New(b.Context(), Spec{GRPC: "http://" + listener.Addr().String()}, translate.Options{Upstream: "api"})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = a.Close(context.Background()) }()
		c := call(b, "TestService_UnaryCall", `{"responseSize":7,"fillUsername":true}`)
		measure(b, func() {
			answer, err := a.Call(b.Context(), c)
			if err != nil {
				b.Fatal(err)
			}
			answer.Release()
		})
		if got := run(b, a, "TestService_UnaryCall", `{}`); textOf(got) != `{"username":"somebody","oauthScope":"some scope"}` {
			b.Fatal(got.JSON())
		}
	})
}

// BenchmarkLarge reads an API of 10,000 messages with 2,000 methods: link, tools, published schemas.
func BenchmarkLarge(b *testing.B) {
	set := large(10_000, 2_000)
	b.ReportAllocs()
	start := cpu(b)
	tools := 0
	for b.Loop() {
		d, err := link(set, nil)
		if err != nil {
			b.Fatal(err)
		}
		methods := (&builder{description: d, spec: &Spec{}, upstream: "api"}).build()
		tools = len(methods)
	}
	b.ReportMetric(float64((cpu(b)-start).Milliseconds())/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(tools), "tools")
}

// TestLargeDescriptionIsReady: 10,000 messages and 1,000 methods become tools within a second of processor time.
func TestLargeDescriptionIsReady(t *testing.T) {
	messages, methods := 10_000, 1_000
	if testing.Short() { // as with the race detector, which takes the time
		messages, methods = 1_000, 100
	}
	best := time.Hour
	for range 3 {
		set := large(messages, methods)
		before := cpu(t)
		d, err := link(set, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := len((&builder{description: d, spec: &Spec{}, upstream: "api"}).build()); n != methods {
			t.Fatalf("%d tools", n)
		}
		best = min(best, cpu(t)-before)
	}
	t.Logf("%d messages, %d methods: %v of processor time", messages, methods, best)
	if best > time.Second {
		t.Errorf("it took %v", best)
	}
}

// large makes a description with messages that refer to each other.
func large(messages, methods int) *descriptorpb.FileDescriptorSet {
	f := &descriptorpb.FileDescriptorProto{Name: new("large.proto"), Package: new("large.v1"), Syntax: new("proto3")}
	kinds := []descriptorpb.FieldDescriptorProto_Type{
		descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_BOOL, descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	}
	for i := range messages {
		m := &descriptorpb.DescriptorProto{Name: new(fmt.Sprintf("Message%d", i))}
		for j, k := range kinds {
			m.Field = append(m.Field, &descriptorpb.FieldDescriptorProto{
				Name: new(fmt.Sprintf("some_field_%d", j)), Number: new(int32(j + 1)), Type: k.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			})
		}
		for j := range 3 {
			m.Field = append(m.Field, &descriptorpb.FieldDescriptorProto{
				Name: new(fmt.Sprintf("part_%d", j)), Number: new(int32(j + 10)), Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(),
				TypeName: new(fmt.Sprintf(".large.v1.Message%d", (i*7+j*13+1)%messages)),
			})
		}
		f.MessageType = append(f.MessageType, m)
	}
	service := &descriptorpb.ServiceDescriptorProto{Name: new("Large")}
	for i := range methods {
		service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
			Name: new(fmt.Sprintf("Method%d", i)), InputType: new(fmt.Sprintf(".large.v1.Message%d", i*5%messages)), OutputType: new(fmt.Sprintf(".large.v1.Message%d", (i*5+1)%messages)),
		})
	}
	f.Service = append(f.Service, service)
	return &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{f}}
}
