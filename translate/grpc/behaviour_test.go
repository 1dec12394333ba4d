package grpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// TestCancellation: a caller that goes away ends the call at the server.
func TestCancellation(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{}, translate.Options{})
	for tool, arguments := range map[string]string{"Greeter_Hello": `{"firstName":"wait"}`, "Greeter_Count": `{"to":1,"wait":true}`} {
		ctx, cancel := context.WithCancel(t.Context())
		before := len(s.Calls())
		go func() {
			for len(s.Calls()) == before {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		_, err := runWith(t, ctx, a, call(t, tool, arguments))
		var fault *catalog.Error
		if !errors.As(err, &fault) || fault.Code != catalog.Canceled {
			t.Errorf("%s: got %v", tool, err)
		}
		s.Wait(t, strings.TrimPrefix(tool, "Greeter_"))
	}
	if n := s.Canceled.Load(); n != 2 {
		t.Errorf("%d calls were canceled at the server", n)
	}
}

// TestDeadline: the time of a call goes along with it, and what came of a stream until then is kept.
func TestDeadline(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{Spec: translate.Spec{Timeout: 150 * time.Millisecond}}, translate.Options{})
	if got := run(t, a, "Greeter_Hello", `{"firstName":"wait"}`); !got.True("isError") || textOf(got) != "The API did not answer within 150ms. It only reads, so it may be tried again." {
		t.Errorf("got %s", got.JSON())
	}
	got := run(t, a, "Greeter_Count", `{"to":2,"wait":true}`)
	if want := `{"messages":[{"n":1},{"n":2}],"complete":false,"stopped":"the time of 150ms is over"}`; got.Get("structuredContent").JSON() != want || got.True("isError") {
		t.Errorf("got %s", got.JSON())
	}
	s.Wait(t, "Hello")
	s.Wait(t, "Count")
	if n := s.Canceled.Load(); n != 2 {
		t.Errorf("%d calls ended at the server", n)
	}
}

// streamLimits: collecting ends at a number of messages or bytes, and the call with it. The ledger of the server says how much it sent.
func streamLimits(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{MaxMessages: 5}, translate.Options{})
	progress := 0
	c := call(t, "Greeter_Count", `{"to":1000000}`)
	c.Notify = func(n catalog.Notification) {
		progress++
		if want := `{"progressToken":"p","progress":` + schema.Int(progress).Text + `}`; n.Method != "notifications/progress" || string(n.Params) != want {
			t.Errorf("got %s %s", n.Method, n.Params)
		}
	}
	got, err := runWith(t, t.Context(), a, c)
	if err != nil || got.Get("structuredContent").GetText("stopped") != "the limit of 5 messages is reached" || progress != 5 {
		t.Errorf("got %v, %v, %d notifications", got, err, progress)
	}
	s.Wait(t, "Count")
	before := s.Sent.Load()
	// 100 messages of 1 MiB: more than the text bound, so that the second one ends it.
	got = run(t, a, "Greeter_Count", `{"to":100,"padding":1048576}`)
	if !strings.Contains(got.Get("structuredContent").GetText("stopped"), "64.0 KiB") || got.Get("structuredContent").True("complete") {
		t.Errorf("got %s", schema.Shorten(got.JSON(), 300))
	}
	s.Wait(t, "Count")
	if sent := s.Sent.Load() - before; sent > 20<<20 {
		t.Errorf("the server gave %d of 100 MiB to the transport", sent>>20)
	}
	// One message of 100 MiB is refused by the size that it announces.
	got = run(t, a, "Greeter_Count", `{"to":1,"padding":104857600}`)
	if !got.True("isError") || !strings.Contains(textOf(got), "it is longer than 16.0 MiB") {
		t.Errorf("got %s", schema.Shorten(got.JSON(), 300))
	}
	// A stream that fails keeps what came before.
	got = run(t, a, "Greeter_Count", `{"to":9,"failAfter":2}`)
	if !got.True("isError") || !strings.Contains(textOf(got), "DATA_LOSS: no more numbers") || len(got.Get("structuredContent").Array("messages")) != 2 {
		t.Errorf("got %s", got.JSON())
	}
}

