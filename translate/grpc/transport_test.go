package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/translate"
	"weir/translate/schema"
)

// silent is a connection that can be cut in the middle, so that neither side hears of it.
type silent struct {
	net.Conn
	cut chan struct{}
}

func (s silent) Write(b []byte) (int, error) {
	select {
	case <-s.cut:
		return len(b), nil
	default:
		return s.Conn.Write(b)
	}
}

// TestKeepalive: a connection that carries a call and falls silent is probed after the time that is configured, and given up when nothing comes back. The
// clock is that of the test.
func TestKeepalive(t *testing.T) {
	_, d := fixture(t, "greeter.proto")
	synctest.Test(t, func(t *testing.T) {
		for keepalive, within := range map[time.Duration]time.Duration{10 * time.Second: 35 * time.Second, 0: defaultKeepalive + 25*time.Second} {
			l := bufconn.Listen(1 << 20)
			began := make(chan struct{})
			s := rpc.NewServer(rpc.UnknownServiceHandler(func(_ any, stream rpc.ServerStream) error {
				close(began)
				<-stream.Context().Done()
				return nil
			}))
			go func() { _ = s.Serve(l) }()
			cut := make(chan struct{})
			o := translate.Options{Upstream: "api", Log: quiet(), Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := l.DialContext(ctx)
				return silent{c, cut}, err
			}}
			spec := Spec{GRPC: "http://greeter.test:1", Keepalive: keepalive}
			p, err := open(&spec, &o)
			if err != nil {
				t.Fatal(err)
			}
			a := &API{spec: spec, options: o, pool: p, stale: make(chan struct{}, 1)}
			b := &builder{description: d, spec: &spec, upstream: "api"}
			for _, m := range b.build() {
				if m.descriptor.Name() != "Mirror" {
					continue
				}
				x := exchange{api: a, method: m, types: newTypes(d), call: call(t, m.Name, "{}"), args: schema.Map(), timeout: time.Hour}
				go func() {
					<-began
					close(cut)
				}()
				begun := time.Now()
				r := x.run(t.Context())
				answer, err := r.Answer()
				if took := time.Since(begun); err != nil || took > within || took < within/2 || !strings.Contains(string(answer.Message.Data), "The connection to the API failed before an answer came.") {
					t.Errorf("keepalive %s: after %s, %s, %v", keepalive, took, answer.Message.Data, err)
				}
			}
			p.close()
			s.Stop()
		}
	})
}

// TestMessageSizeLimits: an answer is taken up to the bound and refused above it by the size that it announces; nothing more of it is read.
func TestMessageSizeLimits(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	for _, c := range []struct {
		most    int64
		padding int
		want    string
	}{
		{0, 15 << 20, ""}, {0, 17 << 20, "longer than 16.0 MiB"}, {1 << 20, 900 << 10, ""}, {1 << 20, 1 << 20, "longer than 1.0 MiB"}, {64 << 20, 40 << 20, ""},
	} {
		a := dial(t, s, Spec{Spec: translate.Spec{MaxBody: c.most, MaxText: 1 << 30}}, translate.Options{})
		got := run(t, a, "Greeter_Count", `{"to":1,"padding":`+schema.Int(c.padding).Text+`}`)
		if c.want == "" && len(got.Get("structuredContent").Array("messages")) != 1 || c.want != "" && (!got.True("isError") || !strings.Contains(textOf(got), c.want)) {
			t.Errorf("%d of %d bytes: %s", c.padding, c.most, schema.Shorten(textOf(got), 200))
		}
	}
}

// TestTrailers: response metadata that configuration names is told, of headers and of trailers, and no other.
func TestTrailers(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	for _, c := range []struct {
		names []string
		want  string
	}{{nil, ""}, {[]string{"x-request-id"}, "\nx-request-id: r-17"}, {[]string{"x-other", "x-request-id"}, "\nx-request-id: r-17"}, {[]string{"x-other"}, ""}} {
		a := dial(t, s, Spec{Trailers: c.names}, translate.Options{})
		if got := textOf(run(t, a, "Greeter_Hello", `{"firstName":"A"}`)); got != `{"message":"Hello A"}`+c.want {
			t.Errorf("%v: got %s", c.names, got)
		}
	}
}

