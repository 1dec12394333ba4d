package grpc

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	v1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"weir/translate"
	"weir/translate/schema"
)

// olderReflection: the name of the protocol before it was settled is tried when the newer one is not known, in whatever way that is said: as the answer
// to the call or in the trailers behind headers, by the server, or by a proxy that says 404.
func olderReflection(t *testing.T) {
	for _, code := range []codes.Code{codes.Unimplemented, codes.Unavailable, codes.NotFound, codes.Unknown, codes.Internal} {
		for _, late := range []bool{false, true} {
			first := true
			s := serve(t, setup{Reflect: "both", Reflection: func(ctx context.Context) error {
				defer func() { first = false }()
				if !first {
					return nil
				}
				if late {
					if err := rpc.SendHeader(ctx, metadata.Pairs("a", "b")); err != nil {
						return err
					}
				}
				return status.Error(code, "404")
			}})
			if _, err := tryDial(t, s, Spec{}, translate.Options{}); err != nil || s.Reflects.Load() != 2 {
				t.Errorf("%v, in trailers %t: %v after %d questions", code, late, err, s.Reflects.Load())
			}
		}
	}
	first := true // what says that nobody may ask is the answer
	s := serve(t, setup{Reflect: "both", Reflection: func(context.Context) error {
		defer func() { first = false }()
		if first {
			return status.Error(codes.PermissionDenied, "nobody may ask")
		}
		return nil
	}})
	if _, err := tryDial(t, s, Spec{}, translate.Options{}); err == nil || !strings.Contains(err.Error(), "nobody may ask") {
		t.Errorf("got %v", err)
	}
	if got := behindProxy(t); !strings.HasPrefix(got, "Greeter_Hello ") {
		t.Errorf("behind a proxy: %s", got)
	}
}

// behindProxy names the tools of a server that knows the older name behind a proxy that answers 404 to what it does not know.
func behindProxy(t *testing.T) string {
	t.Helper()
	set, _ := fixture(t, "greeter.proto")
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer()
	v1alpha.RegisterServerReflectionServer(s, reflection.NewServer(reflection.ServerOptions{Services: describedServices{"weir.test.Greeter"}, DescriptorResolver: files}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == reflectV1 {
			http.NotFound(w, r)
			return
		}
		s.ServeHTTP(w, r)
	})}
	proxy.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = proxy.Serve(l) // Close ends it
	}()
	t.Cleanup(func() {
		_ = proxy.Close()
		<-ended
		s.Stop()
	})
	a, err := New(t.Context(), Spec{GRPC: "http://" + l.Addr().String()}, translate.Options{Upstream: "api"})
	if err != nil {
		return err.Error()
	}
	defer func() { _ = a.Close(t.Context()) }()
	var names strings.Builder
	for _, raw := range a.Source().Tools {
		v, err := schema.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		names.WriteString(v.GetText("name") + " ")
	}
	return names.String()
}

// longNumbers: what is published is a text with a pattern; digits that a float cannot hold arrive as they are, in both directions.
func longNumbers(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{}, translate.Options{})
	tools, _ := sourceTools(t, `syntax = "proto3"; package p; import "google/protobuf/wrappers.proto"; service S { rpc M(In) returns (In); }
		message In { int64 a = 1; uint64 b = 2; sfixed64 c = 3; fixed64 d = 4; google.protobuf.UInt64Value e = 5; repeated sint64 f = 6; map<string, uint64> g = 7; }`)
	for _, want := range []string{
		`"a":{"type":"string","pattern":"^-?[0-9]+$"}`, `"b":{"type":"string","pattern":"^[0-9]+$"}`, `"c":{"type":"string","pattern":"^-?[0-9]+$"}`, `"d":{"type":"string","pattern":"^[0-9]+$"}`,
		`"e":{"type":"string","pattern":"^[0-9]+$"}`, `"f":{"type":"array","items":{"type":"string","pattern":"^-?[0-9]+$"}}`, `"additionalProperties":{"type":"string","pattern":"^[0-9]+$"}`,
	} {
		if !strings.Contains(string(tools["S_M"].Raw), want) {
			t.Errorf("%s lacks %s", tools["S_M"].Raw, want)
		}
	}
	for _, given := range []string{`9007199254740993`, `"9007199254740993"`, `9007199254740993.0`, `9007199254740993e0`} {
		before := len(s.Calls())
		got := run(t, a, "Greeter_Mirror", `{"fInt64":`+given+`,"rUint64":[18446744073709551615],"mInt64":{"9007199254740993":{"fSint64":-9007199254740993}}}`)
		const want = `{"fInt64":"9007199254740993","rUint64":["18446744073709551615"],"mInt64":{"9007199254740993":{"fSint64":"-9007199254740993"}}}`
		if got.Get("structuredContent").JSON() != want || len(s.Calls()) != before+1 || s.Calls()[before] != "/weir.test.Greeter/Mirror "+want {
			t.Errorf("%s: got %s; the server saw %v", given, got.JSON(), s.Calls()[before:])
		}
	}
}