// TestStatusDetails: each kind of google.rpc detail in words, violations under the names of arguments, and nothing that is for developers.
func TestStatusDetails(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{Spec: translate.Spec{Tools: map[string]translate.Tool{"weir.test.Greeter/Fail": {Args: map[string]translate.Arg{"code": {Rename: "status"}}}}}}, translate.Options{})
	got := run(t, a, "Greeter_Fail", `{"status":3,"message":"no good.","details":true}`)
	want := "The API answered INVALID_ARGUMENT: no good. Refused: `fail_after`: is too large; `status`: is odd. Reason TOO_ODD of weir.test, limit 7. " +
		"Quota: project:7: 10 a day. Not met: TOS weir.test: not accepted. Resource: book b/7 is gone. Help: see https://weir.test/help. That is odd. Try again in 5s."
	if textOf(got) != want || !got.True("isError") {
		t.Errorf("got  %s\nwant %s", textOf(got), want)
	}
	for code, words := range map[codes.Code]string{
		codes.NotFound: "NOT_FOUND: m. Check the arguments", codes.Unauthenticated: "UNAUTHENTICATED: m. The credentials", codes.PermissionDenied: "PERMISSION_DENIED: m. The credentials",
		codes.Aborted: "ABORTED: m. Read the current state", codes.Unavailable: "UNAVAILABLE: m. Trying again later", codes.Internal: "INTERNAL: m. The fault is on the side",
		codes.ResourceExhausted: "RESOURCE_EXHAUSTED: m. Too many calls", codes.Canceled: "CANCELLED: m.", codes.Unknown: "UNKNOWN: m.", codes.OutOfRange: "OUT_OF_RANGE: m. Change",
		codes.AlreadyExists: "ALREADY_EXISTS: m.", codes.DataLoss: "DATA_LOSS: m.", codes.FailedPrecondition: "FAILED_PRECONDITION: m.", codes.Unimplemented: "UNIMPLEMENTED: m.",
		codes.DeadlineExceeded: "DEADLINE_EXCEEDED: m.", 42: "code 42: m",
	} {
		got := run(t, a, "Greeter_Fail", `{"status":`+schema.Int(int(code)).Text+`,"message":"m"}`)
		if !got.True("isError") || !strings.HasPrefix(textOf(got), "The API answered "+words) {
			t.Errorf("%v: got %s", code, textOf(got))
		}
	}
}

// TestT15_UnknownMethod: nothing but listed tools can be called, and nothing else reaches the server; a method that the server lost is a result,
// and leads to another look at its description.
func TestT15_UnknownMethod(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{Spec: translate.Spec{Exclude: []string{"weir.test.Greeter/Fail"}}}, translate.Options{})
	before := s.Reflects.Load()
	for _, name := range []string{"Greeter_Fail", "Greeter_Nope", "weir.test.Greeter/Hello", "/weir.test.Greeter/Hello", "grpc.health.v1.Health/Check", "Greeter_Echo", ""} {
		_, err := runWith(t, t.Context(), a, call(t, name, `{}`))
		var fault *catalog.Error
		if !errors.As(err, &fault) || fault.Code != catalog.NotFound {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if len(s.Calls()) > 0 || s.Reflects.Load() != before {
		t.Errorf("the server saw %v and %d questions", s.Calls(), s.Reflects.Load()-before)
	}
	set, _ := fixture(t, "greeter.proto")
	greeter := set.File[len(set.File)-1].Service[0]
	lost := proto.Clone(greeter.Method[0]).(*descriptorpb.MethodDescriptorProto) //nolint:errcheck // a clone has the type of what it is of
	lost.Name = new("Lost")
	greeter.Method = append(greeter.Method, lost)
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "set")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	old := dial(t, s, Spec{Descriptors: []string{file}}, translate.Options{})
	if got := run(t, old, "Greeter_Lost", `{}`); !got.True("isError") || !strings.Contains(textOf(got), "UNIMPLEMENTED") {
		t.Errorf("got %s", got.JSON())
	}
}

