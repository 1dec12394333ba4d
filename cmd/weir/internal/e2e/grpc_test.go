package e2e

import (
	"encoding/base64"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"

	"weir/translate/grpc/grpctest"
)

// A gRPC server is an upstream like any other, for clients of both eras: one that describes itself by reflection, in both versions of it, and one
// that says nothing and is known from its sources, through the built program. The matrix has each of them in each row.
func TestGRPC(t *testing.T) {
	protos, err := filepath.Abs(filepath.Join(root, "translate", "grpc", "grpctest", "proto"))
	must(t, err)
	m := apiMatrix{held: map[string]bool{}, servers: []string{"reflection v1", "reflection v1alpha", "no reflection"}, features: []string{
		"unary", "cancellation", "deadline", "stream limits", "status details", "partial data", "upload", "subscription",
		"unknown method", "100 MB stream", "wrong arguments",
	}}
	for name, c := range map[string]struct {
		setup grpctest.Setup
		more  object // configuration
	}{
		"reflection v1":      {setup: grpctest.Setup{Reflect: "v1", Health: grpc_health_v1.HealthCheckResponse_SERVING}},
		"reflection v1alpha": {setup: grpctest.Setup{Reflect: "v1alpha"}},
		"no reflection":      {more: object{"protos": []string{filepath.Join(protos, "greeter.proto"), filepath.Join(protos, "edition.proto")}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := grpctest.Serve(t, c.setup)
			entry := object{
				"grpc": "http://" + s.Address, "mode": "tools", "bidi": true, "maxMessages": 5, "maxMessage": 4 << 20, "trailers": []string{"x-request-id"},
				"exclude": []string{"weir.test.Greeter/Old"},
				"tools":   object{"weir.test.Greeter/Hello": object{"timeout": "400ms"}},
			}
			maps.Copy(entry, c.more)
			// slow has no deadline of its own, so that only a caller ends its calls.
			slow := maps.Clone(entry)
			delete(slow, "tools")
			g := serve(t, object{"mcpServers": object{"api": entry, "slow": slow}})
			g.offers(t, 18)
			for _, e := range []era{legacy, modern} {
				t.Run(string(e), func(t *testing.T) {
					p := dialHTTP(t, g.url, e)
					for _, feature := range m.features {
						m.cell(t, feature, name, e, func(t *testing.T) { grpcFeature(t, s, p, feature) })
					}
				})
			}
		})
	}
	m.whole(t)
}

// grpcFeature makes the calls of one feature, and looks at what the server noted.
func grpcFeature(t *testing.T, s *grpctest.Server, p *httpPeer, feature string) {
	calls := 0
	for _, c := range grpcRows() {
		if c.feature != feature {
			continue
		}
		calls++
		before, ended := len(s.Calls()), s.Canceled.Load()
		answer, _ := answerOf(t, p, c.tool, c.arguments)
		for _, want := range c.want {
			if !strings.Contains(answer, want) {
				t.Errorf("%s: %s lacks %s", c.what, tail(answer, 2000), want)
			}
		}
		if sent := s.Calls()[before:]; !slices.Equal(sent, c.sent) {
			t.Errorf("%s: the server saw %q", c.what, sent)
		}
		if failed := strings.Contains(answer, `"isError":true`); c.sent == nil && !failed && !strings.Contains(answer, `"code":`) {
			t.Errorf("%s: %s is no refusal", c.what, answer)
		}
		if feature == "deadline" {
			until(t, "the end of the call at the server", func() bool { return s.Canceled.Load() > ended })
		}
	}
	calls += grpcStreams(t, s, p, feature)
	if feature == "cancellation" {
		calls += grpcCanceled(t, s, p)
	}
	if calls == 0 {
		t.Error("nothing was called")
	}
}

// answerOf calls a tool and returns its whole answer, result or error, without the escapes of texts, and how many notifications of progress came before it.
func answerOf(t *testing.T, p peer, tool string, arguments object) (answer string, progress int) {
	t.Helper()
	events, err := p.call("tools/call", object{"name": tool, "arguments": arguments, "_meta": object{"progressToken": "t"}})
	must(t, err)
	last := events[len(events)-1]
	for _, m := range events[:len(events)-1] {
		if m.Method == "notifications/progress" {
			progress++
		}
	}
	return strings.ReplaceAll(string(last.Result)+string(last.Error), `\"`, `"`), progress
}

