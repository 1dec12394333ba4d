package grpc

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/grpc/grpctest"
	"weir/translate/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture compiles files of grpctest/proto.
func fixture(t testing.TB, names ...string) (*descriptorpb.FileDescriptorSet, *description) {
	t.Helper()
	var protos []string
	for _, n := range names {
		protos = append(protos, filepath.Join("grpctest", "proto", n))
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

// setup and server are short for what tests use most.
type (
	setup  = grpctest.Setup
	server = grpctest.Server
)

func serve(t testing.TB, o setup) *server { t.Helper(); return grpctest.Serve(t, o) }

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
		spec.GRPC = "http://" + s.Address
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