// reflectionVersions: v1 only, v1alpha only, and none, where a set takes its place.
func reflectionVersions(t *testing.T) {
	for _, version := range []string{"v1", "v1alpha"} {
		s := serve(t, setup{Reflect: version})
		if got := run(t, dial(t, s, Spec{}, translate.Options{}), "Greeter_Hello", `{"firstName":"A"}`); got.True("isError") {
			t.Errorf("%s: %s", version, got.JSON())
		}
	}
	s := serve(t, setup{})
	if _, err := tryDial(t, s, Spec{}, translate.Options{}); err == nil || !strings.Contains(err.Error(), "api: the server describes nothing by reflection") || !strings.Contains(err.Error(), "descriptors") {
		t.Errorf("got %v", err)
	}
	if got := run(t, dial(t, s, Spec{Protos: []string{"grpctest/proto/greeter.proto"}}, translate.Options{}), "Greeter_Hello", `{"firstName":"A"}`); got.True("isError") {
		t.Errorf("got %s", got.JSON())
	}
}

// memory is a cache for a test.
type memory struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (m *memory) Get(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.kept[key]
	return data, ok
}

func (m *memory) Put(key string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[key] = data
}

// TestReconnect: a server that comes back with other services is asked anew, without anybody calling for it; what was described before serves
// a start without the server.
func TestReconnect(t *testing.T) {
	s := serve(t, setup{Reflect: "v1", Files: []string{"greeter.proto", "edition.proto"}})
	changed := make(chan struct{}, 10)
	cache := &memory{kept: make(map[string][]byte)}
	a := dial(t, s, Spec{}, translate.Options{Cache: cache, Changed: func() { changed <- struct{}{} }})
	before := len(a.Source().Tools)
	s.Stop()
	deadline := time.Now().Add(10 * time.Second)
	for said := ""; !strings.Contains(said, "could not be reached; nothing was sent"); said = textOf(run(t, a, "Greeter_Hello", `{}`)) {
		if time.Now().After(deadline) {
			t.Fatalf("got %s", said)
		}
	}
	late := dial(t, s, Spec{}, translate.Options{Cache: cache})
	if len(late.Source().Tools) != before || len(late.Report().Warnings) != 2 {
		t.Errorf("%d tools from the cache, warnings %v", len(late.Source().Tools), late.Report().Warnings)
	}
	again := serve(t, setup{Address: s.Address, Reflect: "v1"})
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody asked the server anew")
	}
	if item(t, a, "Olds_Mirror") == nil {
		t.Error("the new service is not there")
	}
	if again.Reflects.Load() == 0 {
		t.Error("the server was not asked")
	}
}

// TestLoadBalancing: calls go to all addresses in turn, and past one that is gone.
func TestLoadBalancing(t *testing.T) {
	one, two := serve(t, setup{Reflect: "v1"}), serve(t, setup{Reflect: "v1"})
	a := dial(t, one, Spec{Replicas: []string{"http://" + two.Address}, Connections: 2}, translate.Options{})
	deadline := time.Now().Add(10 * time.Second)
	for (len(one.Calls()) == 0 || len(two.Calls()) == 0) && time.Now().Before(deadline) {
		if got := run(t, a, "Greeter_Hello", `{}`); got.True("isError") {
			t.Fatal(got.JSON())
		}
	}
	if len(one.Calls()) == 0 || len(two.Calls()) == 0 {
		t.Errorf("%d and %d calls", len(one.Calls()), len(two.Calls()))
	}
	before := len(one.Calls())
	for range 40 {
		if got := run(t, a, "Greeter_Hello", `{}`); got.True("isError") {
			t.Fatal(got.JSON())
		}
	}
	if share := len(one.Calls()) - before; share < 10 || share > 30 {
		t.Errorf("one of two servers got %d of 40 calls", share)
	}
	two.Stop()
	lost := 0
	for range 40 {
		if got := run(t, a, "Greeter_Hello", `{}`); got.True("isError") {
			lost++
		}
	}
	if lost > 2 { // one on each connection, before its end is noticed
		t.Errorf("%d of 40 calls were lost with one of two servers", lost)
	}
}

