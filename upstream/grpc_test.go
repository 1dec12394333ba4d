package upstream

import (
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"

	described "weir/translate/grpc"
	"weir/translate/grpc/grpctest"
)

// TestGRPC: a gRPC server by reflection is an upstream, through the guarded way out.
func TestGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(s, grpc_testing.UnimplementedTestServiceServer{})
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(listener)
	}()
	t.Cleanup(func() { s.Stop(); <-ended })
	set := run(t, Options{Namespace: space(map[string]Spec{"test": {GRPC: described.Spec{GRPC: "http://" + listener.Addr().String()}}})})
	settle(t, set)
	st := statusOf(set, "test")
	if st.State != Ready || st.Transport != "grpc" || st.Report == nil || st.Report.Tools != 6 {
		t.Fatalf("%+v", st)
	}
	a, err := callTool(t, set, "test__TestService_EmptyCall")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	if text := string(a.Message.Result.Of(a.Message.Data)); !strings.Contains(text, "UNIMPLEMENTED") || !strings.Contains(text, `"isError":true`) {
		t.Errorf("got %s", text)
	}
}

// TestGRPCHealth: a gRPC server that says it does not serve is down, whatever else it answers.
func TestGRPCHealth(t *testing.T) {
	for status, down := range map[grpc_health_v1.HealthCheckResponse_ServingStatus]bool{
		grpc_health_v1.HealthCheckResponse_SERVING: false, grpc_health_v1.HealthCheckResponse_NOT_SERVING: true, grpc_health_v1.HealthCheckResponse_UNKNOWN: false,
	} {
		s := grpctest.Serve(t, grpctest.Setup{Reflect: "v1", Health: status})
		set := run(t, Options{Namespace: space(map[string]Spec{"test": {GRPC: described.Spec{GRPC: "http://" + s.Address}, Probe: 5 * time.Millisecond}})})
		settle(t, set)
		until := time.Now().Add(200 * time.Millisecond)
		if down {
			until = time.Now().Add(10 * time.Second)
		}
		said := false
		for !said && time.Now().Before(until) {
			said = strings.Contains(statusOf(set, "test").Reason, "NOT_SERVING")
			time.Sleep(time.Millisecond)
		}
		if said != down {
			t.Errorf("%s: %+v", status, statusOf(set, "test"))
		}
	}
}