// TestPlaintextOnlyWhenSaid: an address without a scheme means TLS, and a server without it is not spoken to in any other way.
func TestPlaintextOnlyWhenSaid(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	for address, plain := range map[string]bool{"http://" + s.Address: true, s.Address: false, "https://" + s.Address: false} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		a, err := New(ctx, Spec{GRPC: address}, translate.Options{Upstream: "api"})
		if (err == nil) != plain {
			t.Errorf("%s: %v", address, err)
		}
		if err == nil {
			_ = a.Close(t.Context())
		}
		cancel()
	}
	before := s.Reflects.Load()
	for _, spec := range []Spec{
		{GRPC: "http://" + s.Address, Replicas: []string{s.Address}}, {GRPC: s.Address, Replicas: []string{"http://" + s.Address}}, {GRPC: "ftp://" + s.Address}, {GRPC: "http://me:secret@" + s.Address}, {GRPC: "http://" + s.Address + "/path"},
	} {
		if _, err := New(t.Context(), spec, translate.Options{Upstream: "api"}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	if s.Reflects.Load() != before {
		t.Error("a server of a wrong configuration was asked")
	}
}

// connectServer is a server of connectrpc, which speaks Connect, gRPC-Web and gRPC, over TLS. only is the one content type that it takes; empty for all.
func connectServer(t *testing.T, only string) (address string, roots *tls.Config) {
	t.Helper()
	_, d := fixture(t, "greeter.proto")
	m := d.services[0].Methods().ByName("Hello")
	path := "/weir.test.Greeter/Hello"
	handler := connect.NewUnaryHandler(path, func(_ context.Context, r *connect.Request[dynamicpb.Message]) (*connect.Response[dynamicpb.Message], error) {
		out := dynamicpb.NewMessage(m.Output())
		name := r.Msg.Get(m.Input().Fields().ByName("first_name")).String()
		if name == "" {
			return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("no name"))
		}
		out.Set(m.Output().Fields().ByName("message"), protoreflect.ValueOfString("Hello "+name))
		return connect.NewResponse(out), nil
	}, connect.WithSchema(m), connect.WithRequestInitializer(func(_ connect.Spec, message any) error {
		in, ok := message.(*dynamicpb.Message)
		if ok {
			*in = *dynamicpb.NewMessage(m.Input())
		}
		return nil
	}))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if only != "" && !strings.HasPrefix(r.Header.Get("Content-Type"), only) || r.URL.Path != path {
			http.Error(w, "what is that?", http.StatusUnsupportedMediaType)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	transport, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the client has no transport")
	}
	return s.URL, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: transport.TLSClientConfig.RootCAs}
}

// TestConnectAndGRPCWeb: a server that speaks these two besides gRPC is called in gRPC. Of one that does not speak gRPC the error says so.
func TestConnectAndGRPCWeb(t *testing.T) {
	protos := []string{"grpctest/proto/greeter.proto"}
	address, roots := connectServer(t, "")
	a := dial(t, &server{}, Spec{GRPC: address, Protos: protos}, translate.Options{TLS: roots})
	if got := run(t, a, "Greeter_Hello", `{"firstName":"Ann"}`); textOf(got) != `{"message":"Hello Ann"}` {
		t.Errorf("got %s", got.JSON())
	}
	if got := run(t, a, "Greeter_Hello", `{}`); !got.True("isError") || !strings.Contains(textOf(got), "INVALID_ARGUMENT: no name") {
		t.Errorf("got %s", got.JSON())
	}
	for _, only := range []string{"application/proto", "application/grpc-web"} {
		address, roots := connectServer(t, only)
		a := dial(t, &server{}, Spec{GRPC: address, Protos: protos}, translate.Options{TLS: roots})
		if got := run(t, a, "Greeter_Hello", `{"firstName":"Ann"}`); !got.True("isError") || !strings.Contains(textOf(got), "does not speak gRPC") {
			t.Errorf("%s: got %s", only, got.JSON())
		}
		if _, err := tryDial(t, &server{}, Spec{GRPC: address}, translate.Options{TLS: roots}); err == nil || !strings.Contains(err.Error(), "does not speak gRPC") {
			t.Errorf("%s: got %v", only, err)
		}
	}
	older := httptest.NewServer(http.NotFoundHandler()) // HTTP/1.1, over which Connect and gRPC-Web may be spoken
	defer older.Close()
	b := dial(t, &server{}, Spec{GRPC: older.URL, Protos: protos}, translate.Options{})
	if got := run(t, b, "Greeter_Hello", `{}`); !got.True("isError") || !strings.Contains(textOf(got), "nothing was sent") {
		t.Errorf("got %s", got.JSON())
	}
	if _, err := tryDial(t, &server{}, Spec{GRPC: older.URL}, translate.Options{}); err == nil || !strings.Contains(err.Error(), "HTTP/1.1") {
		t.Errorf("got %v", err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