// vault is a credential for a test.
type vault struct {
	value   atomic.Pointer[string]
	renewed atomic.Int32
}

func (*vault) Has(scheme string) bool { return scheme == "grpc" }

func (v *vault) Authorize(_ context.Context, r *http.Request, _ translate.SecurityScheme, _ string) error {
	if !strings.HasPrefix(r.URL.String(), "http://127.0.0.1:") {
		return errors.New("not meant for " + r.URL.Host)
	}
	r.Header.Set("Authorization", "Bearer "+*v.value.Load())
	return nil
}

func (v *vault) Renew(context.Context, translate.SecurityScheme, string) bool {
	v.renewed.Add(1)
	v.value.Store(new("fresh-token"))
	return true
}

// TestMetadataAllowList: credentials, configured headers and what callers may set go along; nothing else does, and secrets do not come back.
func TestMetadataAllowList(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	keys := &vault{}
	keys.value.Store(new("first-token"))
	a := dial(t, s, Spec{Metadata: []string{"x-tenant"}}, translate.Options{Credentials: keys, Headers: http.Header{"X-Api-Key": {"secret-key"}}})
	got := run(t, a, "Greeter_Hello", `{"firstName":"first-token secret-key","metadata":{"x-tenant":"acme"}}`)
	if textOf(got) != `{"message":"Hello [removed] [removed]"}` {
		t.Errorf("got %s", got.JSON())
	}
	md := s.Metadata()[len(s.Metadata())-1]
	for name, want := range map[string]string{"authorization": "Bearer first-token", "x-api-key": "secret-key", "x-tenant": "acme"} {
		if !slices.Equal(md.Get(name), []string{want}) {
			t.Errorf("%s is %v", name, md.Get(name))
		}
	}
	for _, arguments := range []string{`{"metadata":{"authorization":"x"}}`, `{"metadata":{"x-other":"x"}}`, `{"metadata":{"x-tenant":"a\r\nb: c"}}`} {
		if got := run(t, a, "Greeter_Hello", arguments); !got.True("isError") || !strings.HasPrefix(textOf(got), "The call was not sent") {
			t.Errorf("%s: %s", arguments, got.JSON())
		}
	}
	before := len(s.Calls())
	if got := run(t, a, "Greeter_Fail", `{"code":16,"message":"first-token is stale"}`); !strings.Contains(textOf(got), "UNAUTHENTICATED") || keys.renewed.Load() != 1 || len(s.Calls()) != before+2 {
		t.Errorf("got %s after %d calls", got.JSON(), len(s.Calls())-before)
	}
	if got := s.Metadata()[len(s.Metadata())-1].Get("authorization"); !slices.Equal(got, []string{"Bearer fresh-token"}) {
		t.Errorf("the second try had %v", got)
	}
	for _, name := range []string{"authorization", "grpc-timeout", "host", "x-bin", "X-Upper", "proxy-x", "content-type", ""} {
		if _, err := New(t.Context(), Spec{GRPC: "http://" + s.Address, Metadata: []string{name}}, translate.Options{Upstream: "api"}); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

// authority makes a certificate authority and certificates for a server on this machine and a client.
func authority(t *testing.T) (pool *x509.CertPool, server, client tls.Certificate) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sign := func(template, parent *x509.Certificate, public, by *ecdsa.PrivateKey) []byte {
		data, err := x509.CreateCertificate(rand.Reader, template, parent, &public.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	until := time.Now().Add(time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotAfter: until, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootKey := key()
	parsed, err := x509.ParseCertificate(sign(root, root, rootKey, rootKey))
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	leaf := func(serial int64, use x509.ExtKeyUsage) tls.Certificate {
		k := key()
		c := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{use}}
		return tls.Certificate{Certificate: [][]byte{sign(c, root, k, rootKey)}, PrivateKey: k}
	}
	return pool, leaf(2, x509.ExtKeyUsageServerAuth), leaf(3, x509.ExtKeyUsageClientAuth)
}

// TestMutualTLS: a server is trusted by its authority, a client by its certificate, and plaintext is spoken only where it is said.
func TestMutualTLS(t *testing.T) {
	roots, certificate, client := authority(t)
	s := serve(t, setup{Reflect: "v1", TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}})
	mutual := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{client}}
	if got := run(t, dial(t, s, Spec{GRPC: "https://" + s.Address}, translate.Options{TLS: mutual}), "Greeter_Hello", `{}`); got.True("isError") {
		t.Errorf("got %s", got.JSON())
	}
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	for name, o := range map[string]struct {
		address string
		tls     *tls.Config
	}{
		"no client certificate": {"https://" + s.Address, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}},
		"unknown authority":     {"https://" + s.Address, nil},
		"plaintext":             {"http://" + s.Address, mutual},
	} {
		if _, err := New(short(), Spec{GRPC: o.address}, translate.Options{Upstream: "api", TLS: o.tls}); err == nil {
			t.Errorf("%s: connected", name)
		}
	}
}