// grpcRows are the calls that every server and era must answer alike.
func grpcRows() []row {
	file := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00\xff", 500)))
	return []row{
		{
			"unary", "values", "api__Greeter_Hello",
			object{"firstName": "Ann", "number": "9007199254740993"},
			[]string{`"structuredContent":{"message":"Hello Ann","number":"9007199254740993"}`, "x-request-id: r-17"},
			[]string{`/weir.test.Greeter/Hello {"firstName":"Ann","number":"9007199254740993"}`},
		},
		{
			"unary", "an edition", "api__Editions_Mirror",
			object{"implicit": "i", "explicit": "", "required": "r", "closed": "TWO"},
			[]string{`{"implicit":"i","explicit":"","required":"r","closed":"TWO"}`},
			[]string{`/weir.edition.Editions/Mirror {"implicit":"i","explicit":"","required":"r","closed":"TWO"}`},
		},
		{
			"deadline", "of a tool", "api__Greeter_Hello",
			object{"firstName": "wait"},
			[]string{`"isError":true`, "did not answer within 400ms. It only reads, so it may be tried again."},
			[]string{`/weir.test.Greeter/Hello {"firstName":"wait"}`},
		},
		{
			"status details", "all kinds", "api__Greeter_Fail",
			object{"code": 3, "message": "no good", "details": true},
			[]string{
				`"isError":true`, "The API answered INVALID_ARGUMENT: no good. Refused: `fail_after`: is too large; `code`: is odd.", "Reason TOO_ODD of weir.test, limit 7.",
				"Quota: project:7: 10 a day.", "Try again in 5s.",
			},
			[]string{`/weir.test.Greeter/Fail {"code":3,"message":"no good","details":true}`},
		},
		{
			"upload", "a stream of requests", "api__Greeter_Sum",
			object{"messages": []object{{"n": 1}, {"n": "9007199254740992"}}},
			[]string{`"structuredContent":{"n":"9007199254740993"}`},
			[]string{"/weir.test.Greeter/Sum"},
		},
		{
			"upload", "bytes", "api__Greeter_Mirror",
			object{"fBytes": file},
			[]string{`"structuredContent":{"fBytes":"` + file + `"}`},
			[]string{`/weir.test.Greeter/Mirror {"fBytes":"` + file + `"}`},
		},
		{
			"upload", "streams both ways", "api__Greeter_Echo",
			object{"messages": []object{{"n": 1}, {"n": 2}}},
			[]string{`{"messages":[{"n":"1"},{"n":"2"}],"complete":true}`},
			[]string{"/weir.test.Greeter/Echo"},
		},
		{
			"100 MB stream", "in one message", "api__Greeter_Count",
			object{"to": 1, "padding": 100_000_000},
			[]string{`"isError":true`, "longer than 4.0 MiB"},
			[]string{`/weir.test.Greeter/Count {"to":1,"padding":100000000}`},
		},
		{"unknown method", "one that nobody has", "api__Greeter_Goodbye", object{}, []string{`Greeter_Goodbye`}, nil},
		{"unknown method", "one that is excluded", "api__Greeter_Old", object{}, []string{`Greeter_Old`}, nil},
		{"unknown method", "by its path", "api__/weir.test.Greeter/Old", object{}, []string{`weir.test.Greeter/Old`}, nil},
		{"unknown method", "one of the server itself", "api__ServerReflection_ServerReflectionInfo", object{}, []string{`ServerReflection`}, nil},
		{"wrong arguments", "of another type", "api__Greeter_Hello", object{"number": "x"}, []string{`"isError":true`, "- `number`: expected text"}, nil},
		{"wrong arguments", "both of a oneof", "api__Greeter_Hello", object{"mail": "a", "phone": "b"}, []string{`"isError":true`, "exclude each other"}, nil},
	}
}

// grpcStreams ends streams at each of their limits, and looks at what the server had given to its transport when it heard of it. It returns how many of
// them belong to a feature.
func grpcStreams(t *testing.T, s *grpctest.Server, p *httpPeer, feature string) (calls int) {
	for _, c := range []struct {
		feature   string
		arguments object
		want      string
		progress  int
		most      int64 // bytes that the server sent
	}{
		{"subscription", object{"to": 3}, `"structuredContent":{"messages":[{"n":1},{"n":2},{"n":3}],"complete":true}`, 3, 1 << 10},
		{"stream limits", object{"to": 100_000_000}, `"complete":false,"stopped":"the limit of 5 messages is reached"`, 5, 1 << 20},
		{"100 MB stream", object{"to": 100, "padding": 1 << 20}, `"complete":false,"stopped":"the limit of 64.0 KiB is reached"`, 0, 8 << 20},
		{"partial data", object{"to": 9, "failAfter": 2}, `"structuredContent":{"messages":[{"n":1},{"n":2}],"complete":false,"stopped":"the call failed"},"isError":true`, 2, 1 << 10},
	} {
		if c.feature != feature {
			continue
		}
		calls++
		before := s.Sent.Load()
		answer, progress := answerOf(t, p, "slow__Greeter_Count", c.arguments)
		s.Wait(t, "Count")
		sent := s.Sent.Load() - before
		if !strings.Contains(answer, c.want) || progress != c.progress || sent > c.most {
			t.Errorf("%d notifications, %d bytes sent, %s", progress, sent, tail(answer, 500))
		}
		if feature == "partial data" && !strings.Contains(answer, "DATA_LOSS: no more numbers") {
			t.Errorf("the reason is not told: %s", tail(answer, 500))
		}
		t.Logf("the server sent %d bytes", sent)
	}
	return calls
}

// grpcCanceled takes calls back while the server works on them.
func grpcCanceled(t *testing.T, s *grpctest.Server, p *httpPeer) (calls int) {
	for tool, arguments := range map[string]object{"slow__Greeter_Hello": {"firstName": "wait"}, "slow__Greeter_Count": {"to": 1, "wait": true}} {
		calls++
		before, canceled := len(s.Calls()), s.Canceled.Load()
		call := p.open("tools/call", object{"name": tool, "arguments": arguments})
		until(t, "the call", func() bool { return len(s.Calls()) > before })
		call.cancel()
		until(t, "the end of the call at the server", func() bool { return s.Canceled.Load() > canceled })
		_, _ = call.wait() // a canceled call has no answer in one era, and an error in the other
	}
	return calls
}