// errorDetails: what a status brings of types of the API is told as JSON, wherever they are declared, and what nobody describes as its bytes.
func errorDetails(t *testing.T) {
	_, d := fixture(t, "greeter.proto", "edition.proto")
	number, err := newTypes(d).FindMessageByName("weir.test.Number")
	if err != nil {
		t.Fatal(err)
	}
	m := number.New()
	if err := proto.Unmarshal(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), protowire.EncodeZigZag(7)), m.Interface()); err != nil {
		t.Fatal(err)
	}
	own, err := anypb.New(m.Interface())
	if err != nil {
		t.Fatal(err)
	}
	inner, err := anypb.New(durationpb.New(1500000000))
	if err != nil {
		t.Fatal(err)
	}
	st := status.New(codes.Aborted, "no").Proto()
	st.Details = []*anypb.Any{own, inner, {TypeUrl: "type.googleapis.com/nobody.Knows", Value: []byte{8, 1}}, {TypeUrl: "type.googleapis.com/google.rpc.BadRequest", Value: []byte{255}}, {}}
	x := exchange{types: newTypes(d), method: &method{}}
	want := `The API answered ABORTED: no. {"@type":"type.googleapis.com/weir.test.Number","n":"7"} {"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.500s"}` +
		` {"@type":"type.googleapis.com/nobody.Knows","value":"CAE="} {} Read the current state before another try.`
	if got := x.said(status.FromProto(st)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// unknownValues: numbers that an enum does not know, and floats that are no numbers, in every place of a reply.
func unknownValues(t *testing.T) {
	m, types := mirror(t)
	tag := func(b []byte, n protowire.Number, kind protowire.Type) []byte { return protowire.AppendTag(b, n, kind) }
	data := protowire.AppendFixed64(tag(nil, 1, protowire.Fixed64Type), 0x7ff8000000000001)          // f_double
	data = protowire.AppendFixed32(tag(data, 2, protowire.Fixed32Type), 0xff800000)                  // f_float
	data = protowire.AppendVarint(tag(data, 16, protowire.VarintType), 99)                           // f_enum
	data = protowire.AppendVarint(tag(data, 56, protowire.VarintType), 77)                           // r_enum
	data = protowire.AppendVarint(tag(data, 56, protowire.VarintType), 1)                            // r_enum
	entry := protowire.AppendVarint(tag(nil, 1, protowire.VarintType), 1)                            // m_bool, key
	data = protowire.AppendBytes(tag(data, 64, protowire.BytesType), append(tag(entry, 2, 0), 0x63)) // value
	reply := dynamicpb.NewMessage(m.descriptor.Output())
	if err := proto.Unmarshal(data, reply); err != nil {
		t.Fatal(err)
	}
	text, err := types.json(reply)
	const want = `{"fDouble":"NaN","fFloat":"-Infinity","fEnum":99,"rEnum":[77,"RED"],"mBool":{"true":99}}`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
	v, err := schema.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, whole := schema.Fit(v, m.Output.Schema); !whole {
		t.Errorf("%s does not fit %s", text, m.Output.Schema.JSON())
	}
}

// streamedRequests: a stream of requests is the argument messages; a method that streams in both directions is no tool until configuration says so.
func streamedRequests(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{}, translate.Options{})
	if item(t, a, "Greeter_Echo") != nil {
		t.Error("both directions are offered")
	}
	warned := false
	for _, w := range a.Report().Warnings {
		warned = warned || w.Operation == "weir.test.Greeter/Echo" && strings.Contains(w.Message, "bidi: true offers it")
	}
	if !warned {
		t.Errorf("warnings %+v", a.Report().Warnings)
	}
	for arguments, want := range map[string]string{
		`{"messages":[{"n":1},{"n":"9007199254740992"}]}`: `{"n":"9007199254740993"}`, `{"messages":[]}`: `{}`, `{"messages":{"n":2}}`: "", `{"messages":[{"x":1}]}`: "", `{}`: "",
	} {
		before := len(s.Calls())
		got := run(t, a, "Greeter_Sum", arguments)
		if want == "" {
			if !got.True("isError") || len(s.Calls()) != before {
				t.Errorf("%s: got %s", arguments, got.JSON())
			}
			continue
		}
		if got.Get("structuredContent").JSON() != want {
			t.Errorf("%s: got %s", arguments, got.JSON())
		}
	}
	both := dial(t, s, Spec{Bidi: true, MaxMessages: 2}, translate.Options{})
	got := run(t, both, "Greeter_Echo", `{"messages":[{"n":1},{"n":2},{"n":3}]}`)
	if want := `{"messages":[{"n":"1"},{"n":"2"}],"complete":false,"stopped":"the limit of 2 messages is reached"}`; got.Get("structuredContent").JSON() != want {
		t.Errorf("got %s", got.JSON())
	}
}
