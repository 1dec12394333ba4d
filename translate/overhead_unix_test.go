//go:build unix && !race

package translate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/graphql"
	translategrpc "weir/translate/grpc"
	"weir/translate/openapi"
)

// pair is the same small call by hand and as a tool, over the same kind of connection to the same server.
type pair struct {
	kind       string
	limit      time.Duration // what the tool may cost more, in processor time
	hand, tool func()
}

// spent is the processor time of this process, the server's too.
func spent(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rounds makes short runs of both in turn, so that what else the machine does falls on both, and returns what the tool costs more per call.
func (p *pair) rounds(t testing.TB, n int) (more, hand time.Duration) {
	const calls = 100
	run := func(f func()) time.Duration {
		start := spent(t)
		for range calls {
			f()
		}
		return spent(t) - start
	}
	differences, hands := make([]time.Duration, n), make([]time.Duration, n)
	for i := range n {
		hands[i] = run(p.hand) / calls
		differences[i] = run(p.tool)/calls - hands[i]
	}
	slices.Sort(differences)
	slices.Sort(hands)
	return differences[n/2], hands[n/2]
}

// caller makes calls of a tool.
func caller(t testing.TB, b translate.Backend, name, arguments string) func() {
	t.Helper()
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`","arguments":`+arguments+`}}`)); err != nil {
		t.Fatal(err)
	}
	c := &catalog.Call{Method: "tools/call", Target: name, Message: m, Client: &catalog.Client{}, Owner: "me"}
	call := func() string {
		answer, err := b.Call(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Release()
		return string(answer.Message.Data)
	}
	if got := call(); !bytes.Contains([]byte(got), []byte(`"structuredContent"`)) {
		t.Fatal(got)
	}
	return func() { call() }
}

// must ends the test when a backend cannot be made, and closes it with the test.
func must[B translate.Backend](t testing.TB, b B, err error) B {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	return b
}

// post sends JSON as somebody writes it by hand, and decodes the answer.
func post(t testing.TB, transport http.RoundTripper, method, address string, body any) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(data)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
}

func restPair(t testing.TB) *pair {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":7,"name":"Rex","tags":["dog","old"],"owner":{"name":"Ana"}}`)
	}))
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "api.json")
	text := `{"openapi":"3.1.0","paths":{"/pets/{id}":{"get":{"operationId":"getPet","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}},{"name":"lang","in":"query","schema":{"type":"string"}}],
		"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"}}}}}}}}}}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := openapi.New(t.Context(), openapi.Spec{OpenAPI: file, Server: s.URL}, translate.Options{Upstream: "api", Transport: s.Client().Transport})
	return &pair{"REST", 15 * time.Microsecond, func() { post(t, s.Client().Transport, http.MethodGet, s.URL+"/pets/7?lang=en", nil) }, caller(t, must(t, a, err), "getPet", `{"id":7,"lang":"en"}`)}
}

func graphqlPair(t testing.TB) *pair {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"data":{"pet":{"id":7,"name":"Rex","tags":["dog","old"],"owner":{"name":"Ana"}}}}`)
	}))
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "api.graphql")
	if err := os.WriteFile(file, []byte("type Query { pet(id: Int!, lang: String): Pet }\ntype Pet { id: Int name: String tags: [String!] owner: Owner }\ntype Owner { name: String }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := graphql.New(t.Context(), graphql.Spec{GraphQL: s.URL, Schema: file}, translate.Options{Upstream: "api", Transport: s.Client().Transport})
	body := map[string]any{"query": "query pet($id: Int!, $lang: String) { pet(id: $id, lang: $lang) { id name tags owner { name } } }", "variables": map[string]any{"id": 7, "lang": "en"}}
	return &pair{"GraphQL", 25 * time.Microsecond, func() { post(t, s.Client().Transport, http.MethodPost, s.URL, body) }, caller(t, must(t, a, err), "pet", `{"id":7,"lang":"en"}`)}
}

// serving answers a small message.
type serving struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (serving) UnaryCall(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Username: "somebody", OauthScope: "some scope"}, nil
}

func grpcPair(t testing.TB) *pair {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(s, serving{})
	reflection.Register(s)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := grpc_testing.NewTestServiceClient(conn)
	a, err := translategrpc.New(t.Context(), translategrpc.Spec{GRPC: "http://" + listener.Addr().String()}, translate.Options{Upstream: "api"})
	return &pair{"gRPC", 25 * time.Microsecond, func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{ResponseSize: 7, FillUsername: true}); err != nil {
			t.Fatal(err)
		}
	}, caller(t, must(t, a, err), "TestService_UnaryCall", `{"responseSize":7,"fillUsername":true}`)}
}

func pairs(t testing.TB) []*pair { return []*pair{restPair(t), grpcPair(t), graphqlPair(t)} }

// TestOverhead holds what translation costs a small call over the same call written by hand: the best of a few tries, since what else the machine
// does can only add to it.
func TestOverhead(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	for _, p := range pairs(t) {
		p.rounds(t, 5) // everything is warm then
		best, hand := p.rounds(t, 20)
		for try := 0; try < 10 && best > p.limit; try++ {
			if again, by := p.rounds(t, 20); again < best {
				best, hand = again, by
			}
		}
		t.Logf("%s: a tool costs %v of processor time more than the %v by hand, of %v that it may", p.kind, best, hand, p.limit)
		if best > p.limit {
			t.Errorf("%s: more than %v", p.kind, p.limit)
		}
	}
}

// BenchmarkOverhead reports the same difference as more-µs/op.
func BenchmarkOverhead(b *testing.B) {
	for _, p := range pairs(b) {
		b.Run(p.kind, func(b *testing.B) {
			p.rounds(b, 5)
			var more, hand time.Duration
			n := 0
			for b.Loop() {
				m, h := p.rounds(b, 10)
				more, hand, n = more+m, hand+h, n+1
			}
			b.ReportMetric(float64(more.Nanoseconds())/float64(n)/1000, "more-µs/op")
			b.ReportMetric(float64(hand.Nanoseconds())/float64(n)/1000, "hand-µs/op")
			b.ReportMetric(0, "ns/op")
		})
	}
}