// TestT12_Dialer: every connection goes through the dialer that is handed in, by name, and no proxy of the environment stands between.
func TestT12_Dialer(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	s := serve(t, setup{Reflect: "v1"})
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var dialled []string
	a := dial(t, s, Spec{GRPC: "http://greeter.test:" + port}, translate.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		dialled = append(dialled, address)
		mu.Unlock()
		return new(net.Dialer).DialContext(ctx, network, s.Address)
	}})
	if got := run(t, a, "Greeter_Hello", `{}`); got.True("isError") {
		t.Errorf("got %s", got.JSON())
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(dialled, []string{"greeter.test:" + port}) {
		t.Errorf("dialled %v", dialled)
	}
	if got := s.Metadata()[0].Get(":authority"); !slices.Equal(got, []string{"greeter.test:" + port}) {
		t.Errorf("the authority is %v", got)
	}
	refused, err := New(t.Context(), Spec{GRPC: "http://greeter.test:" + port}, translate.Options{Upstream: "api", Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("the address is not allowed")
	}})
	if err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("got %v, %v", refused, err)
	}
}

// TestHealthServiceAsProbe: the server says of itself whether it serves; one without the service is well when it answers.
func TestHealthServiceAsProbe(t *testing.T) {
	for want, status := range map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{
		"":                                       grpc_health_v1.HealthCheckResponse_SERVING,
		"the server says that it is NOT_SERVING": grpc_health_v1.HealthCheckResponse_NOT_SERVING,
	} {
		s := serve(t, setup{Reflect: "v1", Health: status})
		err := dial(t, s, Spec{}, translate.Options{}).Probe(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v", status, err)
		}
	}
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{}, translate.Options{})
	if err := a.Probe(t.Context()); err != nil {
		t.Errorf("without a health service: %v", err)
	}
	s.Stop()
	if err := a.Probe(t.Context()); err == nil {
		t.Error("a server that is gone is well")
	}
}

// TestDynamic: three tools find, describe and call methods as for every kind of API.
func TestDynamic(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{Spec: translate.Spec{Mode: translate.ModeDynamic}}, translate.Options{})
	if n := len(a.Source().Tools); n != 3 || !a.Report().Dynamic {
		t.Errorf("%d tools are listed", n)
	}
	if got := textOf(run(t, a, "search_api", `{"query":"say hello to somebody"}`)); !strings.HasPrefix(got, "Greeter_Hello") {
		t.Errorf("got %s", got)
	}
	if got := textOf(run(t, a, "describe_api", `{"names":["Greeter_Hello"]}`)); !strings.Contains(got, `"firstName"`) {
		t.Errorf("got %s", got)
	}
	if got := run(t, a, "call_api", `{"name":"Greeter_Hello","arguments":{"firstName":"Ann"}}`); textOf(got) != `{"message":"Hello Ann"}` {
		t.Errorf("got %s", got.JSON())
	}
}
